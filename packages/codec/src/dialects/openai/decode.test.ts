import { expect, test } from 'vitest'
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
    { toolCalls: [{ id: 'call_0', name: 'f', arguments: '{"a":1}' }] },
  ],
])('what %s says is read', (_, said, expected) => {
  expect(message(said).choices[0]).toMatchObject(expected)
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
