import { expect, test } from 'vitest'
import { retryAfterMsOf, TRIES_MAX, waitBeforeNextTry } from './webhook-schedule.ts'

const HOUR = 3_600_000

test('tries are spread over three days and end', () => {
  const waits = Array.from({ length: TRIES_MAX }, (_, i) => waitBeforeNextTry(i + 1, 0.5))
  expect(waits.at(-1)).toBe(null)
  const given = waits.slice(0, -1).map((wait) => wait!)
  expect([...given].sort((a, b) => a - b)).toEqual(given)
  const total = given.reduce((sum, wait) => sum + wait, 0)
  expect(total / HOUR).toBeGreaterThan(72)
  expect(total / HOUR).toBeLessThan(80)
})

test('chance moves a try by a tenth, and the receiver may ask for more, up to a day', () => {
  expect(waitBeforeNextTry(2, 0)).toBe(270_000)
  expect(waitBeforeNextTry(2, 1)).toBe(330_000)
  expect(waitBeforeNextTry(2, 0, 1_000)).toBe(270_000)
  expect(waitBeforeNextTry(2, 0, HOUR)).toBe(HOUR)
  expect(waitBeforeNextTry(2, 0, 1_000 * HOUR)).toBe(24 * HOUR)
})

test('retry-after is seconds or a date, or says nothing', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  expect(retryAfterMsOf('120', now)).toBe(120_000)
  expect(retryAfterMsOf('Thu, 01 Jan 2026 00:01:00 GMT', now)).toBe(60_000)
  expect(retryAfterMsOf('Thu, 01 Jan 2025 00:01:00 GMT', now)).toBe(0)
  for (const nothing of [undefined, '', 'soon', '-1']) expect(retryAfterMsOf(nothing, now)).toBe(0)
})
