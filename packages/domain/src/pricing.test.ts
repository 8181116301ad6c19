import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseUsd } from './money.ts'
import { ceilingOf, costOf, type Price } from './pricing.ts'
import { inputTokens, outputTokens, USAGE_CLASSES, type Usage } from './usage.ts'

const price: Price = {
  versionId: 'v1',
  nanosPerMillion: { input: parseUsd('0.15'), cachedInput: parseUsd('0.075'), output: parseUsd('0.6') },
}

test('each class is charged at its own price, and the sum is rounded up once', () => {
  expect(costOf({ input: 1_000_000 }, price)).toBe(parseUsd('0.15'))
  expect(costOf({ input: 1_000, cachedInput: 2_000, output: 500 }, price)).toBe(parseUsd('0.0006'))
  expect(costOf({ input: 1 }, { versionId: 'v', nanosPerMillion: { input: 1n } })).toBe(1n)
  expect(costOf({ input: 1, output: 1 }, { versionId: 'v', nanosPerMillion: { input: 1n, output: 1n } })).toBe(1n)
})

test('a class without a price is charged as what it is a kind of', () => {
  expect(costOf({ reasoning: 1_000_000 }, price)).toBe(parseUsd('0.6'))
  expect(costOf({ audioInput: 1_000_000 }, price)).toBe(parseUsd('0.15'))
})

test('a price per request is exact to the cent', () => {
  expect(costOf({ request: 1 }, { versionId: 'v', nanosPerMillion: { request: parseUsd('10000') } })).toBe(
    parseUsd('0.01'),
  )
})

test('nothing costs nothing, and a free model is free', () => {
  expect(costOf({}, price)).toBe(0n)
  expect(costOf({ input: 1_000 }, { versionId: 'v', nanosPerMillion: { input: 0n } })).toBe(0n)
})

test('the ceiling is never below the cost of what it was made for, whatever kind the tokens turn out to be', () => {
  const count = fc.nat({ max: 1_000_000 })
  const usage = fc.record(Object.fromEntries(USAGE_CLASSES.map((c) => [c, count])), { requiredKeys: [] })
  const rates = fc.record(Object.fromEntries(USAGE_CLASSES.map((c) => [c, fc.bigInt({ min: 0n, max: 10n ** 14n })])), {
    requiredKeys: [],
  })
  fc.assert(
    fc.property(usage, rates, (used: Usage, nanosPerMillion) => {
      const any: Price = { versionId: 'v', nanosPerMillion }
      const expected = {
        input: inputTokens(used),
        output: outputTokens(used),
        image: used.image ?? 0,
        second: used.second ?? 0,
        search: used.search ?? 0,
        request: used.request ?? 0,
      }
      expect(ceilingOf(expected, any) >= costOf(used, any)).toBe(true)
    }),
  )
})

test('the ceiling is that of a tier only where the input could come to it', () => {
  const tiered: Price = {
    versionId: 'v',
    nanosPerMillion: { input: 1_000_000n },
    tiers: [{ above: 200_000, nanosPerMillion: { input: 2_000_000n } }],
  }
  expect(ceilingOf({ input: 100_000 }, tiered)).toBe(100_000n)
  expect(ceilingOf({ input: 150_000 }, tiered)).toBe(300_000n)
  expect(costOf({ input: 200_000 }, tiered)).toBe(200_000n)
  expect(costOf({ input: 200_001 }, tiered)).toBe(400_002n)
  expect(costOf({ input: 1, cachedInput: 200_000 }, tiered)).toBe(400_002n)
})
