import Anthropic from '@anthropic-ai/sdk'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { CHAT_PRICE, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** The unmodified `@anthropic-ai/sdk` against a real gateway whose provider speaks OpenAI's dialect. */
let world: World
let running: RunningGateway
let anthropic: Anthropic

beforeAll(async () => {
  world = await makeWorld()
  const baseUrl = `${world.sandbox.origin}/anthropic`
  const search = 10_000_000n * 1_000_000n
  await deployProvider(world, { provider: 'anthropic', baseUrl, price: { ...CHAT_PRICE, search } })
  running = await runGateway(world)
  anthropic = new Anthropic({ apiKey: world.researcher.key, baseURL: running.server.url, maxRetries: 0 })
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

const question = {
  model: 'sandbox-chat',
  max_tokens: 50,
  messages: [{ role: 'user' as const, content: 'Say something.' }],
}
const weather: Anthropic.Tool = {
  name: 'weather',
  description: 'The weather of a city.',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}
const lastBody = () => world.sandbox.stats(1).recent[0]!.body!

test('a message is answered, and charged what the provider billed', async () => {
  const { data, response } = await anthropic.messages.create({ ...question, system: 'Be brief.' }).withResponse()
  expect(data).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' })
  expect(data.content[0]).toMatchObject({ type: 'text' })
  expect(data.id).toMatch(/^msg_/)
  expect(lastBody().messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Say something.' },
  ])
  const row = await running.logOf(response.headers.get('x-nemo-request-id'))
  expect(row.usage).toMatchObject({ input: data.usage.input_tokens, output: data.usage.output_tokens })
  expect(Number(response.headers.get('x-nemo-request-cost'))).toBe(Number(row.cost_nanos) / 1e9)
})

test('a stream says what the plain answer says', async () => {
  const plain = await anthropic.messages.create(question)
  const stream = anthropic.messages.stream(question)
  const whole = await stream.finalMessage()
  expect(whole.content).toMatchObject(
    plain.content.map((block) => (block.type === 'text' ? { type: 'text', text: block.text } : {})),
  )
  expect(whole.usage.output_tokens).toBe(plain.usage.output_tokens)
  expect(whole.stop_reason).toBe(plain.stop_reason)
})

test('a tool is called, with its arguments streamed, and its result taken back', async () => {
  const ask = { ...question, tools: [weather], tool_choice: { type: 'any' as const } }
  const called = await anthropic.messages.stream(ask).finalMessage()
  expect(called.stop_reason).toBe('tool_use')
  const [call] = called.content.filter((block) => block.type === 'tool_use')
  expect(call).toMatchObject({ name: 'weather', input: { city: expect.any(String) } })
  const answered = await anthropic.messages.create({
    ...ask,
    tool_choice: { type: 'auto' },
    messages: [
      ...question.messages,
      { role: 'assistant', content: called.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: call!.id, content: 'Rain.' }] },
    ],
  })
  expect(answered.stop_reason).toBe('end_turn')
  expect(lastBody().messages).toMatchObject([
    { role: 'user' },
    { role: 'assistant', tool_calls: [{ id: call!.id, function: { name: 'weather' } }] },
    { role: 'tool', tool_call_id: call!.id, content: 'Rain.' },
  ])
})

test('errors come in the shape that the SDK reads', async () => {
  const unknown = anthropic.messages.create({ ...question, model: 'nothing' })
  await expect(unknown).rejects.toBeInstanceOf(Anthropic.NotFoundError)
  const stranger = new Anthropic({ apiKey: 'sk-nemo-nobody', baseURL: running.server.url, maxRetries: 0 })
  await expect(stranger.messages.create(question)).rejects.toBeInstanceOf(Anthropic.AuthenticationError)
  const { json, status } = await httpCall(`${running.url}/messages`, {
    key: world.researcher.key,
    body: { model: 'sandbox-chat', messages: question.messages },
  })
  expect([status, json]).toMatchObject([400, { type: 'error', error: { type: 'invalid_request_error' } }])
})

test('a stream that its provider cuts never ends cleanly', async () => {
  const cut = { ...question, stream: true as const, sandbox: { cut_at_byte: 2_000 } }
  const reading = (async () => {
    for await (const event of await anthropic.messages.create(cut)) if (event.type === 'message_stop') return 'clean'
    return 'over'
  })()
  await expect(reading).rejects.toThrow()
})

test('tokens are counted, by estimate', async () => {
  const { input_tokens } = await anthropic.messages.countTokens({ model: 'sandbox-chat', messages: question.messages })
  expect(input_tokens).toBeGreaterThan(3)
})

test('a stream whose budget runs out ends cleanly, as one that came to its cap', async () => {
  const bound = 1_500_000n // of nanodollars: two slices of output cost more
  const { key } = await world.issueKey(world.acme, 'short-of-money', [{ resource: 'cost', window: 'total', bound }])
  const client = new Anthropic({ apiKey: key, baseURL: running.server.url, maxRetries: 0 })
  const ask = { ...question, max_tokens: 4_000, sandbox: { tokens: 4_000 } }
  const message = await client.messages.stream(ask).finalMessage()
  expect(message.stop_reason).toBe('max_tokens')
  expect(message.usage.output_tokens).toBeGreaterThan(1_000)
  expect(message.usage.output_tokens).toBeLessThan(4_000)
})

const claude = { model: 'anthropic-chat', max_tokens: 50 }

test('a conversation goes on after a search, streamed or not, with what was found as it came', async () => {
  const tools: Anthropic.WebSearchTool20250305[] = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }]
  const ask = { ...claude, tools, messages: question.messages }
  const plain = await anthropic.messages.create(ask)
  const streamed = await anthropic.messages.stream(ask).finalMessage()
  for (const { content } of [plain, streamed]) {
    expect(content.map(({ type }) => type)).toEqual(['server_tool_use', 'web_search_tool_result', 'text'])
    const messages = [...ask.messages, { role: 'assistant' as const, content }, ...ask.messages]
    const { data, response } = await anthropic.messages.create({ ...ask, messages }).withResponse()
    expect(data.content.at(-1)).toMatchObject({ type: 'text' })
    expect(lastBody().messages).toEqual(JSON.parse(JSON.stringify(messages)))
    const row = await running.logOf(response.headers.get('x-nemo-request-id'))
    expect([row.loss_nanos, row.usage]).toMatchObject([0n, { search: 1 }])
    await expect(anthropic.messages.stream({ ...ask, messages }).finalMessage()).resolves.toMatchObject({
      stop_reason: 'end_turn',
    })
  }
})

const searched: Anthropic.ContentBlockParam[] = [
  { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'rivers' } },
  { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
  { type: 'text', text: 'The Rhine.' },
]
const goesOn = {
  max_tokens: 50,
  messages: [...question.messages, { role: 'assistant' as const, content: searched }, ...question.messages],
}

test('what only Claude can take is refused by its name elsewhere, passed over for Claude in a chain, and left out where that is wanted', async () => {
  const ask = (model: string, more: object, key = world.researcher.key) =>
    httpCall(`${running.url}/messages`, { key, body: { ...goesOn, model, ...more } })
  const refused = await ask('sandbox-chat', {})
  expect([refused.status, refused.json.error]).toMatchObject([
    400,
    { code: 'unsupported_parameter', param: 'messages[1].content[0]' },
  ])
  const chained = await ask('sandbox-chat', { nemo_fallbacks: ['anthropic-chat'] })
  expect([chained.status, lastBody().messages]).toEqual([200, goesOn.messages])
  const organization = await world.organization('drops', '1')
  await world.database.operator.query('update organizations set drop_unsupported = true where id = $1', [
    organization.id,
  ])
  const { key } = await world.issueKey(organization, 'agent')
  const dropped = await ask('sandbox-chat', {}, key)
  expect([dropped.status, dropped.headers['x-nemo-dropped-params']]).toEqual([
    200,
    'messages[1].content[0], messages[1].content[1]',
  ])
  expect(lastBody().messages).toMatchObject([{ role: 'user' }, { content: 'The Rhine.' }, { role: 'user' }])
  const many = Array.from({ length: 2_000 }, () => searched[0])
  const long = await ask(
    'sandbox-chat',
    { messages: [{ role: 'assistant', content: many }, ...question.messages] },
    key,
  )
  expect([long.status, long.headers['x-nemo-dropped-params']]).toEqual([
    200,
    expect.stringMatching(/messages\[0\]\.content\[49\] and 1950 more$/),
  ])
})

test('Claude is asked to cite a document', async () => {
  const source = { type: 'text' as const, media_type: 'text/plain' as const, data: 'The Rhine is long.' }
  const content = [{ type: 'document' as const, source, citations: { enabled: true } }]
  await anthropic.messages.create({ ...claude, messages: [{ role: 'user', content }] })
  expect(lastBody().messages).toEqual([{ role: 'user', content }])
})

test('what can’t be translated is counted for what it is', async () => {
  const count = async (found: string) => {
    const [used, result, said] = searched as [unknown, Anthropic.WebSearchToolResultBlockParam, unknown]
    const page = { type: 'web_search_result' as const, title: 'a', url: 'https://a', encrypted_content: found }
    const messages = [{ role: 'assistant', content: [used, { ...result, content: [page] }, said] }]
    const answer = await httpCall(`${running.url}/messages/count_tokens`, {
      key: world.researcher.key,
      body: { model: 'sandbox-chat', messages },
    })
    return answer.json.input_tokens
  }
  expect((await count('rivers '.repeat(1_000))) - (await count(''))).toBeGreaterThan(1_000)
})
