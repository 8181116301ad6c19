import { ApiError } from '@nemo/domain/errors'
import fc from 'fast-check'
import type OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import type { StreamPart } from '../../chat/answer.ts'
import type { Target } from '../../dialect.ts'
import { openai } from '../../dialects/openai/dialect.ts'
import { SseEvents } from '../../sse-events.ts'
import { chat } from './chat.ts'

const target: Target = {
  model: 'gpt-5',
  hosting: 'native',
  outputTokensMax: null,
  unsupported: (param) => {
    throw new Error(`${param} is not supported`)
  },
}
const encode = (body: object) => openai.encodeChat(chat.readRequest(body as Record<string, unknown>), target).body

/** All that OpenAI documents, as its own types have it (https://platform.openai.com/docs/api-reference/chat/create). */
const everything = {
  model: 'gpt-5',
  messages: [
    { role: 'developer', content: 'Be brief.' },
    { role: 'system', content: 'Be kind.', name: 'house' },
    {
      role: 'user',
      name: 'ann',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
        { type: 'file', file: { file_id: 'file-1' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
        { id: 'call_2', type: 'function', function: { name: 'clock', arguments: '' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
    { role: 'tool', tool_call_id: 'call_2', content: 'Noon.' },
    { role: 'assistant', content: 'It rains.', refusal: 'And no more.' },
    { role: 'user', content: 'Thanks.' },
  ],
  tools: [
    {
      type: 'function',
      function: { name: 'weather', description: 'Of a city.', parameters: { type: 'object' }, strict: true },
    },
    { type: 'function', function: { name: 'clock' } },
    { type: 'custom', custom: { name: 'free' } },
  ],
  tool_choice: {
    type: 'allowed_tools',
    allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] },
  },
  parallel_tool_calls: false,
  max_completion_tokens: 100,
  temperature: 0.5,
  top_p: 0.9,
  frequency_penalty: 0.1,
  presence_penalty: 0.2,
  seed: 7,
  stop: ['END'],
  n: 2,
  logprobs: true,
  top_logprobs: 3,
  logit_bias: { '50256': -100 },
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' }, strict: true } },
  reasoning_effort: 'low',
  user: 'ann',
  service_tier: 'flex',
  prompt_cache_key: 'k',
  store: false,
  metadata: { a: 'b' },
  verbosity: 'low',
} satisfies OpenAI.ChatCompletionCreateParams

test('a request that is read and written anew says all that it said', () => {
  expect(encode(everything)).toEqual(everything)
  const streamed = { ...everything, stream: true }
  expect(encode(streamed)).toEqual({ ...streamed, stream_options: { include_usage: true } })
})

test.each([['auto'], ['none'], ['required'], [{ type: 'function', function: { name: 'weather' } }]])(
  'tool_choice %j survives',
  (tool_choice) => {
    expect(encode({ ...everything, tool_choice }).tool_choice).toEqual(tool_choice)
  },
)

test('fields that nobody here knows ride along, and so do those of other servers of the dialect', () => {
  const more = {
    top_k: 5,
    min_p: 0.1,
    repetition_penalty: 1.1,
    chat_template_kwargs: { thinking: true },
    guided_json: {},
  }
  expect(encode({ ...everything, ...more })).toMatchObject(more)
})

test('thoughts that are sent back go out as they came', () => {
  const details = [
    { type: 'reasoning.text', text: 'Hm.', signature: 'sig', index: 0 },
    { type: 'reasoning.encrypted', data: 'xyz', index: 1 },
  ]
  const said = { role: 'assistant', content: 'Yes.', reasoning_content: 'Hm.', reasoning_details: details }
  const sent = encode({ model: 'm', messages: [said] }).messages
  expect(sent).toEqual([said])
  const blocks = [
    { type: 'thinking', thinking: 'Hm.', signature: 'sig' },
    { type: 'redacted_thinking', data: 'xyz' },
  ]
  expect(
    encode({ model: 'm', messages: [{ role: 'assistant', content: 'Yes.', thinking_blocks: blocks }] }).messages,
  ).toEqual(sent)
})

test('a tool without a type is a function if it has one', () => {
  const read = chat.readRequest({ ...everything, tools: [{ function: { name: 'clock' } }, { googleSearch: {} }] })
  expect(read.tools).toMatchObject([{ type: 'function', name: 'clock' }, { type: 'other' }])
})

test('functions of before there were tools become tools, and their results are told apart by name', () => {
  const { messages, tools, tool_choice } = encode({
    model: 'm',
    messages: [
      { role: 'user', content: 'x' },
      { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{}' } },
      { role: 'function', name: 'weather', content: 'Rain.' },
    ],
    functions: [{ name: 'weather' }],
    function_call: { name: 'weather' },
  })
  expect([messages, tools, tool_choice]).toEqual([
    [
      { role: 'user', content: 'x' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_weather', type: 'function', function: { name: 'weather', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'call_weather', content: 'Rain.' },
    ],
    [{ type: 'function', function: { name: 'weather' } }],
    { type: 'function', function: { name: 'weather' } },
  ])
})

const user = [{ role: 'user', content: 'x' }]
test.each<[object, string]>([
  [{}, 'messages'],
  [{ messages: [] }, 'messages'],
  [{ messages: ['x'] }, 'messages[0]'],
  [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
  [{ messages: [{ role: 'user', content: [{ type: 'smell' }] }] }, 'messages[0].content[0].type'],
  [
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
    'messages[0].content[0].image_url.url',
  ],
  [{ messages: [{ role: 'user', content: [{ type: 'file', file: {} }] }] }, 'messages[0].content[0].file'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
  [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }] }, 'messages[0].tool_calls[0].function'],
  [{ messages: user, tools: {} }, 'tools'],
  [{ messages: user, tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
  [{ messages: user, tool_choice: 'maybe' }, 'tool_choice'],
  [{ messages: user, response_format: { type: 'xml' } }, 'response_format.type'],
  [{ messages: user, response_format: { type: 'json_schema', json_schema: {} } }, 'response_format.json_schema.name'],
  [{ messages: user, n: 0 }, 'n'],
  [{ messages: user, max_tokens: 1.5 }, 'max_tokens'],
  [{ messages: user, temperature: 'warm' }, 'temperature'],
  [{ messages: user, stop: [1] }, 'stop[0]'],
  [{ messages: user, top_logprobs: 2 }, 'top_logprobs'],
  [{ messages: user, reasoning_effort: 'huge' }, 'reasoning_effort'],
  [
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'x', cache_control: { type: 'forever' } }] }] },
    'messages[0].content[0].cache_control.type',
  ],
])('%j is refused by %s', (body, param) => {
  try {
    chat.readRequest(body as Record<string, unknown>)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError)
    expect((error as ApiError).param).toBe(param)
  }
})

const context = {
  id: 'x'.repeat(24),
  model: 'm',
  createdAt: 1,
  request: chat.readRequest({ messages: user }),
  body: {},
}

/** Any stream of one choice, as a provider could tell it. */
const streams = fc
  .record({
    thoughts: fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }),
    texts: fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 8 }),
    calls: fc.array(fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }), { maxLength: 3 }),
  })
  .map(({ thoughts, texts, calls }): StreamPart[] => [
    { type: 'start', id: 'chatcmpl-1', model: 'gpt-5', createdAt: 1 },
    ...thoughts.map(
      (text): StreamPart => ({ type: 'reasoning', choice: 0, block: 0, text, signature: null, encrypted: null }),
    ),
    ...texts.map((text): StreamPart => ({ type: 'text', choice: 0, text })),
    ...calls.flatMap((pieces, call): StreamPart[] => [
      { type: 'tool-call', choice: 0, call, id: `call_${call}`, name: 'f', signature: null },
      ...pieces.map((json): StreamPart => ({ type: 'arguments', choice: 0, call, json })),
    ]),
    { type: 'finish', choice: 0, reason: calls.length > 0 ? 'tool_calls' : 'stop', stopSequence: null },
  ])

describe('a stream that is written', () => {
  const usage = { input: 3, cachedInput: 4, output: 2, reasoning: 5 }
  const written = (parts: readonly StreamPart[]) => {
    const writer = chat.writeStream(context)
    return Buffer.from(writer.write(parts) + writer.end({ usage, wantsUsage: true, cost: null, early: null }))
  }
  const read = (pieces: Uint8Array[]) => {
    const [events, decoder] = [new SseEvents(), openai.decodeStream()]
    const parts = pieces
      .flatMap((piece) => events.push(piece))
      .concat(events.end())
      .flatMap((event) => decoder.decode(event))
    return { parts, done: decoder.done }
  }

  test('is read as the same parts, wherever its bytes are split', () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 20 }), (parts, cuts) => {
        const bytes = written(parts)
        const at = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b)
        const result = read([0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length)))
        expect(result).toEqual({
          parts: [...parts, { type: 'usage', usage, billedNanos: null, serviceTier: null }],
          done: true,
        })
      }),
    )
  })

  test('is never over before its last event', () => {
    fc.assert(
      fc.property(streams, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (parts, where) => {
        const bytes = written(parts)
        const cut = bytes.subarray(0, Math.floor(where * (bytes.length - '[DONE]\n\n'.length)))
        const [events, decoder] = [new SseEvents(), openai.decodeStream()]
        for (const event of events.push(cut)) decoder.decode(event)
        expect(decoder.done).toBe(false)
      }),
    )
  })

  test('that is ended early says of each choice that it ends for want of length', () => {
    const writer = chat.writeStream(context)
    writer.write([
      { type: 'start', id: null, model: null, createdAt: null },
      { type: 'text', choice: 0, text: 'a' },
    ])
    const end = writer.end({ usage, wantsUsage: false, cost: 0.1, early: { nemo: { notice: 'enough' } } })
    expect(end).toContain('"finish_reason":"length"')
    expect(end).toContain('"nemo":{"notice":"enough"}')
    expect(end.endsWith('data: [DONE]\n\n')).toBe(true)
  })
})
