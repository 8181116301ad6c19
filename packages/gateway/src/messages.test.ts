import Anthropic from '@anthropic-ai/sdk'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** The unmodified `@anthropic-ai/sdk` against a real gateway whose provider speaks OpenAI's dialect. */
let world: World
let running: RunningGateway
let anthropic: Anthropic

beforeAll(async () => {
  world = await makeWorld()
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
