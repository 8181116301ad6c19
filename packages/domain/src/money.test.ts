import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatUsd, parseUsd } from './money.ts'

test.each([
  ['0', 0n],
  ['5', 5_000_000_000n],
  ['0.01', 10_000_000n],
  ['-4.999999999', -4_999_999_999n],
  ['9000000.5', 9_000_000_500_000_000n],
])('%s USD is %s nanodollars, and back', (usd, nanos) => {
  expect(parseUsd(usd)).toBe(nanos)
  expect(formatUsd(nanos)).toBe(usd)
})

test.each(['', '.5', '1.', '1e3', '0.0000000001', '1,000', 'NaN', '0x10', '--1'])('"%s" is no amount', (text) => {
  expect(() => parseUsd(text)).toThrow(RangeError)
})

test('whatever is written is read back as the same integer', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (nanos) => parseUsd(formatUsd(nanos)) === nanos),
  )
})
