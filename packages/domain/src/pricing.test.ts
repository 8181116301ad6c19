import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseUsd } from './money.ts'
import { firstSaid } from './picture.ts'
import { BY_THE_PIECE, ceilingOf, costOf, type Price, pricesTier, type Rates } from './pricing.ts'
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

const count = fc.nat({ max: 1_000_000 })
const someUsage: fc.Arbitrary<Usage> = fc.record(Object.fromEntries(USAGE_CLASSES.map((c) => [c, count])), {
  requiredKeys: [],
})
const someRates: fc.Arbitrary<Rates> = fc.record(
  Object.fromEntries(USAGE_CLASSES.map((c) => [c, fc.bigInt({ min: 0n, max: 10n ** 14n })])),
  { requiredKeys: [] },
)
const someTiers = fc.dictionary(fc.constantFrom('flex', 'priority', 'fast'), someRates)
const quality = fc.constantFrom('low', 'high')
const size = fc.constantFrom('512x512', '1024x1024', '2048x2048')
const somePrice: fc.Arbitrary<Price> = fc.record({
  versionId: fc.constant('v'),
  nanosPerMillion: someRates,
  tiers: fc
    .array(fc.record({ above: fc.nat({ max: 3_000_000 }), nanosPerMillion: someRates, serviceTiers: someTiers }), {
      maxLength: 2,
    })
    .map((tiers) => tiers.sort((a, b) => a.above - b.above)),
  serviceTiers: someTiers,
  pictures: fc.array(
    fc.record(
      { quality, size, nanosPerMillion: fc.bigInt({ min: 0n, max: 10n ** 14n }), perMegapixel: fc.boolean() },
      { requiredKeys: ['nanosPerMillion'] },
    ),
    { maxLength: 4 },
  ),
})

function expectedOf(used: Usage): Usage {
  const pieces = Object.fromEntries(BY_THE_PIECE.map((one) => [one, used[one] ?? 0]))
  return { ...pieces, input: inputTokens(used), output: outputTokens(used) }
}

test('the ceiling is never below the cost of what it was made for, whatever kind the tokens turn out to be, and however they are served', () => {
  const picture = fc.record({ quality, size })
  fc.assert(
    fc.property(
      ...[someUsage, somePrice, fc.constantFrom(null, 'auto', 'default', 'flex', 'priority', 'fast'), picture],
      (used, price, serviceTier, picture) => {
        const most = ceilingOf(expectedOf(used), price, { serviceTier, picture })
        const tiers = new Set([null, 'default', serviceTier])
        tiers.delete('auto')
        for (const tier of tiers) expect(most >= costOf(used, price, { serviceTier: tier, picture })).toBe(true)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('what isn’t said of a picture is held for at the dearest that it could be', () => {
  const said = fc.record({ quality: fc.constantFrom(null, 'auto', 'low'), size: fc.constantFrom(null, 'auto') })
  const rows = fc.array(fc.record({ quality, size, nanosPerMillion: fc.bigInt({ min: 0n, max: 10n ** 14n }) }), {
    minLength: 1,
  })
  fc.assert(
    fc.property(said, rows, (asked, pictures) => {
      const priced: Price = { versionId: 'v', nanosPerMillion: {}, pictures }
      const most = ceilingOf({ image: 3 }, priced, { picture: asked })
      for (const row of pictures) {
        if (asked.quality === 'low' && row.quality !== 'low') continue
        expect(most >= costOf({ image: 3 }, priced, { picture: firstSaid(row, asked) })).toBe(true)
      }
    }),
  )
})

test('a service tier is held for where it is asked for', () => {
  const tiered: Price = {
    versionId: 'v',
    nanosPerMillion: { output: 10_000_000n },
    serviceTiers: { flex: { output: 5_000_000n }, priority: { output: 20_000_000n } },
  }
  const held = ([null, 'auto', 'default', 'flex', 'priority', 'fast', 'scale'] as const).map((serviceTier) =>
    ceilingOf({ output: 1 }, tiered, { serviceTier }),
  )
  expect(held).toEqual([10n, 10n, 10n, 10n, 20n, 20n, 10n])
})

test('a tier that the price says nothing of can’t be charged', () => {
  const tiered: Price = { versionId: 'v', nanosPerMillion: {}, serviceTiers: { flex: {}, priority: {} } }
  const priced = [null, 'auto', 'default', 'standard_only', 'flex', 'priority', 'fast', 'us', 'scale'].filter((tier) =>
    pricesTier(tiered, tier),
  )
  expect(priced).toEqual([null, 'auto', 'default', 'standard_only', 'flex', 'priority', 'fast'])
})

test.each(['constructor', 'toString', '__proto__'])(
  'a tier by a name that every object has has no price: %s',
  (tier) => {
    const tiered: Price = { versionId: 'v', nanosPerMillion: { input: 1_000_000n }, serviceTiers: { flex: {} } }
    expect(pricesTier(tiered, tier)).toBe(false)
    expect(costOf({ input: 1 }, tiered, { serviceTier: tier })).toBe(1n)
  },
)

test('a fast mode with a price of its own is held for only where it is asked for', () => {
  const fast: Price = {
    versionId: 'v',
    nanosPerMillion: { output: 10_000_000n },
    serviceTiers: { fast: { output: 60_000_000n } },
  }
  expect([null, 'auto', 'fast'].map((serviceTier) => ceilingOf({ output: 1 }, fast, { serviceTier }))).toEqual([
    10n,
    10n,
    60n,
  ])
  expect(costOf({ output: 1 }, fast, { serviceTier: 'fast' })).toBe(60n)
})

test('of long inputs a service tier has rates of its own', () => {
  const tiered: Price = {
    versionId: 'v',
    nanosPerMillion: { input: 10_000_000n },
    serviceTiers: { flex: { input: 5_000_000n } },
    tiers: [
      { above: 2, nanosPerMillion: { input: 20_000_000n }, serviceTiers: { flex: { input: 10_000_000n } } },
      { above: 4, nanosPerMillion: { input: 40_000_000n } },
    ],
  }
  const costs = (input: number) => [null, 'flex'].map((serviceTier) => costOf({ input }, tiered, { serviceTier }))
  expect([2, 3, 5].map(costs)).toEqual([
    [20n, 10n],
    [60n, 30n],
    [200n, 200n],
  ])
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
