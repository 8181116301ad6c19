import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { type GatewayProcess, startGatewayProcess } from '@nemo/testing/gateway-process'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { readDecision } from './routing/decision-log.ts'

/** Health across tenants and processes: two gateways on one database, and groups of two places each, of which the first fails. */
const settings = { retriesMax: 1, failuresMax: 3, cooldownMs: 2_000 }
let world: World
let one: RunningGateway
let other: RunningGateway
let first: Sandbox
let second: Sandbox
/** A group of its own for each test, with the ids of its places. */
let group: string
let ids: readonly [string, string]
let groups = 0

beforeAll(async () => {
  world = await makeWorld()
  first = await startSandbox()
  second = await startSandbox()
  one = await runGateway(world, settings)
  other = await runGateway(world, settings)
})

beforeEach(async () => {
  group = `pair ${++groups}`
  ids = [await world.deploy(group, first.url), await world.deploy(group, second.url)]
  const isThere = ({ gateway }: RunningGateway) =>
    gateway.catalogue.find(group, world.acme.id)?.deployments.length === 2
  await expect.poll(() => [one, other].every(isThere)).toBe(true)
})

afterEach(async () => {
  for (const sandbox of [first, second]) sandbox.reset()
  await vi.waitFor(() => expect(one.gateway.ledger.open + other.gateway.ledger.open).toBe(0))
})

afterAll(async () => {
  await Promise.all([one?.close(), other?.close()])
  if (world) expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  await Promise.all([first?.close(), second?.close()])
  await world?.close()
})

const ask = (through: { url: string } = one, key = world.researcher.key, more: object = {}) =>
  httpCall(`${through.url}/chat/completions`, {
    key,
    body: { model: group, messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, ...more },
  })
const isLeftOut = ({ gateway }: RunningGateway, organizationId = world.acme.id, id = ids[0]) =>
  gateway.health.coolingOf(organizationId, id, performance.now()) !== null
const logOf = async ({ headers }: Awaited<ReturnType<typeof ask>>) => one.logOf(String(headers['x-nemo-request-id']))

/** Calls until the first place has failed often enough to be left out for the caller. */
async function trip(through: { url: string } = one, key = world.researcher.key): Promise<void> {
  first.configure({ status: 500 })
  const before = first.stats().requests
  while (first.stats().requests < before + settings.failuresMax) expect((await ask(through, key)).status).toBe(200)
}

test('one tenant hammering a failing deployment doesn’t change another’s picks', async () => {
  const hammering = Array.from({ length: 10 }, async () => {
    for (let i = 0; i < 12; i++) await ask(one, world.researcher.key, { sandbox: { status: 500 } })
  })
  const answers = []
  for (let i = 0; i < 100; i++) answers.push(await ask(one, world.rivalKey.key))
  await Promise.all(hammering)
  expect(ids.map((id) => isLeftOut(one, world.acme.id, id))).toEqual([true, true])
  expect(ids.map((id) => isLeftOut(one, world.rival.id, id))).toEqual([false, false])

  const rows = await Promise.all(answers.map(logOf))
  const facts = rows.flatMap((row) => readDecision(row.decision)!.question.links[0]!.facts)
  expect(facts.filter(({ cooling }) => cooling !== null)).toEqual([])
  expect(rows.filter(({ attempts }) => attempts.length > 1)).toEqual([])
  // A fair coin thrown a hundred times falls outside of this once in fifty million.
  const toFirst = rows.filter(({ deployment_id }) => deployment_id === ids[0]).length
  expect(toFirst).toBeGreaterThan(22)
  expect(toFirst).toBeLessThan(78)
  // And the hammering one is told why its own are left out, once a probe has failed where the cooldown was over by now.
  await vi.waitFor(async () => {
    const row = await logOf(await ask(one, world.researcher.key, { sandbox: { status: 500 } }))
    const own = readDecision(row.decision)!.question.links[0]!.facts
    expect(own.map(({ cooling }) => cooling?.by)).toEqual(['organization', 'organization'])
  }, 5_000)
})

test('what fails in one process the other leaves out within a second, for that organization alone', async () => {
  await trip()
  expect(isLeftOut(one)).toBe(true)
  await expect.poll(() => isLeftOut(other), { timeout: 1_000, interval: 10 }).toBe(true)
  expect(isLeftOut(other, world.rival.id)).toBe(false)
  const before = first.stats().requests
  for (let i = 0; i < 20; i++) expect((await ask(other)).headers['x-nemo-retries']).toBe('0')
  expect(first.stats().requests).toBe(before)
})

test('a host that can’t be reached is left out for everyone, in both', async () => {
  const dead = await world.deploy(group, 'http://127.0.0.1:1/v1')
  const isThere = () => one.gateway.catalogue.find(group, world.acme.id)?.deployments.length === 3
  await expect.poll(isThere).toBe(true)
  await vi.waitFor(async () => {
    expect((await ask()).status).toBe(200)
    expect(isLeftOut(one, world.rival.id, dead)).toBe(true)
  }, 5_000)
  await expect.poll(() => isLeftOut(other, world.rival.id, dead), { timeout: 1_000, interval: 10 }).toBe(true)
  const row = await logOf(await ask(one, world.rivalKey.key))
  const facts = readDecision(row.decision)!.question.links[0]!.facts
  expect(facts.find(({ id }) => id === dead)?.cooling).toMatchObject({ by: 'platform' })
})

test('no tenant brings a deployment to be left out for others, whatever he makes a provider answer', async () => {
  const ways: object[] = [400, 402, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529].map((status) => ({ status }))
  ways.push({ reset: 'before' }, { hang: 'before' }, { cut_at_byte: 20 })
  // What is left out is tried all the same where nothing else is left; but not when a provider asked for it, which comes last.
  for (const sandbox of [...ways, { status: 403, retry_after: 60 }]) {
    const before = first.stats().requests + second.stats().requests
    for (let i = 0; i < 4; i++) await ask(one, world.researcher.key, { sandbox, nemo_timeout_ms: 100 })
    expect(first.stats().requests + second.stats().requests).toBeGreaterThan(before)
  }
  expect(ids.map((id) => isLeftOut(one, world.acme.id, id))).toEqual([true, true])
  expect(ids.map((id) => isLeftOut(one, world.rival.id, id))).toEqual([false, false])
  const answer = await ask(one, world.rivalKey.key)
  expect([answer.status, answer.headers['x-nemo-retries']]).toEqual([200, '0'])
  // What it takes two tenants to bring about isn't told to other processes either.
  expect(ids.map((id) => isLeftOut(other, world.rival.id, id))).toEqual([false, false])
})

test('a process that starts knows what is left out', async () => {
  await trip()
  await vi.waitFor(() => expect(isLeftOut(other)).toBe(true))
  const later = await runGateway(world, settings)
  try {
    await expect.poll(() => isLeftOut(later), { timeout: 1_000, interval: 10 }).toBe(true)
    expect(isLeftOut(later, world.rival.id)).toBe(false)
  } finally {
    await later.close()
  }
})

test('one probe goes there from both together, and what comes of it both know', async () => {
  await trip()
  await vi.waitFor(() => expect(isLeftOut(other)).toBe(true))
  const before = first.stats().requests
  first.configure({ status: null, latency_ms: 1_000 })
  const calls: Promise<{ readonly status: number }>[] = []
  const burst = () => {
    for (const through of [one, other]) for (let i = 0; i < 5; i++) calls.push(ask(through))
  }
  while (first.stats().requests === before) {
    burst()
    await Promise.all(calls.slice(-5))
  }
  // For as long as it is under way all others stay away, whoever they are.
  // What comes once it is known to be well may go there.
  while (first.stats().open > 0 && isLeftOut(one) && isLeftOut(other)) {
    expect(first.stats().requests).toBe(before + 1)
    burst()
    await calls.at(-2)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await expect.poll(() => isLeftOut(one) || isLeftOut(other), { timeout: 1_000, interval: 10 }).toBe(false)
  expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toEqual(new Set([200]))
})

test('a killed process changes nothing: what it found out stays, nobody fails, and others probe', async () => {
  const doomed: GatewayProcess = await startGatewayProcess(world, settings)
  try {
    await trip(doomed)
    await expect.poll(() => isLeftOut(one) && isLeftOut(other), { timeout: 1_000, interval: 10 }).toBe(true)
  } finally {
    await doomed.kill()
  }
  expect([isLeftOut(one), isLeftOut(other)]).toEqual([true, true])
  first.configure({ status: null })
  const before = first.stats().requests
  await vi.waitFor(async () => {
    const { status, headers } = await ask()
    expect([status, headers['x-nemo-retries']]).toEqual([200, '0'])
    expect(first.stats().requests).toBeGreaterThan(before)
  }, 10_000)
  await expect.poll(() => isLeftOut(one) || isLeftOut(other), { timeout: 1_000, interval: 10 }).toBe(false)
})

test('where every provider asks to be left alone the caller is told for how long, and nobody is called', async () => {
  for (const sandbox of [first, second]) sandbox.configure({ status: 429, retry_after: 30 })
  expect((await ask()).status).toBe(502)
  const before = [first, second].map((sandbox) => sandbox.stats().requests)
  const answer = await ask()
  expect([answer.status, answer.json.error.code]).toEqual([503, 'no_healthy_deployment'])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(25)
  expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(30)
  expect(answer.headers['x-nemo-attempts']).toBeUndefined()
  expect(await logOf(answer)).toMatchObject({ status: 503, cost_nanos: null, attempts: [] })
  expect([first, second].map((sandbox) => sandbox.stats().requests)).toEqual(before)
  // Who has limits of its own there isn't kept away by another's.
  expect((await ask(one, world.rivalKey.key)).status).toBe(502)
  expect([first, second].map((sandbox) => sandbox.stats().requests)).toEqual(before.map((count) => count + 1))
})
