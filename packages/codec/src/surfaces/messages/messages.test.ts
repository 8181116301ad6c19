import Anthropic from '@anthropic-ai/sdk'
import { describe, expect, test } from 'vitest'
import { fixture, golden } from '../../../fixtures/anthropic/golden.ts'
import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import { anthropic } from '../../dialects/anthropic/dialect.ts'
import { SseEvents } from '../../sse-events.ts'
import type { AnswerContext } from '../../surface.ts'
import { countTokens, writeTokenCount } from './count-tokens.ts'
import { messages } from './messages.ts'

const PNG = { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' }
const cached = { cache_control: { type: 'ephemeral', ttl: '1h' } }

/** Everything that a request may have and that another provider may be asked. */
const REQUEST = {
  model: 'claude-opus-4-8',
  max_tokens: 4096,
  system: [{ type: 'text', text: 'Be brief.', ...cached }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'image', source: PNG },
        { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
        { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, title: 'a' },
        { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Text.' } },
        { type: 'text', text: 'Compare.', cache_control: { type: 'ephemeral' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
        { type: 'redacted_thinking', data: 'ZW5j' },
        { type: 'text', text: 'Let me see.' },
        { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Ulm' } },
        { type: 'tool_use', id: 'toolu_2', name: 'weather', input: {}, ...cached },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 'toolu_1',
          content: [
            { type: 'text', text: 'A' },
            { type: 'image', source: PNG },
          ],
        },
        { type: 'tool_result', tool_use_id: 'toolu_2', content: 'No such city.', is_error: true, ...cached },
        { type: 'text', text: 'And?' },
      ],
    },
    { role: 'system', content: [{ type: 'text', text: 'Hurry.' }] },
  ],
  tools: [
    { name: 'weather', description: 'Of a city.', input_schema: { type: 'object', properties: {} }, ...cached },
    { type: 'web_search_20250305', name: 'web_search', max_uses: 2 },
  ],
  tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  thinking: { type: 'adaptive' },
  output_config: {
    effort: 'low',
    format: { type: 'json_schema', schema: { type: 'object', properties: {}, additionalProperties: false } },
  },
  stop_sequences: ['END'],
  metadata: { user_id: 'u-1' },
  service_tier: 'standard_only',
  stream: true,
}

describe('a Messages request', () => {
  test('is read in all its parts', () => {
    const read = messages.readRequest(REQUEST)
    expect(read).toEqual(golden('messages.read.json', read))
  })

  test('comes out of Anthropic’s own dialect as it went in', () => {
    const unsupported = (param: string) => expect.unreachable(param)
    const target = { model: REQUEST.model, hosting: 'native' as const, outputTokensMax: null, unsupported }
    expect(anthropic.encodeChat(messages.readRequest(REQUEST), target).body).toEqual(REQUEST)
  })

  test('without max_tokens may only be counted', () => {
    const { max_tokens: _, ...body } = REQUEST
    expect(() => messages.readRequest(body)).toThrow(expect.objectContaining({ status: 400, param: 'max_tokens' }))
    expect(countTokens.readRequest(body).messages.length).toBe(messages.readRequest(REQUEST).messages.length)
    expect(writeTokenCount(7)).toEqual({ input_tokens: 7 })
  })

  const small = { max_tokens: 10, messages: [{ role: 'user', content: 'Hi.' }] }

  test.each<[JsonObject, object]>([
    [
      { thinking: { type: 'enabled', budget_tokens: 2000 } },
      { reasoning: { effort: null, budget: 2000, summary: null } },
    ],
    [{ thinking: { type: 'disabled' } }, { reasoning: { effort: 'none', budget: null, summary: null } }],
    [{ output_config: { effort: 'max' } }, { reasoning: { effort: 'xhigh', budget: null, summary: null } }],
    [{ tools: [{ name: 'a', input_schema: {} }], tool_choice: { type: 'any' } }, { toolChoice: { type: 'required' } }],
    [{ tool_choice: { type: 'tool', name: 'a' } }, { toolChoice: { type: 'function', name: 'a' } }],
    [{ tool_choice: { type: 'none' } }, { toolChoice: { type: 'none' }, parallelToolCalls: null }],
    [
      { temperature: 0.3, top_k: 5, top_p: 0.5 },
      { temperature: 0.3, topK: 5, topP: 0.5 },
    ],
  ])('%j is understood', (more, expected) => {
    expect(messages.readRequest({ ...small, ...more })).toMatchObject(expected)
  })

  test('hints to Anthropic’s servers stay behind, what only they can do is told apart, and the rest rides along', () => {
    const { rest, anthropicOnly } = messages.readRequest({
      ...{ ...small, context_management: { edits: [] }, container: 'c', inference_geo: 'us' },
    })
    expect({ rest, anthropicOnly }).toEqual({ rest: { inference_geo: 'us' }, anthropicOnly: { container: 'c' } })
  })

  const of = (block: JsonObject, role = 'user') => ({ messages: [{ role, content: [block] }] })

  test.each<[string, JsonObject]>([
    ['messages', { messages: [] }],
    ['messages[0].role', { messages: [{ role: 'tool', content: 'x' }] }],
    ['messages[0].content', { messages: [{ role: 'user', content: 5 }] }],
    ['messages[0].content[0].tool_use_id', of({ type: 'tool_result' })],
    ['messages[0].content[0].type', of({ text: 'Hi.' }, 'assistant')],
    ['messages[0].content[0].source', of({ type: 'image', source: 'ftp' })],
    ['thinking.type', { thinking: { type: 5 } }],
    ['output_config.effort', { output_config: { effort: 5 } }],
    ['tool_choice.type', { tool_choice: {} }],
    ['stop_sequences[0]', { stop_sequences: [5] }],
  ])('is refused by the name of what is wrong: %s', (param, more) => {
    expect(() => messages.readRequest({ ...small, ...more })).toThrow(expect.objectContaining({ status: 400, param }))
  })

  const search = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'x' } }
  const caller = { type: 'code_execution_20260120', tool_id: 'srvtoolu_2' }
  const found = { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] }

  test.each<[string, JsonObject]>([
    ['messages[0].content[0]', of({ ...search, caller }, 'assistant')],
    ['messages[0].content[0]', of(found, 'assistant')],
    ['messages[0].content[0]', of({ type: 'compaction', content: 'They spoke of rivers.' }, 'assistant')],
    ['messages[0].content[0]', of({ type: 'of_tomorrow', half: [{ type: 'x' }] }, 'assistant')],
    ['messages[0].content[0]', of({ type: 'container_upload', file_id: 'file_1' })],
    [
      'messages[0].content[0].content[0]',
      of({ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'tool_reference', tool_name: 'b' }] }),
    ],
    ['messages[0].content[0]', of({ type: 'tool_addition', tool: { type: 'tool_reference', name: 'b' } }, 'system')],
    ['system[0]', { system: [{ type: 'of_tomorrow' }] }],
    ['messages[0].content[0].source', of({ type: 'image', source: { type: 'ftp' } })],
    [
      'messages[0].content[0].citations',
      of({ type: 'document', source: { type: 'url', url: 'https://a' }, citations: { enabled: true } }),
    ],
    ['thinking.type', { thinking: { type: 'deep' } }],
    ['output_config.effort', { output_config: { effort: 'huge' } }],
    ['output_config.format.type', { output_config: { format: { type: 'grammar' } } }],
    ['tool_choice.type', { tool_choice: { type: 'required' } }],
  ])('is noted as what can’t be translated: %s, %j', (param, more) => {
    expect(messages.readRequest({ ...small, ...more }).untranslatable).toMatchObject([{ param }])
  })

  test('of a page that was fetched the file isn’t read by its bytes', () => {
    const source = { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0='.repeat(1000) }
    const content = { type: 'web_fetch_result', url: 'https://a', content: { type: 'document', source } }
    const fetched = { type: 'web_fetch_tool_result', tool_use_id: 'srvtoolu_1', content }
    const [other] = messages.readRequest({ ...small, ...of(fetched, 'assistant') }).untranslatable!
    expect(JSON.stringify(other!.raw)).not.toContain('JVBERi0=')
    expect(other!.media).toMatchObject([{ type: 'document', source: { kind: 'base64', data: source.data } }])
  })

  test('brings no tool by value that would be billed and isn’t held for', () => {
    const brought = (definition: JsonObject) => () =>
      messages.readRequest({
        ...small,
        ...of({ type: 'tool_addition', tool: { type: 'tool_definition', definition } }, 'system'),
      })
    const refused = expect.objectContaining({ status: 400, param: 'messages[0].content[0]' })
    expect(brought({ type: 'web_search_20260318', name: 'web_search' })).toThrow(refused)
    expect(brought({ type: 'of_tomorrow', name: 'x' })).toThrow(refused)
    expect(brought({ name: 'weather', input_schema: { type: 'object' } })).not.toThrow()
    expect(brought({ type: 'bash_20250124', name: 'bash' })).not.toThrow()
  })
})

const context: AnswerContext = {
  id: 'abcdefghijklmnopqrstuvwx',
  model: 'some-model',
  createdAt: 1,
  request: messages.readRequest(REQUEST),
  body: REQUEST,
}
const ANSWER = JSON.parse(fixture('thoughts-and-tools.response.json'))
const END = { wantsUsage: false, cost: null, early: null }

function partsOf(text: string): StreamPart[] {
  const decoder = anthropic.decodeStream()
  const events = new SseEvents()
  return [...events.push(Buffer.from(text)), ...events.end()].flatMap((event) => decoder.decode(event))
}

function write(parts: readonly StreamPart[]): string {
  const writer = messages.writeStream(context)
  const usage = parts.findLast((part) => part.type === 'usage')?.usage ?? { input: 1, output: 1 }
  return parts.map((part) => writer.write([part])).join('') + writer.end({ ...END, usage })
}

describe('an answer', () => {
  test('says the same in Anthropic’s words', () => {
    const answer = anthropic.decodeChat(ANSWER)
    const { annotations: _, ...choice } = answer.choices[0]!
    const again = anthropic.decodeChat(messages.writeAnswer(answer, context))
    expect(again).toMatchObject({ ...answer, choices: [choice] })
  })

  test('has an id and a model where the provider gave none, and loses no arguments that are no JSON', () => {
    const answer = anthropic.decodeChat({ ...ANSWER, id: undefined, model: undefined })
    const call = { type: 'call' as const, id: 'call_1', name: 'a', arguments: '{"half":', signature: null }
    const written = messages.writeAnswer({ ...answer, choices: [{ ...answer.choices[0]!, content: [call] }] }, context)
    expect(written).toMatchObject({ id: 'msg_abcdefghijklmnopqrstuvwx', model: 'some-model', stop_reason: 'tool_use' })
    expect((written.content as JsonObject[]).at(-1)).toMatchObject({ input: { INVALID_JSON: '{"half":' } })
  })

  test.each([
    ['stop', null, null, 'end_turn'],
    ['stop', 'END', null, 'stop_sequence'],
    ['stop', null, 'No.', 'refusal'],
    ['length', null, null, 'max_tokens'],
    ['content_filter', null, null, 'refusal'],
  ] as const)('that ended for %s (%s, %s) ended for %s', (finish, stopSequence, refusal, reason) => {
    const answer = anthropic.decodeChat(ANSWER)
    const content = refusal === null ? [] : [{ type: 'refusal' as const, text: refusal }]
    const choice = { ...answer.choices[0]!, finish, stopSequence, content }
    const written = messages.writeAnswer({ ...answer, choices: [choice] }, context)
    expect(written).toMatchObject({ stop_reason: reason, stop_sequence: stopSequence })
  })
})

describe('a stream', () => {
  const parts = partsOf(fixture('thoughts-and-tools.stream.txt')).filter(({ type }) => type !== 'annotations')

  test('says the same in Anthropic’s events', () => {
    const said = partsOf(write(parts)).map((part) => (part.type === 'usage' ? { ...part, serviceTier: null } : part))
    expect(said).toEqual(parts.map((part) => (part.type === 'usage' ? { ...part, serviceTier: null } : part)))
  })

  test('is read by the official SDK', async () => {
    const fetch = async () => new Response(write(parts), { headers: { 'content-type': 'text/event-stream' } })
    const client = new Anthropic({ apiKey: 'any', fetch, logLevel: 'off' })
    const user = { role: 'user' as const, content: 'Hi.' }
    const message = await client.messages.stream({ model: 'm', max_tokens: 5, messages: [user] }).finalMessage()
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Two cities.', signature: 'c2lnbmVk' },
      { type: 'redacted_thinking', data: 'ZW5jcnlwdGVk' },
      { type: 'text', text: 'Grüße 🌍' },
      { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Ulm' } },
      { type: 'tool_use', id: 'toolu_2', name: 'now', input: {} },
    ])
    expect(message).toMatchObject({ stop_reason: 'tool_use', usage: { input_tokens: 10, output_tokens: 50 } })
  })

  const call = (n: number): StreamPart => ({
    ...{ type: 'tool-call', choice: 0, call: n, name: `f${n}` },
    id: `c${n}`,
    signature: null,
  })
  const json = (n: number, text: string): StreamPart => ({ type: 'arguments', choice: 0, call: n, json: text })
  const finish: StreamPart = { type: 'finish', choice: 0, reason: 'tool_calls', stopSequence: null }

  test('keeps calls apart whose arguments come by turns', () => {
    const mixed = [call(0), call(1), json(0, '{"a"'), json(1, '{"b"'), json(0, ':1}'), json(1, ':2}'), finish]
    const text = write(mixed)
    const said = partsOf(text)
    const of = (n: number) =>
      said.map((part) => (part.type === 'arguments' && part.call === n ? part.json : '')).join('')
    expect([of(0), of(1)]).toEqual(['{"a":1}', '{"b":2}'])
    const kinds = new SseEvents().push(Buffer.from(text)).map(({ type }) => type)
    const blocks = kinds.filter((type) => type === 'content_block_start' || type === 'content_block_stop')
    expect(blocks).toEqual(['content_block_start', 'content_block_stop', 'content_block_start', 'content_block_stop'])
  })

  test('that is ended early says that it came to its cap', () => {
    const writer = messages.writeStream(context)
    const begun = writer.write([{ type: 'text', choice: 0, text: 'Hi' }])
    const text = begun + writer.end({ ...END, usage: { input: 3, output: 1 }, cost: 0.5, early: { nemo: 'enough' } })
    const events = new SseEvents().push(Buffer.from(text)).map(({ data }) => JSON.parse(data))
    expect(events.map(({ type }) => type)).toEqual([
      ...['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop'],
      ...['message_delta', 'message_stop'],
    ])
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'max_tokens' }, usage: { cost: 0.5 }, nemo: 'enough' })
  })

  test('that fails ends with Anthropic’s error event', () => {
    const error = { status: 502, message: 'No.', type: 'api_error', param: null, code: 'upstream_failed', details: {} }
    expect(messages.writeStream(context).fail(error)).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"No.","param":null,"code":"upstream_failed"}}\n\n',
    )
  })
})

test.each([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [500, 'api_error'],
  [503, 'overloaded_error'],
])('an error of status %d is a %s', (status, type) => {
  const error = { status, message: 'No.', type: 'x', param: 'model', code: 'c', details: { limit: 5 } }
  expect(messages.writeError(error)).toEqual({
    type: 'error',
    error: { type, message: 'No.', param: 'model', code: 'c', limit: 5 },
  })
})
