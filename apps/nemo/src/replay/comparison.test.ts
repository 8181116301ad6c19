import { costOf, type Price } from '@nemo/domain/pricing'
import { STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import { decide, type Facts, type Question } from '@nemo/gateway/routing/decide'
import { writeDecision } from '@nemo/gateway/routing/decision-log'
import { drawsFrom } from '@nemo/gateway/routing/draws'
import { Tries } from '@nemo/gateway/routing/tries'
import type { LoggedAttempt, RoutedCall } from '@nemo/postgres/replay-logs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Comparison, type World } from './comparison.ts'
import { expectedCost, type Policy } from './policy.ts'

const SAME: Policy = { strategy: null, chain: null }
const EXPECTED = [1_000, 200] as const
const AT = new Date('2027-01-31T12:00:00Z')

/** A dollar or so per million, dearer with every deployment; whole nanodollars a token, so that nothing is rounded. */
const priceOf = (id: string): Price => {
  const [link = 0, at = 0] = id.split('.').map(Number)
  const nanos = BigInt(100 + ((link * 7 + at * 31) % 50) * 10)
  return { versionId: id, nanosPerMillion: { input: nanos * 1_000_000n, output: nanos * 4_000_000n } }
}
const world: World = {
  priceOf,
  isRepriced: () => false,
  placesOf: (name) =>
    name === 'nowhere'
      ? null
      : [
          { id: '9.1', weight: 1 },
          { id: '9.2', weight: 2 },
        ],
  pace: (id) => ({ ms: Number(id.replace('.', '')) + 1, calls: 3 }),
  failureRate: (id) => (Number(id.split('.')[1]) + 1) / 10,
}

const anyCooling = fc.option(
  fc.record({ by: fc.constantFrom('organization' as const, 'platform' as const), asked: fc.boolean(), ms: fc.nat(9) }),
  { freq: 4 },
)
const anyFacts = fc.record({
  weight: fc.integer({ min: 1, max: 9 }),
  inFlight: fc.nat(9),
  requests: fc.nat(9),
  requestsMax: fc.option(fc.integer({ min: 1, max: 9 })),
  tokens: fc.nat(9),
  tokensMax: fc.option(fc.integer({ min: 1, max: 9 })),
  latencyMs: fc.option(fc.nat(9)),
  cooling: anyCooling,
})
type AnyFacts = typeof anyFacts extends fc.Arbitrary<infer T> ? T : never
const anyLink = fc.record({
  strategy: fc.constantFrom(...STRATEGIES),
  facts: fc.array(anyFacts, { minLength: 1, maxLength: 4 }),
})
const anyDrawn = fc.record({
  links: fc.array(anyLink, { minLength: 1, maxLength: 3 }),
  seed: fc.nat(2 ** 32 - 1),
  sticky: fc.option(fc.constantFrom('0.0', '0.1')),
  fate: fc.nat(2 ** 31),
  streamed: fc.boolean(),
})
const anyCall = anyDrawn.map(callOf)
const anyCalls = fc.array(anyCall, { maxLength: 12 })
/** Nothing cools, is full or holds a cache: the strategy alone decides. */
const anyFreeCalls = fc.array(
  anyDrawn.map((drawn) =>
    callOf({
      ...drawn,
      sticky: null,
      links: drawn.links.map(({ strategy, facts }) => ({
        strategy,
        facts: facts.map((one) => ({ ...one, requestsMax: null, tokensMax: null, cooling: null })),
      })),
    }),
  ),
  { maxLength: 12 },
)

interface Drawn {
  links: { strategy: Strategy; facts: AnyFacts[] }[]
  seed: number
  sticky: string | null
  fate: number
  streamed: boolean
}

/** A logged call that went through its order and failed at some places, or at all. */
function callOf({ links, seed, sticky, fate, streamed }: Drawn): RoutedCall {
  const question: Question = {
    seed,
    sticky,
    links: links.map(({ strategy, facts }, link) => ({
      strategy,
      facts: facts.map((one, at): Facts => {
        const id = `${link}.${at}`
        const costNanos = strategy === 'cost-based' ? Number(expectedCost(EXPECTED, priceOf(id))) : 0
        return { ...one, id, costNanos }
      }),
    })),
  }
  const decision = { question, expected: EXPECTED, links: links.map((_, i) => ({ group: `group ${i}`, excluded: [] })) }
  const draw = drawsFrom(fate)
  const attempts: LoggedAttempt[] = []
  let link: number | null = null
  // As the gateway goes about it, without the code that replays.
  const places = decide(question).map(({ at, ...hop }) => ({
    ...hop,
    deployment: question.links[hop.link]!.facts[at]!.id,
  }))
  const tries = new Tries(places, fate % 3)
  for (let next = tries.next; next; next = tries.next) {
    tries.tried()
    const kind = link === null ? 'first' : link === next.link ? 'retry' : 'fallback'
    link = next.link
    const drawn = draw()
    const outcome = drawn < 0.6 ? '200' : drawn < 0.9 ? '503' : drawn < 0.95 ? 'hung-up' : '422'
    attempts.push({
      deployment_id: next.deployment,
      outcome,
      kind,
      provider: 'p',
      model: 'm',
      started_ms: 0,
      took_ms: draw() * 100,
    })
    if (outcome !== '503') break
  }
  const last = attempts.at(-1)
  const answered = last?.outcome === '200' ? last.deployment_id : null
  const usage = answered === null ? null : { input: Math.floor(draw() * 900), output: Math.floor(draw() * 400) }
  return {
    id: crypto.randomUUID(),
    startedAt: AT,
    organizationId: 'acme',
    endpoint: 'chat',
    status: answered === null ? 502 : 200,
    streamed,
    deploymentId: answered,
    attempts,
    decision: JSON.parse(JSON.stringify(writeDecision(decision))),
    usage,
    inputTokens: usage?.input ?? null,
    outputTokens: usage?.output ?? null,
    costNanos: usage && answered !== null ? costOf(usage, priceOf(answered)) : 0n,
    priceVersionId: answered,
    repeats: 1,
  }
}

function compare(calls: readonly RoutedCall[], policy: Policy, known: Partial<World> = {}): Comparison {
  const comparison = new Comparison(policy, { ...world, ...known })
  for (const call of calls) comparison.add(call)
  return comparison
}

const sum = (numbers: readonly bigint[]) => numbers.reduce((all, one) => all + one, 0n)

test('under the same policy every call has the same first choice and comes to what it came to', () => {
  fc.assert(
    fc.property(anyCalls, (calls) => {
      const same = compare(calls, SAME)
      expect(same).toMatchObject({ calls: calls.length, unreadable: 0, unpriced: 0, refused: 0, rescued: 0 })
      expect(same).toMatchObject({ astray: 0, movedFirst: 0, movedAnswer: 0 })
      expect(same.costNanos).toEqual({ actual: sum(calls.map((call) => call.costNanos)), other: same.costNanos.actual })
      expect(same.failures.other).toBe(same.failures.actual)
      for (const { estimatedMs } of Object.values(same.latencies)) expect(estimatedMs.other).toBe(estimatedMs.actual)
      for (const { first, answered, costNanos } of same.shares.values())
        for (const pair of [first, answered, costNanos]) expect(pair.other).toBe(pair.actual)
    }),
  )
})

test('so it is under the strategy, or the chain, that they had anyway', () => {
  fc.assert(
    fc.property(anyCalls, fc.constantFrom(...STRATEGIES), (calls, strategy) => {
      const by = calls.filter((call) => linksOf(call).every((link) => link.strategy === strategy))
      expect(compare(by, { strategy, chain: null })).toMatchObject({ calls: by.length, movedFirst: 0, movedAnswer: 0 })
      const chain = ['group 1', 'nowhere', 'group 0', 'group 2']
      const chained = calls.filter((call) => linksOf(call).length === 3)
      const { movedFirst, movedAnswer, costNanos } = compare(chained, { strategy: null, chain })
      expect({ movedFirst, movedAnswer, other: costNanos.other }).toEqual({
        ...{ movedFirst: 0, movedAnswer: 0 },
        other: costNanos.actual,
      })
    }),
  )
})

function linksOf({ decision }: RoutedCall): { strategy: Strategy; group: string }[] {
  return (decision as { links: { strategy: Strategy; group: string }[] }).links
}

test('under any policy each call is counted once, and deployments’ shares add up to the whole', () => {
  fc.assert(
    fc.property(anyCalls, fc.option(fc.constantFrom(...STRATEGIES)), anyChain, (calls, strategy, chain) => {
      const other = compare(calls, { strategy, chain })
      expect(other).toMatchObject({ calls: calls.length, astray: 0 })
      const shares = [...other.shares.values()]
      expect(sum(shares.map(({ costNanos }) => costNanos.actual))).toBe(other.costNanos.actual)
      expect(sum(shares.map(({ costNanos }) => costNanos.other))).toBe(other.costNanos.other)
      const answered = (side: 'actual' | 'other') => shares.reduce((all, one) => all + one.answered[side], 0)
      expect(answered('actual')).toBe(calls.filter(({ deploymentId }) => deploymentId !== null).length)
      expect(answered('other')).toBeLessThanOrEqual(answered('actual') + other.rescued)
      expect(other.movedAnswer).toBeLessThanOrEqual(other.calls)
      const stayed = {
        actual: other.costNanos.actual - other.movedNanos.actual,
        other: other.costNanos.other - other.movedNanos.other,
      }
      expect(stayed.other).toBe(stayed.actual)
    }),
  )
})

const anyChain = fc.option(fc.constantFrom<string[]>([], ['new'], ['group 1'], ['nowhere', 'new', 'group 2']))

test('by cost no call that used what was expected of it comes to more, and some come to less', () => {
  let saved = 0n
  fc.assert(
    fc.property(anyFreeCalls, (calls) => {
      const [input, output] = EXPECTED
      const usage = { input, output }
      const answered = calls
        .filter(({ attempts }) => attempts.length === 1 && attempts[0]!.outcome === '200')
        .map((call) => ({ ...call, usage, costNanos: costOf(usage, priceOf(call.deploymentId!)) }))
      const { costNanos } = compare(answered, { strategy: 'cost-based', chain: null })
      expect(costNanos.other).toBeLessThanOrEqual(costNanos.actual)
      saved += costNanos.actual - costNanos.other
    }),
  )
  expect(saved).toBeGreaterThan(0n)
})

test('at twice the prices the same calls come to twice as much', () => {
  fc.assert(
    fc.property(anyCalls, (calls) => {
      const doubled = (id: string): Price => {
        const { versionId, nanosPerMillion } = priceOf(id)
        const twice = { input: nanosPerMillion.input! * 2n, output: nanosPerMillion.output! * 2n }
        return { versionId, nanosPerMillion: twice }
      }
      const dear = compare(calls, SAME, { priceOf: doubled, isRepriced: () => true })
      expect(dear).toMatchObject({ movedFirst: 0, movedAnswer: 0 })
      expect(dear.costNanos.other).toBe(dear.costNanos.actual * 2n)
    }),
  )
})

/** Two deployments; `0.0` is full, and so last, whatever the strategy. */
function pair(more: Partial<Drawn['links'][number]['facts'][number]>[] = [{}, {}]): Drawn {
  const facts = more.map((one) => ({
    ...{ weight: 1, inFlight: 0, requests: 0, requestsMax: null, tokens: 0, tokensMax: null },
    ...{ latencyMs: null, cooling: null },
    ...one,
  }))
  return { links: [{ strategy: 'least-busy', facts }], seed: 1, sticky: null, fate: 0, streamed: true }
}
const failed = (id: string, outcome = '503'): LoggedAttempt => ({
  ...{ deployment_id: id, outcome, kind: 'first', provider: 'p', model: 'm', started_ms: 0, took_ms: 1 },
})

test('a call that failed, and for which another policy has a further place, is rescued at its expected cost', () => {
  const call = { ...callOf(pair([{}])), attempts: [failed('0.0')], deploymentId: null, usage: null, costNanos: 0n }
  const { rescued, failed: count, costNanos, failures } = compare([call], { strategy: null, chain: ['new'] })
  expect({ rescued, count }).toEqual({ rescued: 1, count: 1 })
  expect([9.1, 9.2].map((id) => expectedCost(EXPECTED, priceOf(String(id))))).toContain(costNanos.other)
  expect(failures.actual).toBeCloseTo(0.1)
  expect(failures.other).toBeCloseTo(0.1 * 0.2 * 0.3)
})

test('who failed this very call isn’t taken to answer it: the next of the other order is', () => {
  const drawn = pair([
    { inFlight: 1, latencyMs: 9 },
    { inFlight: 0, latencyMs: 1 },
    { inFlight: 2, latencyMs: 5 },
  ])
  const attempts = [failed('0.1'), { ...failed('0.0', '200'), kind: 'retry' }]
  const call = { ...callOf(drawn), attempts, deploymentId: '0.0', usage: { input: 1 }, costNanos: 7n }
  const { movedFirst, movedAnswer, costNanos } = compare([call], { strategy: 'latency-based', chain: null })
  expect({ movedFirst, movedAnswer, costNanos }).toEqual({
    ...{ movedFirst: 0, movedAnswer: 1 },
    costNanos: { actual: 7n, other: costOf({ input: 1 }, priceOf('0.2')) },
  })
})

test('what a client gave up, asked wrongly, or never had sent is the same under any policy', () => {
  for (const attempts of [[failed('0.0', 'hung-up')], [failed('0.0', '422')], []]) {
    const call = { ...callOf(pair()), attempts, deploymentId: null, usage: null, costNanos: 0n }
    const { called, rescued, movedAnswer, costNanos } = compare([call], { strategy: 'usage-based', chain: ['new'] })
    expect({ called, rescued, movedAnswer, other: costNanos.other }).toEqual({
      ...{ called: 0, rescued: 0, movedAnswer: 0, other: 0n },
    })
  }
})

test('calls that can’t be decided again are counted, and in none of the numbers', () => {
  const call = callOf(pair())
  const odd = compare(
    [
      { ...call, decision: null, repeats: 3 },
      { ...call, decision: { seed: 1 } },
    ],
    SAME,
  )
  expect(odd).toMatchObject({ calls: 0, refused: 3, unreadable: 1 })
  const unpriced = compare([call], { strategy: 'cost-based', chain: null }, { priceOf: () => null })
  expect(unpriced).toMatchObject({ calls: 0, unpriced: 1, costNanos: { actual: 0n, other: 0n } })
})

test('a call that wasn’t tried as decided is found', () => {
  const call = callOf(pair([{ inFlight: 5 }, { inFlight: 0 }]))
  const astray = compare([{ ...call, attempts: [failed('0.0')] }], SAME)
  expect(astray).toMatchObject({ astray: 1, astrayIds: [call.id] })
})
