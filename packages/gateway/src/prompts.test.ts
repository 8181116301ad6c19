import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** Whatever a provider may read of a request is held for before it is sent. */
let world: World
let running: RunningGateway
/** With a cent and a half, which is what 100,000 tokens cost. */
let poor: string

beforeAll(async () => {
  world = await makeWorld()
  const { url, origin } = world.sandbox
  await deployProvider(world, { provider: 'openai', baseUrl: url, group: 'mini', upstreamModel: 'gpt-4o-mini' })
  await deployProvider(world, { provider: 'openai', baseUrl: url, group: 'usual', upstreamModel: 'gpt-4o' })
  await deployProvider(world, { provider: 'anthropic', baseUrl: `${origin}/anthropic`, group: 'claude' })
  running = await runGateway(world)
  poor = (await world.issueKey(await world.organization('poor', '0.015'), 'poor')).key
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
  expect(running.problems).toEqual([])
})

const post = (path: string, body: object) => httpCall(`${running.url}/${path}`, { key: poor, body })
const TEXT = 'The river runs. '.repeat(30_000)
const hello = { role: 'user', content: 'Hi.' }
const pdf = { type: 'url', url: 'https://example.com/x.pdf' }
const picture = { type: 'image_url', image_url: { url: 'https://example.com/x.png' } }

test.each<[string, string, object]>([
  ['thoughts', 'usual', { messages: [hello, { role: 'assistant', content: 'Hi.', reasoning_content: TEXT }, hello] }],
  ['documents', 'usual', { messages: [hello], documents: [{ text: TEXT }] }],
  ['a part of a new kind', 'usual', { messages: [{ role: 'user', content: [{ type: 'scroll', scroll: TEXT }] }] }],
  ['a file by its id', 'usual', { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'f' } }] }] }],
  ['three pictures', 'mini', { messages: [{ role: 'user', content: [picture, picture, picture] }] }],
])('what can’t be paid for isn’t sent: %s', async (_, model, body) => {
  const before = world.sandbox.stats().requests
  const answer = await post('chat/completions', { model, max_tokens: 9, ...body })
  expect([answer.status, answer.json.error.code]).toEqual([402, expect.anything()])
  expect(world.sandbox.stats().requests).toBe(before)
})

test('what can’t be paid for isn’t sent: a document by its address, by Messages', async () => {
  const before = world.sandbox.stats().requests
  const asked = { model: 'claude', max_tokens: 9 }
  const open = await post('messages', {
    ...{ ...asked, messages: [{ role: 'user', content: [{ type: 'document', source: pdf }] }] },
  })
  expect(open.status).toBe(402)
  expect(world.sandbox.stats().requests).toBe(before)
})

test('a picture is held for as the model reads it', async () => {
  const asked = { max_tokens: 9, messages: [{ role: 'user', content: [picture] }] }
  const quote = async (model: string) => (await post('quote', { model, ...asked })).json
  const [mini, usual] = [await quote('mini'), await quote('usual')]
  expect(mini.input_tokens_max).toBe(usual.input_tokens_max)
  // 48,169 tokens against 4,200, at $0.15.
  expect(Number(mini.upper_bound) - Number(usual.upper_bound)).toBeCloseTo(0.006_595_35, 9)
  expect((await post('chat/completions', { model: 'usual', ...asked })).status).toBe(200)
})
