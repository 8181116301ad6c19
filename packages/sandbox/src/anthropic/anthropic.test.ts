import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'

let sandbox: Sandbox
let client: Anthropic

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new Anthropic({
    apiKey: 'sk-ant-any',
    baseURL: `${sandbox.origin}/anthropic`,
    maxRetries: 0,
    logLevel: 'off',
  })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

type Params = Partial<Anthropic.MessageCreateParamsNonStreaming> & { sandbox?: object }

const user: Anthropic.MessageParam[] = [{ role: 'user', content: 'Say something about rivers.' }]
const weather: Anthropic.Tool = {
  name: 'weather',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } },
    required: ['city', 'days'],
  },
}

function params(more: Params): Anthropic.MessageCreateParamsNonStreaming {
  return { model: 'sandbox-claude', max_tokens: 4000, messages: user, ...more }
}

const ask = (more: Params = {}) => client.messages.create(params(more))
const stream = (more: Params = {}) => client.messages.stream(params(more)).finalMessage()

/** Without what SDKs add, and without the id, which is that of the bytes that were sent. */
function bare(message: Anthropic.Message): unknown {
  const { id, _request_id, parsed_output, container, diagnostics, ...rest } = message as unknown as Record<
    string,
    unknown
  >
  const content = (rest.content as Record<string, unknown>[]).map(({ parsed_output, ...block }) => block)
  const { output_tokens_details, cache_creation, service_tier, ...usage } = rest.usage as Record<string, unknown>
  return { ...rest, content, usage, stop_details: rest.stop_details ?? null }
}

test.each<[string, Params]>([
  ['text', {}],
  ['thoughts and text', { thinking: { type: 'enabled', budget_tokens: 1024 }, sandbox: { reasoning_tokens: 12 } }],
  ['parallel tool calls', { tools: [weather], sandbox: { tool_calls: 3 } }],
  ['a text that its cap cuts off', { max_tokens: 5 }],
  ['a refusal', { sandbox: { refusal: true } }],
  ['multibyte text', { sandbox: { unicode: true } }],
])('the official SDK reads the same from a stream as from a plain answer: %s', async (_, more) => {
  const plain = await ask(more)
  expect(bare(await stream(more))).toEqual(bare(plain))
  expect(plain.type).toBe('message')
})

test('the answer counts what it is made of', async () => {
  const message = await ask({ system: 'Be brief.', sandbox: { tokens: 7, reasoning_tokens: 5, cached_tokens: 4 } })
  const prompt = Math.ceil((27 + 9) / 4) + 3 * 2 + 3
  expect(message.usage).toMatchObject({
    input_tokens: prompt - 4,
    cache_read_input_tokens: 4,
    cache_creation_input_tokens: 0,
    output_tokens: 12,
    output_tokens_details: { thinking_tokens: 5 },
  })
  expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text'])
  expect(message.stop_reason).toBe('end_turn')
})

test('what is marked for the cache is written to it, for as long as the mark says', async () => {
  const marked = (ttl: '5m' | '1h') =>
    ask({ system: [{ type: 'text', text: 'x'.repeat(400), cache_control: { type: 'ephemeral', ttl } }] })
  expect((await marked('5m')).usage.cache_creation?.ephemeral_5m_input_tokens).toBe(58)
  expect((await marked('1h')).usage.cache_creation?.ephemeral_1h_input_tokens).toBe(58)
})

test('a loop with tools and signed thoughts runs to its end', async () => {
  const more: Params = { tools: [weather], thinking: { type: 'enabled', budget_tokens: 1024 } }
  const first = await ask(more)
  expect(first.stop_reason).toBe('tool_use')
  const calls = first.content.filter((block) => block.type === 'tool_use')
  const results = calls.map(({ id }) => ({ type: 'tool_result' as const, tool_use_id: id, content: 'Rain.' }))
  const messages: Anthropic.MessageParam[] = [
    ...user,
    { role: 'assistant', content: first.content as Anthropic.ContentBlockParam[] },
    { role: 'user', content: results },
  ]
  expect((await ask({ ...more, messages })).stop_reason).toBe('end_turn')
})

test('an altered thought is refused, a sealed one is known again', async () => {
  const sealed = await ask({
    messages: [{ role: 'user', content: 'ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING' }],
    thinking: { type: 'enabled', budget_tokens: 1024 },
  })
  expect(sealed.content[0]?.type).toBe('redacted_thinking')
  const again = (content: unknown) =>
    ask({
      messages: [...user, { role: 'assistant', content: content as Anthropic.ContentBlockParam[] }, ...user],
    })
  expect((await again(sealed.content)).stop_reason).toBe('end_turn')
  const thought = { type: 'thinking', thinking: 'something else', signature: 'AAAA' }
  await expect(again([thought, { type: 'text', text: 'Hi.' }])).rejects.toThrow(/Invalid `signature`/)
})

const assistant = (content: unknown): Anthropic.MessageParam => ({ role: 'assistant', content: content as never })
const call = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }

test.each<[string, object, RegExp]>([
  ['max_tokens missing', { max_tokens: undefined }, /max_tokens: Field required/],
  ['an unknown field', { nemo_tags: [] }, /nemo_tags: Extra inputs are not permitted/],
  ['an assistant first', { messages: [assistant('Hi.'), ...user] }, /first message must use the/],
  ['an open tool call', { messages: [...user, assistant([call]), ...user] }, /without `tool_result` blocks/],
  [
    'a result of nothing',
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_2', content: '' }] }] },
    /unexpected `tool_use_id`/,
  ],
  ['an empty text', { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] }, /must be non-empty/],
  ['a budget above the cap', { thinking: { type: 'enabled', budget_tokens: 5000 } }, /must be greater than/],
  ['a tool that isn’t there', { tools: [weather], tool_choice: { type: 'tool', name: 'x' } }, /not found/],
  [
    'an open schema',
    { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
    /'additionalProperties' must be explicitly set to false/,
  ],
  ['a system message first', { messages: [{ role: 'system', content: 'Hi.' }, ...user] }, /first message|must follow/],
])('is refused as Anthropic refuses it: %s', async (_, more, message) => {
  const refusal = await ask(more as Params).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(Anthropic.BadRequestError)
  expect((refusal as Error).message).toMatch(message)
  expect((refusal as InstanceType<typeof Anthropic.APIError>).type).toBe('invalid_request_error')
})

test('a key and a version must be there', async () => {
  const post = (headers: Record<string, string>) =>
    fetch(`${sandbox.origin}/anthropic/v1/messages`, { method: 'POST', headers, body: '{}' })
  expect((await post({})).status).toBe(401)
  expect((await post({ authorization: 'Bearer any' })).status).toBe(400)
  expect(await (await post({ 'x-api-key': 'any' })).json()).toEqual({
    type: 'error',
    error: { type: 'invalid_request_error', message: 'anthropic-version: header is required' },
  })
  const found = await post({ 'x-api-key': 'any', 'anthropic-version': '2023-06-01' })
  expect(found.headers.get('request-id')).toMatch(/^req_/)
  expect(found.headers.get('openai-version')).toBeNull()
})

test('the newer version of the API refuses what it has no more', async () => {
  await expect(ask({ temperature: 1 } as Params)).rejects.toThrow(/temperature: Extra inputs are not permitted/)
  const headers = { 'anthropic-version': '2023-06-01' }
  const older = await client.messages.create(params({ temperature: 0.5 } as Params), { headers })
  expect(older.stop_reason).toBe('end_turn')
})

test('failures look like Anthropic’s, before a stream and amid it', async () => {
  const before = await ask({ sandbox: { status: 529, retry_after: 2, rate_limit_headers: true } }).catch(
    (error) => error,
  )
  expect(before.status).toBe(529)
  expect(before.type).toBe('overloaded_error')
  expect(before.headers.get('retry-after')).toBe('2')
  expect(before.headers.get('anthropic-ratelimit-requests-limit')).toBe('4000')
  await expect(stream({ sandbox: { stream_error_after: 3 } })).rejects.toThrow(/overloaded_error/)
  await expect(stream({ sandbox: { cut_at_byte: 900 } })).rejects.toThrow()
  await expect(stream({ sandbox: { malformed: true } })).rejects.toThrow()
})

test('a stream has Anthropic’s events in Anthropic’s order, and without its end where that is asked for', async () => {
  const read = async (more: Params) => {
    const names: string[] = []
    for await (const event of await client.messages.create({ ...params(more), stream: true })) names.push(event.type)
    return names
  }
  const block = ['content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop']
  const whole = ['message_start', ...block, 'message_delta', 'message_stop']
  expect(await read({ sandbox: { tokens: 2 } })).toEqual(whole)
  expect(await read({ sandbox: { tokens: 2, no_done: true } })).toEqual(whole.slice(0, -1))
  expect(await read({ sandbox: { tokens: 2, chunk_bytes: 7, crlf: true, comments: true } })).toEqual(whole)
})

test('tokens are counted and models are listed', async () => {
  const { input_tokens } = await client.messages.countTokens({ model: 'claude-opus-4-6', messages: user })
  expect(input_tokens).toBe((await ask()).usage.input_tokens)
  expect((await client.models.list()).data[0]).toMatchObject({ type: 'model', id: 'sandbox-claude' })
  expect(await client.models.retrieve('claude-opus-4-6')).toMatchObject({ id: 'claude-opus-4-6' })
})

test('a stop sequence is named, and a schema is satisfied', async () => {
  const said = (await ask()).content[0]
  const word = said?.type === 'text' ? said.text.split(' ')[3]! : ''
  expect(await ask({ stop_sequences: [word] })).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: word })
  const schema = {
    type: 'object',
    properties: { ok: { type: 'boolean' } },
    required: ['ok'],
    additionalProperties: false,
  }
  const answer = (await ask({ output_config: { format: { type: 'json_schema', schema } } })).content[0]
  expect(JSON.parse(answer?.type === 'text' ? answer.text : '')).toEqual({ ok: expect.any(Boolean) })
})

const search: Anthropic.WebSearchTool20250305 = { type: 'web_search_20250305', name: 'web_search' }

test('what was searched for goes back as it came, and nothing else does', async () => {
  const { content } = await ask({ tools: [search] })
  expect(content.map(({ type }) => type)).toEqual(['server_tool_use', 'web_search_tool_result', 'text'])
  const goOn = (blocks: Anthropic.ContentBlockParam[]) =>
    ask({ tools: [search], messages: [...user, { role: 'assistant', content: blocks }, ...user] })
  const [used, found, said] = content as [
    Anthropic.ServerToolUseBlock,
    Anthropic.WebSearchToolResultBlock,
    Anthropic.TextBlock,
  ]
  await expect(goOn(content)).resolves.toMatchObject({ type: 'message' })
  await expect(goOn([found, said])).rejects.toThrow('must have a corresponding `server_tool_use` block before it')
  await expect(goOn([used, said])).rejects.toThrow('without a corresponding `web_search_tool_result` block')
  const page = { type: 'web_search_result' as const, title: 'a', url: 'https://a', encrypted_content: 'forged' }
  await expect(goOn([used, { ...found, content: [page] }, said])).rejects.toThrow('Invalid `encrypted_content`')
  await expect(goOn([{ ...used, id: 'toolu_1' }, found, said])).rejects.toThrow('srvtoolu_')
})

test('a result may refer to tools that were found', async () => {
  const { content } = await ask({ tools: [weather] })
  const [call] = content.filter((block) => block.type === 'tool_use')
  const result = (type: 'tool_reference' | 'container_upload') => [
    {
      type: 'tool_result' as const,
      tool_use_id: call!.id,
      content: [{ type, tool_name: 'weather' } as Anthropic.ToolReferenceBlockParam],
    },
  ]
  const goOn = (blocks: Anthropic.ContentBlockParam[]) =>
    ask({ tools: [weather], messages: [...user, { role: 'assistant', content }, { role: 'user', content: blocks }] })
  await expect(goOn(result('tool_reference'))).resolves.toMatchObject({ stop_reason: 'end_turn' })
  await expect(goOn(result('container_upload'))).rejects.toThrow('is not one of')
})
