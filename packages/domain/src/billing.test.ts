import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { feeOf, formatCents, formatMoney, nanosOf, parseCents, shareOf } from './billing.ts'
import { parseUsd } from './money.ts'

const cents = fc.bigInt({ min: 1n, max: 100_000_000n })
const basisPoints = fc.integer({ min: 0, max: 10_000 })

describe('the fee', () => {
  test.each([
    [10_000n, 400, 400n],
    [10_000n, 200, 200n],
    [10_000n, 0, 0n],
    // Half a cent is rounded up, anything below it down: 4 % of $12.62 is 50.48 cents, of $12.63 it is 50.52, and 1 % of 50 cents is half a cent.
    [1_262n, 400, 50n],
    [1_263n, 400, 51n],
    [50n, 100, 1n],
    [49n, 100, 0n],
    [1n, 10_000, 1n],
  ])('on %d cents at %d basis points is %d', (credits, points, fee) => {
    expect(feeOf(credits, points)).toBe(fee)
  })

  test('is the exact percentage, rounded to the nearest cent with the half going up', () => {
    fc.assert(
      fc.property(cents, basisPoints, (credits, points) => {
        const fee = feeOf(credits, points)
        const error = 2n * (fee * 10_000n - credits * BigInt(points))
        expect(error > -10_000n && error <= 10_000n).toBe(true)
      }),
    )
  })

  test('never falls when more is bought or the tier costs more, and never exceeds what is bought', () => {
    fc.assert(
      fc.property(cents, cents, basisPoints, basisPoints, (a, b, p, q) => {
        const [less, more] = a < b ? [a, b] : [b, a]
        const [low, high] = p < q ? [p, q] : [q, p]
        expect(feeOf(less, low) <= feeOf(more, low)).toBe(true)
        expect(feeOf(less, low) <= feeOf(less, high)).toBe(true)
        expect(feeOf(less, high) <= less).toBe(true)
      }),
    )
  })
})

describe('what a reversal takes back', () => {
  test('adds up to what was charged, however a refund is cut into parts, and neither part ever shrinks', () => {
    fc.assert(
      fc.property(
        cents,
        basisPoints,
        fc.array(fc.nat({ max: 1_000 }), { maxLength: 8 }),
        (creditsCents, points, cuts) => {
          const charged = { creditsCents, feeCents: feeOf(creditsCents, points) }
          const total = charged.creditsCents + charged.feeCents
          const steps = [...cuts.map((cut) => (total * BigInt(cut)) / 1_000n), total].sort((a, b) => (a < b ? -1 : 1))
          let before = { creditsCents: 0n, feeCents: 0n }
          for (const step of steps) {
            const after = shareOf(charged, step)
            expect(after.creditsCents + after.feeCents).toBe(step)
            expect(after.creditsCents >= before.creditsCents && after.feeCents >= before.feeCents).toBe(true)
            before = after
          }
          expect(before).toEqual(charged)
        },
      ),
    )
  })

  test('is never more than was charged', () => {
    expect(() => shareOf({ creditsCents: 100n, feeCents: 4n }, 105n)).toThrow(RangeError)
  })
})

describe('cents', () => {
  test('are read and written exactly, and what is finer than a cent is refused', () => {
    fc.assert(
      fc.property(cents, (amount) => {
        expect(parseCents(formatCents(amount))).toBe(amount)
        expect(parseUsd(formatCents(amount))).toBe(nanosOf(amount))
      }),
    )
    expect(() => parseCents('1.005')).toThrow(RangeError)
    expect(() => parseCents('1e3')).toThrow(RangeError)
  })

  test('are written with both decimals, and nanodollars with as many as there are', () => {
    expect([formatCents(10_400n), formatCents(5n), formatCents(-50n)]).toEqual(['104.00', '0.05', '-0.50'])
    expect([formatMoney(5_000_000_000n), formatMoney(1_500_000n)]).toEqual(['5.00', '0.0015'])
  })
})
