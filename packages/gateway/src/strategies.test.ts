import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { decide } from './routing/decide.ts'
import { readDecision } from './routing/decision-log.ts'

/** Each strategy against three places of its own, over real HTTP: whoever should be first by its formula gets the calls. */
let world: World
let running: RunningGateway
let places: Sandbox[]
let ids: string[]

beforeAll(async () => {
  world = await makeWorld()
  places = await Promise.all([0, 1, 2].map(() => startSandbox()))
  ids = []
  for (const { url } of places) ids.push(await world.deploy('three', url))
  running = await runGateway(world)
})

afterEach(() => {
  for (const place of places) place.reset()
})

afterAll(async () => {
  await running?.close()
  await Promise.all((places ?? []).map((place) => place.close()))
  await world?.close()
})

const ask = (body: object) =>
  httpCall(`${running.url}/chat/completions`, {
    key: world.researcher.key,
    body: { model: 'three', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, ...body },
  })
const calls = () => places.map((place) => place.stats().requests)

test('least-busy keeps away from where calls are under way', async () => {
  for (const place of places) place.configure({ latency_ms: 1_000 })
  const slow = []
  for (let i = 1; i <= 2; i++) {
    slow.push(ask({ nemo_strategy: 'least-busy' }))
    await vi.waitFor(() => expect(places.filter((place) => place.stats().open > 0)).toHaveLength(i))
  }
  const idle = places.findIndex((place) => place.stats().open === 0)
  places[idle]!.configure({ latency_ms: 0 })
  for (let i = 0; i < 10; i++) await ask({ nemo_strategy: 'least-busy' })
  await Promise.all(slow)
  expect(calls()).toEqual([0, 1, 2].map((i) => (i === idle ? 10 : 1)))
})

test('latency-based goes where it was fast, and notices when that changes', async () => {
  places[0]!.configure({ latency_ms: 40 })
  places[1]!.configure({ latency_ms: 0 })
  places[2]!.configure({ latency_ms: 40 })
  for (let i = 0; i < 30; i++) await ask({ nemo_strategy: 'latency-based', stream: true })
  expect(calls()[1]).toBeGreaterThan(20)
  places[1]!.configure({ latency_ms: 120 })
  places[2]!.configure({ latency_ms: 0 })
  for (let i = 0; i < 60; i++) await ask({ nemo_strategy: 'latency-based', stream: true })
  const before = calls()
  for (let i = 0; i < 20; i++) await ask({ nemo_strategy: 'latency-based', stream: true })
  const [first, second, third] = calls().map((count, i) => count - before[i]!)
  expect(third! + first!).toBeGreaterThan(second!)
})

test('latency-based sends one call, and not all, to where nobody knows whether anything comes', async () => {
  for (const { url } of places) await world.deploy('awaited', url)
  const isThere = () => running.gateway.catalogue.find('awaited', world.acme.id)?.deployments.length === 3
  await expect.poll(isThere).toBe(true)
  places[0]!.configure({ hang: 'before' })
  const body = { model: 'awaited', nemo_strategy: 'latency-based', stream: true, nemo_timeout_ms: 2_000 }
  const underWay = []
  for (let made = 1; calls().includes(0); made++) {
    underWay.push(ask(body))
    await vi.waitFor(() => expect(calls().reduce((sum, count) => sum + count)).toBe(made))
  }
  underWay.push(...Array.from({ length: 100 }, () => ask(body)))
  await Promise.all(underWay)
  // One in sixty explores there.
  expect(calls()[0]).toBeLessThan(20)
})

test('usage-based goes where most is left, and cost-based where it is cheapest', async () => {
  const { operator } = world.database
  await operator.query('update deployments set requests_per_minute = 1000 where id = any ($1)', [ids])
  await operator.query('update deployments set requests_per_minute = 100000 where id = $1', [ids[2]])
  await expect
    .poll(() => running.gateway.catalogue.find('three', world.acme.id)?.deployments[2]?.requestsPerMinute)
    .toBe(100_000)
  for (let i = 0; i < 10; i++) await ask({ nemo_strategy: 'usage-based' })
  expect(calls()[2]).toBe(10)
  expect((await ask({ nemo_strategy: 'cost-based' })).headers['x-nemo-strategy']).toBe('cost-based')
})

test('a request without a strategy gets the organization’s', async () => {
  await world.database.operator.query(`update organizations set strategy = 'least-busy' where id = $1`, [world.acme.id])
  await expect.poll(async () => (await ask({})).headers['x-nemo-strategy']).toBe('least-busy')
})

test('the log says what the order followed from, and the same follows from it again', async () => {
  const { headers } = await ask({ nemo_strategy: 'usage-based' })
  const row = await running.logOf(String(headers['x-nemo-request-id']))
  const { question } = readDecision((row as unknown as { decision: unknown }).decision)!
  const order = decide(question).map(({ link, at }) => question.links[link]!.facts[at]!.id)
  expect(order).toHaveLength(3)
  expect(row.deployment_id).toBe(order[0])
})
