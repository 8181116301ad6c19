import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, type Facts, STRATEGIES } from './decide.ts'
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
}
const facts = (...given: Partial<Facts>[]): Facts[] => given.map((one, i) => ({ ...idle, id: String(i), ...one }))

/** How often each is first in 5,000 decisions. */
function firsts(strategy: (typeof STRATEGIES)[number], given: Facts[]): number[] {
  const seeds = drawsFrom(1)
  const counts = given.map(() => 0)
  for (let i = 0; i < 5_000; i++) counts[decide(strategy, given, Math.floor(seeds() * 2 ** 32))[0]!]!++
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
  })

  test('cost-based: the cheapest', () => {
    expect(firsts('cost-based', facts({ costNanos: 3 }, { costNanos: 2 }, { costNanos: 9 }))).toEqual([0, 5_000, 0])
  })

  test.each(STRATEGIES)('%s: what has no headroom comes last, and is still there', (strategy) => {
    const given = facts({ requests: 10, requestsMax: 10, inFlight: 0 }, { inFlight: 9, costNanos: 9, latencyMs: 9 })
    for (let seed = 0; seed < 100; seed++) expect(decide(strategy, given, seed)).toEqual([1, 0])
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
  }),
  { maxLength: 20 },
)

test('10,000 random decisions, written down and read again, come out the same, with every deployment once', () => {
  fc.assert(
    fc.property(fc.constantFrom(...STRATEGIES), anyFacts, fc.nat(2 ** 32 - 1), (strategy, given, seed) => {
      const order = decide(strategy, given, seed)
      const read = JSON.parse(JSON.stringify({ strategy, given, seed }))
      expect(decide(read.strategy, read.given, read.seed)).toEqual(order)
      expect([...order].sort((a, b) => a - b)).toEqual(given.map((_, i) => i))
    }),
    { numRuns: 10_000 },
  )
})
