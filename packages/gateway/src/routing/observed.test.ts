import { expect, test } from 'vitest'
import { Observed } from './observed.ts'

test('a latency is an average in which the latest call weighs 30 %, and is forgotten after 30 s', () => {
  const observed = new Observed()
  observed.took('a', true, 100, 1_000)
  observed.took('a', true, 200, 2_000)
  expect(observed.latencyMs('a', true, 2_000)).toBe(130)
  expect(observed.latencyMs('a', true, 31_999)).toBe(130)
  expect(observed.latencyMs('a', true, 32_000)).toBeNull()
  observed.took('a', true, 500, 40_000)
  expect(observed.latencyMs('a', true, 40_000)).toBe(500)
  expect([observed.latencyMs('a', false, 40_000), observed.latencyMs('b', true, 40_000)]).toEqual([null, null])
})

test('of other answers it is by output token, and an answer of one token doesn’t make it look slow', () => {
  const observed = new Observed()
  for (let i = 0; i < 20; i++) observed.took('a', false, 2_000, i, 200)
  expect(observed.latencyMs('a', false, 20)).toBe(10)
  for (let i = 20; i < 60; i++) observed.took('a', false, i % 2 ? 2_000 : 500, i, i % 2 ? 200 : 1)
  expect(observed.latencyMs('a', false, 60)).toBeLessThan(15)
})
