import { expect, test } from 'vitest'
import { byKind } from '../../chat/content.ts'
import { openai } from './dialect.ts'

const message = (said: object, more: object = {}) =>
  openai.decodeChat({
    id: 'a',
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', ...said }, finish_reason: 'stop' }],
    ...more,
  })

test.each<[string, object, object]>([
  [
    'DeepSeek, xAI, Qwen',
    { content: 'Yes.', reasoning_content: 'Hm.' },
    { text: 'Yes.', reasoning: [{ text: 'Hm.', signature: null }] },
  ],
  ['Groq, vLLM', { content: 'Yes.', reasoning: 'Hm.' }, { reasoning: [{ text: 'Hm.' }] }],
  [
    'OpenRouter',
    {
      content: 'Yes.',
      reasoning: 'Hm.',
      reasoning_details: [{ type: 'reasoning.text', text: 'Hm.', signature: 's', index: 0 }],
    },
    { reasoning: [{ text: 'Hm.', signature: 's' }] },
  ],
  [
    'Mistral',
    {
      content: [
        { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
        { type: 'text', text: 'Yes.' },
      ],
    },
    { text: 'Yes.', reasoning: [{ text: 'Hm.' }] },
  ],
  [
    'a server without ids of calls',
    { content: null, tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
    { toolCalls: [{ id: 'call_a_0_0', name: 'f', arguments: '{"a":1}' }] },
  ],
])('what %s says is read', (_, said, expected) => {
  expect(byKind(message(said).choices[0]!.content)).toMatchObject(expected)
})

test.each([
  ['OpenRouter’s dollars', { prompt_tokens: 1, completion_tokens: 1, cost: 0.000_123_456 }, 123_456n],
  ['Perplexity’s total', { prompt_tokens: 1, completion_tokens: 1, cost: { total_cost: 0.006 } }, 6_000_000n],
  ['xAI’s ticks', { prompt_tokens: 1, completion_tokens: 1, cost_in_usd_ticks: 158_500 }, 15_850n],
  ['a fraction of a nanodollar', { prompt_tokens: 1, cost: 1.5e-9 }, 2n],
  ['nothing', { prompt_tokens: 1 }, null],
  ['less than nothing', { prompt_tokens: 1, cost: -1 }, null],
  ['text', { prompt_tokens: 1, cost: '1' }, null],
])('a bill in %s', (_, usage, nanos) => {
  expect(message({ content: 'x' }, { usage }).billedNanos).toBe(nanos)
})

test('calls without an index in a stream are told apart by their ids', () => {
  const decoder = openai.decodeStream()
  const chunk = (delta: object, finish_reason: string | null = null) => ({
    type: null,
    data: JSON.stringify({ id: 'a', choices: [{ index: 0, delta, finish_reason }] }),
  })
  const call = (id: string) => ({ tool_calls: [{ id, function: { name: 'f', arguments: '{}' } }] })
  const parts = [chunk(call('a')), chunk(call('b')), chunk({}, 'tool_calls')].flatMap((event) => decoder.decode(event))
  expect(parts.filter(({ type }) => type === 'tool-call')).toMatchObject([
    { call: 0, id: 'a' },
    { call: 1, id: 'b' },
  ])
})

test('an answer that is none, and an error in its place, are no answer', () => {
  expect(() => openai.decodeChat({})).toThrow(SyntaxError)
  expect(() => openai.decodeChat({ error: { message: 'overloaded' } })).toThrow('overloaded')
  expect(() => openai.decodeChat({ choices: [{}] })).toThrow(SyntaxError)
  expect(() => openai.decodeStream().decode({ type: null, data: '{half' })).toThrow(SyntaxError)
})

const played = (...chunks: object[]) => {
  const decoder = openai.decodeStream()
  return chunks.flatMap((chunk) => decoder.decode({ type: null, data: JSON.stringify(chunk) }))
}

test('calls that all have the index 0 are told apart by their ids, and their pieces stay with them', () => {
  const calls = (...tool_calls: object[]) => ({ id: 'a', choices: [{ index: 0, delta: { tool_calls } }] })
  const begun = (id: string, json: string) => ({ index: 0, id, function: { name: 'f', arguments: json } })
  const parts = played(
    calls(begun('a', '{"x":')),
    calls({ index: 0, id: 'a', function: { name: 'f', arguments: '1}' } }),
    calls(begun('b', '{"x":')),
    calls({ index: 0, function: { arguments: '2}' } }),
    calls(begun('c', '{}'), begun('d', '{}')),
  )
  expect(parts.filter(({ type }) => type === 'tool-call')).toMatchObject([
    { call: 0, id: 'a' },
    { call: 1, id: 'b' },
    { call: 2, id: 'c' },
    { call: 3, id: 'd' },
  ])
  const said = parts.flatMap((part) => (part.type === 'arguments' ? [[part.call, part.json]] : []))
  expect(said).toEqual([
    ...[
      [0, '{"x":'],
      [0, '1}'],
      [1, '{"x":'],
      [1, '2}'],
    ],
    ...[
      [2, '{}'],
      [3, '{}'],
    ],
  ])
})

test('a call whose pieces each have an id of their own, but no name, is one call', () => {
  const calls = (...tool_calls: object[]) => ({ id: 'a', choices: [{ index: 0, delta: { tool_calls } }] })
  const parts = played(
    calls({ index: 0, id: 'a', function: { name: 'f', arguments: '' } }),
    calls({ index: 0, id: 'b', function: { name: null, arguments: '{' } }),
    calls({ index: 0, id: '', function: { name: '', arguments: '}' } }),
  )
  expect(parts.filter(({ type }) => type === 'tool-call')).toMatchObject([{ call: 0, id: 'a' }])
  expect(parts.filter(({ type }) => type === 'arguments')).toMatchObject([
    { call: 0, json: '{' },
    { call: 0, json: '}' },
  ])
})

test('an answer has the name that comes with it, not the empty one of what Azure thinks of the prompt', () => {
  const [first] = played(
    { id: '', created: 0, model: '', object: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
    { id: 'chatcmpl-1', created: 7, model: 'gpt-5', choices: [{ index: 0, delta: { role: 'assistant' } }] },
  )
  expect(first).toEqual({ type: 'start', id: 'chatcmpl-1', model: 'gpt-5', createdAt: 7 })
})

test('usage that stands in the choice that ends is read', () => {
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
  const parts = played({ id: 'a', choices: [{ index: 0, delta: {}, finish_reason: 'stop', usage }] })
  expect(parts.at(-1)).toMatchObject({ type: 'usage', usage: { input: 9, output: 3 } })
})

test.each<[string, object]>([
  [
    'beside choices',
    { error: { message: 'overloaded' }, choices: [{ delta: { content: '' }, finish_reason: 'error' }] },
  ],
  ['within one', { choices: [{ error: { message: 'overloaded' }, delta: {}, finish_reason: 'error' }] }],
])('an error that OpenRouter tells %s is one, in a stream and in an answer', (_, chunk) => {
  expect(played({ id: 'a', ...chunk })).toMatchObject([{ type: 'error', message: 'overloaded' }])
  expect(() => openai.decodeChat({ id: 'a', ...chunk })).toThrow('overloaded')
})

test('calls without ids, or with empty ones, have names that no other answer’s have', () => {
  const call = { id: '', function: { name: 'f', arguments: '{}' } }
  const ids = ['a', 'b'].flatMap((id) => {
    const choices = [{ message: { tool_calls: [call, { ...call, id: undefined }] }, finish_reason: 'tool_calls' }]
    const streamed = played({ id, choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...call }] } }] })
    return [
      byKind(openai.decodeChat({ id, choices }).choices[0]!.content).toolCalls.map((one) => one.id),
      streamed.flatMap((part) => (part.type === 'tool-call' ? [part.id] : [])),
    ]
  })
  expect(ids).toEqual([['call_a_0_0', 'call_a_0_1'], ['call_a_0_0'], ['call_b_0_0', 'call_b_0_1'], ['call_b_0_0']])
})
