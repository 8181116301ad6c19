import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** What a refusal says is true: the limit, its numbers, and when to come back. And a storm of them costs next to nothing. */
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
})

const ask = (key: string, body: object = {}, through = running) =>
  httpCall(`${through.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-flat', messages: [{ role: 'user', content: 'hello' }], ...body },
  })
const CENT = 10_000_000n

/** What is told of keys comes in its order. Of a new one it comes with the shares of its organization being given back, also those it has just been given. */
async function newsOfKeysHasCome(): Promise<void> {
  const herald = await world.issueKey(world.acme, 'herald')
  expect((await ask(herald.key)).status).toBe(200)
  await world.database.operator.query('update virtual_keys set revoked_at = clock_timestamp() where id = $1', [
    herald.id,
  ])
  await vi.waitFor(async () => expect((await ask(herald.key)).status).toBe(401), 5_000)
}

test('a 402 counts what is used and what calls under way hold, and not what lies idle in a process', async () => {
  const { key } = await world.issueKey(world.acme, 'three-cents', [
    { resource: 'cost', window: 'day', bound: 3n * CENT },
  ])
  expect((await ask(key)).status).toBe(200)
  const slow = [1, 2].map(() => ask(key, { sandbox: { latency_ms: 400 } }))
  await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(2))
  await running.gateway.ledger.flush()
  const answer = await ask(key)
  expect(answer.json.error.limit).toEqual({
    name: 'key.cost.day',
    bound: '$0.03',
    used: '$0.01',
    held: '$0.02',
    needed: '$0.01',
  })
  await Promise.all(slow)
  await running.gateway.ledger.flush()
  const later = await ask(key)
  expect(later.json.error.limit).toMatchObject({ used: '$0.03', held: '$0', needed: '$0.01' })
  // Time heals a day's budget at midnight, UTC.
  const midnight = 86_400 - ((Date.now() / 1000) % 86_400)
  expect(Math.abs(Number(later.headers['retry-after']) - midnight)).toBeLessThan(5)
})

test('nothing is said of when to come back where time heals nothing', async () => {
  const tooSmall = await world.issueKey(world.acme, 'too-small', [{ resource: 'cost', window: 'day', bound: 1n }])
  const total = await world.issueKey(world.acme, 'total', [{ resource: 'cost', window: 'total', bound: CENT }])
  expect((await ask(total.key)).status).toBe(200)
  const empty = await world.issueKey(await world.organization('empty', '0'), 'agent')
  for (const { key } of [tooSmall, total, empty]) {
    const { status, headers } = await ask(key)
    expect([status, headers['retry-after']]).toEqual([402, undefined])
  }
})

test('a 429 says what is left of each rate, and after how long there is enough', async () => {
  const { key } = await world.issueKey(world.acme, 'rates', [
    { resource: 'requests', window: 'minute', bound: 2n },
    { resource: 'tokens', window: 'minute', bound: 5_000n },
  ])
  await newsOfKeysHasCome()
  for (let i = 0; i < 2; i++) expect((await ask(key)).status).toBe(200)
  for (let i = 0; i < 3; i++) {
    const { status, headers, json } = await ask(key)
    expect(status).toBe(429)
    expect(json.error).toMatchObject({
      code: 'rate_limit_exceeded',
      limit: { name: 'key.requests.minute', bound: '2', used: '2', held: '0', needed: '1' },
    })
    expect(headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-limit-tokens': '5000',
    })
    // This process's share, of as many as are alive.
    expect(Number(headers['x-ratelimit-remaining-tokens'])).toBeGreaterThan(1_000)
    expect(Number(headers['retry-after'])).toBeGreaterThan(50)
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(61)
  }
})

test('a process that has nothing of a rate tells its refusal as truly', async () => {
  const { key } = await world.issueKey(world.acme, 'elsewhere', [{ resource: 'requests', window: 'minute', bound: 1n }])
  expect((await ask(key, {}, other)).status).toBe(200)
  const { status, headers } = await ask(key)
  expect(status).toBe(429)
  expect(headers).toMatchObject({
    'x-ratelimit-limit-requests': '1',
    'x-ratelimit-remaining-requests': '0',
    'retry-after': '61',
  })
})

test('a full house of parallel calls says to come back in a second', async () => {
  const { key } = await world.issueKey(world.acme, 'one-at-a-time', [
    { resource: 'parallel', window: 'now', bound: 1n },
  ])
  const slow = ask(key, { sandbox: { latency_ms: 300 } })
  await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(1))
  const { status, headers, json } = await ask(key)
  expect([status, headers['retry-after'], json.error.code]).toEqual([429, '1', 'concurrency_limit_exceeded'])
  await slow
  expect((await ask(key)).status).toBe(200)
})

test('a refusal of a large call is no refusal of a smaller one', async () => {
  const { key } = await world.issueKey(world.acme, 'large-and-small', [
    { resource: 'cost', window: 'total', bound: 3_000_000n },
  ])
  const sized = (max_tokens: number) => ask(key, { model: 'sandbox-chat', max_tokens })
  const statuses = await Promise.all([6_000, 3_000, 9_000, 1_000].map(async (tokens) => (await sized(tokens)).status))
  expect(statuses).toEqual([402, 200, 402, 200])
  expect((await sized(4_500)).status).toBe(200)
})

test('a storm of refusals becomes a row a second with their number, and never reaches a provider', async () => {
  const { key, id } = await world.issueKey(world.acme, 'storm', [{ resource: 'cost', window: 'day', bound: 1n }])
  const answers = await Promise.all(Array.from({ length: 300 }, () => ask(key)))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([402]))
  await running.gateway.ledger.flush()
  const { rows } = await world.database.operator.query(
    'select count(*)::int as rows, sum(repeats)::int as refusals from request_logs where key_id = $1',
    [id],
  )
  expect(rows[0].refusals).toBe(300)
  expect(rows[0].rows).toBeLessThan(6)
  expect(world.sandbox.stats().requests).toBe(0)
})
