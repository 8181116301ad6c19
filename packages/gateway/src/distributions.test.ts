import { Agent } from 'node:http'
import { uuidv7 } from '@nemo/domain/ids'
import { parseUsd } from '@nemo/domain/money'
import type { Strategy } from '@nemo/domain/routing-settings'
import { seal } from '@nemo/domain/vault'
import { deploy } from '@nemo/postgres/catalogue'
import { inTransaction } from '@nemo/postgres/tenancy'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Facts } from './routing/decide.ts'
import { readDecision } from './routing/decision-log.ts'

/**
 * Each strategy on 5,000 calls to three places, over real HTTP: what each place was sent is what the formula says, and so is every single pick by what was known when it was made. The draws are
 * chance's own, so that bounds are such as chance breaks once in a million runs. NEMO_STRATEGY_CALLS=50000 takes longer.
 */
const CALLS = Number(process.env.NEMO_STRATEGY_CALLS ?? 5_000)
const AT_ONCE = 16
const PATIENCE = { timeout: 30_000 + CALLS * 6 }
/** Pearson's statistic with two degrees of freedom is above this once in a million. */
const CHI_SQUARE_MAX = 27.6

interface Place {
  readonly weight?: number
  readonly requestsPerMinute?: number
  readonly price?: { readonly input: bigint; readonly output: bigint }
}

let world: World
let running: RunningGateway
let places: Sandbox[]
let key: string
const agent = new Agent({ keepAlive: true })
/** By strategy: a group of its own, with the ids of its deployments. */
const ids = new Map<Strategy, string[]>()

const PRICE = { input: parseUsd('0.15'), output: parseUsd('0.6') }
const GROUPS: Readonly<Record<Strategy, readonly Place[]>> = {
  'simple-shuffle': [{ weight: 1 }, { weight: 2 }, { weight: 7 }],
  'least-busy': [{}, {}, {}],
  'usage-based': [1, 2, 7].map((part) => ({ requestsPerMinute: part * CALLS * 2 })),
  'latency-based': [{}, {}, {}],
  'cost-based': [
    { price: { input: parseUsd('1'), output: parseUsd('10') } },
    { price: { input: parseUsd('4'), output: parseUsd('1') } },
    { price: { input: parseUsd('5'), output: parseUsd('12') } },
  ],
}

beforeAll(async () => {
  world = await makeWorld()
  places = await Promise.all([0, 1, 2].map(() => startSandbox()))
  for (const [strategy, group] of Object.entries(GROUPS)) await deployGroup(strategy as Strategy, group)
  key = (await world.issueKey(await world.organization('counted', '1000'), 'counted')).key
  running = await runGateway(world)
})

afterEach(() => {
  for (const place of places) place.reset()
})

afterAll(async () => {
  agent.destroy()
  await running?.close()
  await Promise.all((places ?? []).map((place) => place.close()))
  await world?.close()
})

async function deployGroup(strategy: Strategy, group: readonly Place[]): Promise<void> {
  const { operator } = world.database
  const deployed: string[] = []
  for (const [i, { weight = 1, requestsPerMinute = null, price = PRICE }] of group.entries()) {
    const credential = uuidv7()
    await operator.query(
      `insert into provider_credentials (id, name, provider, base_url, secret) values ($1, $2, 'sandbox', $3, $4)`,
      [credential, credential, places[i]!.url, seal(world.masterKey, 'sandbox-secret', credential)],
    )
    await inTransaction(operator, (tx) =>
      deploy(tx, credential, {
        ...{ id: `sandbox/${strategy}-${i}`, provider: 'sandbox', endpoint: 'chat', contextTokens: 128_000 },
        ...{ outputTokensMax: 4_096, capabilities: [], group: strategy, upstreamModel: 'sandbox-chat' },
        ...{ nanosPerMillion: price, priceSource: 'test' },
      }),
    )
    const { rows } = await operator.query(
      'update deployments set weight = $2, requests_per_minute = $3 where credential_id = $1 returning id',
      [credential, weight, requestsPerMinute],
    )
    deployed.push(rows[0].id)
  }
  ids.set(strategy, deployed)
}

/** So many calls, some at once; `body` says what the one of that number asks for. */
async function call(strategy: Strategy, count: number, body: (i: number) => object = () => ({})): Promise<void> {
  let next = 0
  const callers = Array.from({ length: AT_ONCE }, async () => {
    for (let i = next++; i < count; i = next++) {
      const { status } = await httpCall(`${running.url}/chat/completions`, {
        ...{ key, agent },
        body: { ...{ model: strategy, messages: HELLO, max_tokens: 1, nemo_strategy: strategy }, ...body(i) },
      })
      if (status !== 200) throw new Error(`call ${i} was answered with ${status}`)
    }
  })
  await Promise.all(callers)
}

const HELLO = [{ role: 'user', content: 'hello' }]
const counts = () => places.map((place) => place.stats(0).requests)

interface Pick {
  readonly facts: readonly Facts[]
  /** The one that was called, by its position. */
  readonly chosen: number
  readonly outputLikely: number
}

/** Every pick of a strategy as it was logged, in the order of its deployments. */
async function picksOf(strategy: Strategy): Promise<Pick[]> {
  await running.gateway.ledger.flush()
  const { rows } = await world.database.operator.query(
    'select decision, deployment_id from request_logs where model_group = $1 order by id',
    [strategy],
  )
  const order = ids.get(strategy)!
  return rows.map((row) => {
    const { question, expected } = readDecision(row.decision)!
    const facts = order.map((id) => question.links[0]!.facts.find((one) => one.id === id)!)
    return { facts, chosen: order.indexOf(row.deployment_id), outputLikely: expected[1] }
  })
}

function chiSquare(counted: readonly number[], shares: readonly number[]): number {
  const all = counted.reduce((sum, count) => sum + count, 0)
  return counted.reduce((sum, count, i) => sum + (count - shares[i]! * all) ** 2 / (shares[i]! * all), 0)
}

/** How often each position was chosen. */
const tally = (picks: readonly Pick[]) => [0, 1, 2].map((at) => picks.filter(({ chosen }) => chosen === at).length)

test('simple-shuffle: each in proportion to its weight', PATIENCE, async () => {
  await call('simple-shuffle', CALLS)
  expect(counts().reduce((sum, count) => sum + count)).toBe(CALLS)
  expect(chiSquare(counts(), [0.1, 0.2, 0.7])).toBeLessThan(CHI_SQUARE_MAX)
})

test(
  'least-busy: the fewest under way, every time, and each as often where they are equal; the faster get more',
  PATIENCE,
  async () => {
    for (const [i, latency_ms] of [2, 8, 32].entries()) places[i]!.configure({ latency_ms })
    await call('least-busy', CALLS)
    const picks = await picksOf('least-busy')
    expect(picks).toHaveLength(CALLS)
    expect(picks.filter(({ facts, chosen }) => facts.some((one) => one.inFlight < facts[chosen]!.inFlight))).toEqual([])
    const even = picks.filter(({ facts }) => new Set(facts.map(({ inFlight }) => inFlight)).size === 1)
    expect(even.length).toBeGreaterThan(CALLS / 100)
    expect(chiSquare(tally(even), [1 / 3, 1 / 3, 1 / 3])).toBeLessThan(CHI_SQUARE_MAX)
    const [fast, middling, slow] = counts()
    expect(fast).toBeGreaterThan(middling! * 1.1)
    expect(middling).toBeGreaterThan(slow! * 1.1)
  },
)

test('usage-based: each in proportion to its limit, so that all have equally much left', PATIENCE, async () => {
  await call('usage-based', CALLS)
  for (const [i, share] of [0.1, 0.2, 0.7].entries()) {
    expect(Math.abs(counts()[i]! - share * CALLS)).toBeLessThanOrEqual(AT_ONCE)
  }
  const left = ({ requests, requestsMax }: Facts) => 1 - requests / requestsMax!
  const worse = (await picksOf('usage-based')).filter(({ facts, chosen }) =>
    facts.some((one) => left(one) > left(facts[chosen]!)),
  )
  expect(worse).toEqual([])
})

test(
  'latency-based: the fastest, but for one in twenty; and when another becomes the fastest, that one',
  PATIENCE,
  async () => {
    for (const [i, latency_ms] of [0, 40, 80].entries()) places[i]!.configure({ latency_ms })
    await call('latency-based', CALLS / 2)
    const before = counts()
    for (const [i, latency_ms] of [80, 40, 0].entries()) places[i]!.configure({ latency_ms })
    await call('latency-based', CALLS / 2)
    const picks = await picksOf('latency-based')

    // Of those that were explored two in three went elsewhere than to the fastest.
    const known = picks.filter(({ facts }) => facts.every(({ latencyMs }) => latencyMs !== null))
    const elsewhere = known.filter(({ facts, chosen }) =>
      facts.some((one) => one.latencyMs! < facts[chosen]!.latencyMs!),
    )
    const expected = known.length / 30
    expect(Math.abs(elsewhere.length - expected)).toBeLessThan(5 * Math.sqrt(expected))
    expect(known.length).toBeGreaterThan(CALLS * 0.95)

    const after = counts().map((count, i) => count - before[i]!)
    expect(before[0]).toBeGreaterThan(CALLS * 0.5 * 0.8)
    expect(after[2]).toBeGreaterThan(CALLS * 0.5 * 0.5)
    const [, , recovered] = tally(picks.slice(-CALLS / 5))
    expect(recovered).toBeGreaterThan((CALLS / 5) * 0.8)
  },
)

test('cost-based: the cheapest for each request, by its prompt and its answer', PATIENCE, async () => {
  const long = [{ role: 'user', content: 'hello '.repeat(400) }]
  await call('cost-based', CALLS, (i) => (i % 4 === 0 ? { max_tokens: 400 } : { messages: long }))
  expect(counts()).toEqual([(CALLS * 3) / 4, CALLS / 4, 0])
  const dearer = (await picksOf('cost-based')).filter(({ facts, chosen }) =>
    facts.some((one) => one.costNanos < facts[chosen]!.costNanos),
  )
  expect(dearer).toEqual([])
})
