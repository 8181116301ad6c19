import { expect, test } from 'vitest'
import { CallRate, networkOf } from './call-rate.ts'

test('a caller has his share at once, then as much as time brings, and takes nothing of another’s', () => {
  const rate = new CallRate(60)
  const passed = Array.from({ length: 100 }, () => rate.count('a', 0)).filter((wait) => wait === 0)
  expect(passed).toHaveLength(60)
  expect(rate.count('a', 0)).toBe(1)
  expect(rate.count('b', 0)).toBe(0)
  expect(rate.count('a', 1_000)).toBe(0)
  expect(rate.count('a', 1_000)).toBe(1)
})

test('however many call, memory is bounded, and who calls all the time isn’t forgotten', () => {
  const rate = new CallRate(2)
  let passed = 0
  for (let i = 0; i < 100_000; i++) {
    rate.count(`10.${i}`, 0)
    if (i % 1_000 === 0 && rate.count('busy', 0) === 0) passed++
  }
  expect(passed).toBe(2)
})

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['::ffff:203.0.113.9', '::ffff:203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
