import { seal } from '@nemo/domain/vault'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { saveProvider } from '@nemo/postgres/catalogue'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { CHAT_PRICE, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** A call that says nothing about the length of its answer, and doesn't fit in full: sent with the length that fits, or refused, as its organization wants. */
let world: World
let running: RunningGateway
let other: RunningGateway

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world)
  other = await runGateway(world)
})

afterAll(async () => {
  await Promise.all([running?.close(), other?.close()])
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open + other.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  }, 5_000)
  expect([...running.problems, ...other.problems]).toEqual([])
})

const chat = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }
const OUTPUT_NANOS = 600n
/** More than the prompt is held with, and less than two output tokens beyond it. */
const PROMPT_NANOS = 2_400n
let keys = 0

async function keyFor(outputTokens: number, organization = world.acme) {
  const bound = PROMPT_NANOS + BigInt(outputTokens) * OUTPUT_NANOS
  const issued = await world.issueKey(organization, `clamp-${keys++}`, [{ resource: 'cost', window: 'total', bound }])
  return { ...issued, bound }
}

const ask = (key: string, body: object = {}, through = running) =>
  httpCall(`${through.url}/chat/completions`, { key, body: { ...chat, ...body } })
const lastBody = () => world.sandbox.stats(1).recent[0]!.body!
const logOf = ({ headers }: Answer) => running.logOf(headers['x-nemo-request-id'] as string)

test('it is sent with the cap that fits, which the answer obeys and a header says', async () => {
  const { key, bound } = await keyFor(100)
  const answer = await ask(key, { sandbox: { tokens: 1_000 } })
  expect(answer.status).toBe(200)
  const cap = Number(answer.headers['x-nemo-max-tokens'])
  expect(cap).toBeGreaterThanOrEqual(100)
  expect(cap).toBeLessThan(105)
  expect(lastBody()).toMatchObject({ max_completion_tokens: cap })
  expect(lastBody()).not.toHaveProperty('max_tokens')
  expect(answer.json).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: { completion_tokens: cap } })
  expect(await logOf(answer)).toMatchObject({ status: 200, loss_nanos: 0n, output_tokens: BigInt(cap) })
  expect((await logOf(answer)).cost_nanos).toBeLessThanOrEqual(bound)
})

test('the cap is that of each choice, and replaces a cap of null', async () => {
  const { key } = await keyFor(100)
  const answer = await ask(key, { n: 3, max_tokens: null, max_completion_tokens: null, sandbox: { tokens: 1_000 } })
  const cap = Number(answer.headers['x-nemo-max-tokens'])
  expect(cap).toBeGreaterThanOrEqual(33)
  expect(cap).toBeLessThan(36)
  expect(lastBody()).toMatchObject({ n: 3, max_completion_tokens: cap })
  expect(lastBody()).not.toHaveProperty('max_tokens')
  expect(answer.json.usage.completion_tokens).toBe(3 * cap)
})

test('what calls itself compatible gets the older field, which all of them know', async () => {
  const { database, masterKey, sandbox } = world
  const name = 'compatible'
  const price = { nanosPerMillion: CHAT_PRICE, priceSource: 'test' }
  const model = {
    id: 'compatible/m',
    provider: 'openai-compatible',
    endpoint: 'chat' as const,
    contextTokens: null,
    outputTokensMax: null,
  }
  await saveProvider(
    database.operator,
    { name, provider: 'openai-compatible', baseUrl: sandbox.url, secret: seal(masterKey, 'secret', name) },
    [{ ...model, ...price, capabilities: [], group: name, upstreamModel: 'sandbox-chat' }],
  )
  const { key } = await keyFor(100)
  await vi.waitFor(async () => expect((await ask(key, { model: name, max_tokens: 1 })).status).toBe(200))
  const answer = await ask(key, { model: name, sandbox: { tokens: 1_000 } })
  expect(lastBody()).toMatchObject({ max_tokens: Number(answer.headers['x-nemo-max-tokens']) })
  expect(lastBody()).not.toHaveProperty('max_completion_tokens')
})

test('a call that fits in full, or that has a cap, is sent as it came', async () => {
  const ample = await ask(world.researcher.key)
  expect([ample.status, ample.headers['x-nemo-max-tokens']]).toEqual([200, undefined])
  expect(lastBody()).not.toHaveProperty('max_completion_tokens')
  const { key } = await keyFor(100)
  const capped = await ask(key, { max_tokens: 50 })
  expect([capped.status, capped.headers['x-nemo-max-tokens']]).toEqual([200, undefined])
  expect((await ask(key, { max_tokens: 500 })).status).toBe(402)
})

test('of which less fits than is of any use is a 402 that names the limit', async () => {
  const answer = await ask((await keyFor(8)).key)
  expect(answer.status).toBe(402)
  expect(answer.json.error).toMatchObject({ code: 'budget_exceeded', limit: { name: 'key.cost.total' } })
  expect(answer.headers['x-nemo-max-tokens']).toBeUndefined()
})

test('an organization that wants it refused gets a 402, from a second after it has said so', async () => {
  const organization = await world.organization('strict', '1')
  const { key } = await keyFor(1_000, organization)
  expect((await ask(key)).status).toBe(200)
  await world.database.operator.query(`update organizations set uncapped = 'refuse' where id = $1`, [organization.id])
  await vi.waitFor(async () => expect((await ask(key)).status).toBe(402), 1_000)
  // A stream needs no cap to be paid for as it grows.
  expect((await ask(key, { stream: true })).status).toBe(200)
  expect((await ask(key, { max_tokens: 20, stream: true })).status).toBe(200)
})

test('the smallest of several limits makes the cap', async () => {
  const organization = await world.organization('small', '0.0001')
  const { key } = await keyFor(3_000, organization)
  const answer = await ask(key, { sandbox: { tokens: 1_000 } })
  expect(Number(answer.headers['x-nemo-max-tokens'])).toBeLessThan(170)
  expect((await logOf(answer)).loss_nanos).toBe(0n)
  expect((await ask(key)).json.error).toMatchObject({
    code: 'insufficient_credits',
    limit: { name: 'organization.cost.lifetime' },
  })
})

test('what another process holds idle makes no cap smaller', async () => {
  const { key } = await keyFor(3_000)
  expect((await ask(key, { max_tokens: 20 }, other)).status).toBe(200)
  const answer = await ask(key)
  expect(Number(answer.headers['x-nemo-max-tokens'])).toBeGreaterThan(2_900)
})

test('many at once share what there is: none is charged more than it held, and nothing is left to the platform', async () => {
  const organization = await world.organization('crowd', '0.004')
  const { key } = await world.issueKey(organization, 'agent')
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => ask(key, { sandbox: { tokens: 300 } }, i % 2 ? running : other)),
  )
  const statuses = new Set(answers.map(({ status }) => status))
  expect(statuses).toEqual(new Set([200, 402]))
  await Promise.all([running.gateway.ledger.flush(), other.gateway.ledger.flush()])
  const { rows } = await world.database.operator.query(
    'select sum(cost_nanos)::bigint as charged, sum(loss_nanos)::bigint as loss from request_logs where organization_id = $1',
    [organization.id],
  )
  expect(rows[0].charged).toBeLessThanOrEqual(4_000_000n)
  expect(rows[0].loss).toBe(0n)
})
