import { describe, expect, test } from 'vitest'
import { backoffMs, type Fault, isOperatorsFault, nameOfFault, readRetryAfter, verdictOf } from './fault.ts'

const status = (code: number, retryAfterMs: number | null = null): Fault => ({
  kind: 'status',
  status: code,
  detail: '',
  param: null,
  code: null,
  retryAfterMs,
})
const reset: Fault = { kind: 'reset', detail: '' }

test('only what would be wrong anywhere is told to the caller; all else is tried again', () => {
  expect([400, 413, 415, 422].map((code) => verdictOf(status(code)))).toEqual(Array(4).fill('tell'))
  for (const code of [401, 402, 403, 404, 408, 409, 418, 429, 500, 503, 529])
    expect(verdictOf(status(code))).toBe('retry')
  expect(verdictOf(reset)).toBe('retry')
})

test('what no tenant can mend is the operator’s', () => {
  expect([401, 402, 403, 404, 429, 500].map((code) => isOperatorsFault(status(code)))).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
  ])
  expect(isOperatorsFault(reset)).toBe(false)
  expect([nameOfFault(status(503)), nameOfFault(reset)]).toEqual(['503', 'reset'])
})

describe('backoffMs', () => {
  const patience = 60_000

  test('a deployment that hasn’t been tried is called at once', () => {
    expect(backoffMs(1, null, patience, () => 0.99)).toBe(0)
  })

  test('doubles with full jitter up to five seconds', () => {
    expect([1, 2, 3, 4].map((attempt) => backoffMs(attempt, reset, patience, () => 1))).toEqual([200, 400, 800, 1_600])
    expect(backoffMs(30, reset, patience, () => 1)).toBe(5_000)
    expect(backoffMs(3, reset, patience, () => 0)).toBe(0)
  })

  test('waits as long as the provider asks, and not at all where nobody would wait so long', () => {
    expect(backoffMs(1, status(429, 1_234), patience, () => 0.5)).toBe(1_234)
    expect(backoffMs(1, status(429, 60_000), patience, () => 0.5)).toBeNull()
    expect(backoffMs(1, status(429, Number.POSITIVE_INFINITY), patience, () => 0.5)).toBeNull()
    expect(backoffMs(1, reset, 0, () => 0)).toBeNull()
  })
})

test.each<[string, Record<string, string | string[]>, number | null]>([
  ['milliseconds before seconds', { 'retry-after-ms': '250', 'retry-after': '1' }, 250],
  ['seconds', { 'retry-after': '2' }, 2_000],
  ['parts of a second', { 'retry-after': '0.5' }, 500],
  ['a date', { 'retry-after': 'Fri, 02 Jan 2026 00:00:10 GMT' }, 10_000],
  ['a date that is past', { 'retry-after': 'Thu, 01 Jan 2026 00:00:00 GMT' }, 0],
  ['twice', { 'retry-after': ['3', '4'] }, 3_000],
  ['nonsense', { 'retry-after': 'soon' }, null],
  ['less than nothing', { 'retry-after-ms': '-5' }, null],
  ['nothing', {}, null],
])('retry-after: %s', (_, headers, milliseconds) => {
  expect(readRetryAfter(headers, Date.UTC(2026, 0, 2))).toBe(milliseconds)
})
