import { STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, type Facts, type Link, type Question } from './decide.ts'
import { readDecision, writeDecision } from './decision-log.ts'
import { drawsFrom } from './draws.ts'

const idle: Omit<Facts, 'id'> = {
  weight: 1,
  inFlight: 0,
  requests: 0,
  requestsMax: null,
  tokens: 0,
  tokensMax: null,
  latencyMs: null,
  costNanos: 0,
  cooling: null,
}
const facts = (...given: Partial<Facts>[]): Facts[] => given.map((one, i) => ({ ...idle, id: String(i), ...one }))

const ask = (strategy: Strategy, given: readonly Facts[], seed: number): Question => ({
  seed,
  sticky: null,
  links: [{ strategy, facts: given }],
})
/** The order within one group. */
const orderOf = (strategy: Strategy, given: readonly Facts[], seed: number) =>
  decide(ask(strategy, given, seed)).map(({ at }) => at)

/** How often each is first in 5,000 decisions. */
function firsts(strategy: Strategy, given: Facts[]): number[] {
  const seeds = drawsFrom(1)
  const counts = given.map(() => 0)
  for (let i = 0; i < 5_000; i++) counts[orderOf(strategy, given, Math.floor(seeds() * 2 ** 32))[0]!]!++
  return counts
}

/** Pearson's statistic against the shares expected; with two degrees of freedom it is above 13.8 once in a thousand. */
function chiSquare(counts: number[], shares: number[]): number {
  return counts.reduce((sum, count, i) => sum + (count - shares[i]! * 5_000) ** 2 / (shares[i]! * 5_000), 0)
}

describe('what is tried first', () => {
  test('simple-shuffle: each in proportion to its weight', () => {
    expect(chiSquare(firsts('simple-shuffle', facts({}, {}, {})), [1 / 3, 1 / 3, 1 / 3])).toBeLessThan(13.8)
    expect(
      chiSquare(firsts('simple-shuffle', facts({ weight: 1 }, { weight: 2 }, { weight: 7 })), [0.1, 0.2, 0.7]),
    ).toBeLessThan(13.8)
  })

  test('least-busy: the fewest under way, and of those that are equally busy each as often', () => {
    expect(firsts('least-busy', facts({ inFlight: 3 }, { inFlight: 1 }, { inFlight: 2 }))).toEqual([0, 5_000, 0])
    const [a, b, c] = firsts('least-busy', facts({ inFlight: 1 }, { inFlight: 1 }, { inFlight: 2 }))
    expect(c).toBe(0)
    expect(Math.abs(a! - b!)).toBeLessThan(300)
  })

  test('usage-based: the one with the most left of the limit of which it has least', () => {
    const given = facts(
      { requests: 50, requestsMax: 100, tokens: 0, tokensMax: 1_000 },
      { requests: 10, requestsMax: 100, tokens: 700, tokensMax: 1_000 },
      { requests: 40, requestsMax: 100, tokens: 300, tokensMax: 1_000 },
    )
    expect(firsts('usage-based', given)).toEqual([0, 0, 5_000])
  })

  test('latency-based: the fastest, but for one in twenty, and what hasn’t been measured is tried', () => {
    const [slow, fast, slower] = firsts(
      'latency-based',
      facts({ latencyMs: 200 }, { latencyMs: 100 }, { latencyMs: 300 }),
    )
    expect(chiSquare([slow!, fast!, slower!], [0.05 / 3, 0.95 + 0.05 / 3, 0.05 / 3])).toBeLessThan(13.8)
    expect(firsts('latency-based', facts({ latencyMs: 1 }, { latencyMs: null }))[1]).toBeGreaterThan(4_700)
    // One at a time: whether anything comes of it isn't known yet.
    expect(firsts('latency-based', facts({ latencyMs: 9_000 }, { latencyMs: null, inFlight: 1 }))[1]).toBeLessThan(300)
  })

  test('cost-based: the cheapest', () => {
    expect(firsts('cost-based', facts({ costNanos: 3 }, { costNanos: 2 }, { costNanos: 9 }))).toEqual([0, 5_000, 0])
  })

  test.each(STRATEGIES)('%s: what has no headroom comes last, and is still there', (strategy) => {
    const given = facts({ requests: 10, requestsMax: 10, inFlight: 0 }, { inFlight: 9, costNanos: 9, latencyMs: 9 })
    for (let seed = 0; seed < 100; seed++) expect(orderOf(strategy, given, seed)).toEqual([1, 0])
  })
})

describe('a chain', () => {
  const cools = (by: 'organization' | 'platform', asked = false) => ({ cooling: { by, asked, ms: 1_000 } }) as const
  const linked = (...links: Facts[][]): Link[] => links.map((facts) => ({ strategy: 'cost-based', facts }))
  const named = (sticky: string | null, ...links: Facts[][]) =>
    decide({ seed: 1, sticky, links: linked(...links) }).map(
      ({ link, at, lastResort }) => `${link}${at}${lastResort ? '!' : ''}`,
    )

  test('is gone through link by link, each by its strategy', () => {
    const dear = facts({ costNanos: 9 }, { costNanos: 8 })
    expect(named(null, dear, facts({ costNanos: 2 }, { costNanos: 1 }))).toEqual(['01', '00', '11', '10'])
  })

  test('what is cooling comes after everything else, and what a provider asked for isn’t tried at all', () => {
    const first = facts(cools('organization'), cools('platform', true), {})
    expect(named(null, first, facts({}, cools('platform')))).toEqual(['02', '10', '00!', '11!'])
    expect(named(null, facts(cools('organization', true)))).toEqual([])
  })

  test('a conversation stays where its cache is, unless that is cooling, full or of another group', () => {
    const two = () => [...facts({ costNanos: 1 }), { ...facts({ costNanos: 2 })[0]!, id: 'kept' }]
    expect(named('kept', two())).toEqual(['01', '00'])
    expect(named('gone', two())).toEqual(['00', '01'])
    expect(named('kept', [two()[0]!, { ...two()[1]!, requests: 1, requestsMax: 1 }])).toEqual(['00', '01'])
    expect(named('kept', [two()[0]!, { ...two()[1]!, ...cools('platform') }])).toEqual(['00', '01!'])
    expect(named('kept', facts({ costNanos: 5 }), two())).toEqual(['00', '10', '11'])
  })
})

const anyFacts = fc.array(
  fc.record({
    id: fc.uuid(),
    weight: fc.integer({ min: 1, max: 100 }),
    inFlight: fc.nat(50),
    requests: fc.nat(100),
    requestsMax: fc.option(fc.integer({ min: 1, max: 100 })),
    tokens: fc.nat(1e6),
    tokensMax: fc.option(fc.integer({ min: 1, max: 1e6 })),
    latencyMs: fc.option(fc.double({ min: 0, max: 1e5, noNaN: true })),
    costNanos: fc.nat(1e9),
    cooling: fc.option(
      fc.record({
        by: fc.constantFrom('organization' as const, 'platform' as const),
        asked: fc.boolean(),
        ms: fc.nat(1e5),
      }),
    ),
  }),
  { maxLength: 20 },
)
const anyLink = fc.record({ strategy: fc.constantFrom(...STRATEGIES), facts: anyFacts })

test('10,000 random decisions, written into the log and read again, come out the same, with every deployment at most once', () => {
  fc.assert(
    fc.property(
      fc.array(anyLink, { minLength: 1, maxLength: 5 }),
      fc.nat(2 ** 32 - 1),
      fc.nat(20),
      (links, seed, i) => {
        const question: Question = { seed, sticky: links[0]!.facts[i]?.id ?? null, links }
        const order = decide(question)
        const names = links.map((_, link) => ({ group: `group ${link}`, excluded: [] }))
        const read = readDecision(
          JSON.parse(JSON.stringify(writeDecision({ question, expected: [1, 2], links: names }))),
        )
        expect(decide(read!.question)).toEqual(order)
        expect(read!.links).toEqual(names)
        const tried = order.map(({ link, at }) => `${link} ${at}`)
        expect(new Set(tried).size).toBe(tried.length)
        const may = links.flatMap(({ facts }) => facts).filter(({ cooling }) => !cooling?.asked)
        expect(tried).toHaveLength(may.length)
      },
    ),
    { numRuns: 10_000 },
  )
})
