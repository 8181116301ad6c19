import { requestIdOf } from '@nemo/domain/ids'
import { expect, test } from 'vitest'
import {
  doubleCharges,
  exceededRates,
  freeCalls,
  lateCharges,
  lostCharges,
  mostWithin,
  wrongPayments,
} from './checks.ts'
import type { LogRow } from './evidence.ts'
import { type Answer, isUnfounded } from './witness.ts'

const ID = '01234567-89ab-7cde-8f01-23456789abcd'

const answer = (more: Partial<Answer> = {}): Answer => ({
  requestId: requestIdOf(ID),
  slot: 0,
  generation: 0,
  beganAt: 0,
  endedAt: 100,
  complete: true,
  costNanos: 7n,
  ...more,
})
const row = (more: Partial<LogRow> = {}): LogRow => ({ id: ID, status: 200, costNanos: 7n, lossNanos: 0n, ...more })
const byId = (...rows: LogRow[]) => new Map(rows.map((one) => [one.id, one]))

test('two rows of one request are a double charge', () => {
  expect(doubleCharges([row(), row({ id: 'another' })])).toEqual([])
  expect(doubleCharges([row(), row()])).toHaveLength(1)
})

test('an answer in full without a row, or with a row of another cost, is a lost charge', () => {
  expect(lostCharges([answer()], byId(row()))).toEqual([])
  expect(lostCharges([answer()], byId())).toHaveLength(1)
  expect(lostCharges([answer()], byId(row({ costNanos: 6n })))).toHaveLength(1)
  expect(lostCharges([answer()], byId(row({ costNanos: 8n })))).toHaveLength(1)
  expect(lostCharges([answer()], byId(row({ costNanos: null })))).toHaveLength(1)
  expect(lostCharges([answer({ complete: false, costNanos: null })], byId())).toEqual([])
})

test('a charge that came after its process was given up is whole together with the loss', () => {
  const late = row({ costNanos: 3n, lossNanos: 4n })
  expect(lostCharges([answer()], byId(late))).toEqual([])
  expect(lateCharges([answer()], byId(late))).toBe(1)
  expect(lateCharges([answer()], byId(row()))).toBe(0)
})

test('an answer that cost nothing is a free call, and so is one that a living process never logged', () => {
  expect(freeCalls([answer()], byId(row()), [row()], [])).toEqual([])
  expect(freeCalls([answer({ costNanos: null })], byId(row()), [], [])).toHaveLength(1)
  expect(freeCalls([], byId(), [row({ costNanos: null })], [])).toHaveLength(1)
  const unfinished = answer({ complete: false, costNanos: null })
  expect(freeCalls([unfinished], byId(), [], [])).toHaveLength(1)
  expect(freeCalls([unfinished], byId(row({ status: 499 })), [], [])).toEqual([])
  expect(freeCalls([unfinished], byId(), [], [{ slot: 0, generation: 0, at: 150 }])).toEqual([])
  expect(freeCalls([unfinished], byId(), [], [{ slot: 1, generation: 0, at: 150 }])).toHaveLength(1)
  expect(freeCalls([unfinished], byId(), [], [{ slot: 0, generation: 0, at: 100_000 }])).toHaveLength(1)
})

test('one call more than a limit within 60 seconds is found, wherever the span begins', () => {
  const atMs = [0, 30_000, 59_000, 61_000]
  expect(mostWithin(atMs, 60_000)).toBe(3)
  expect(mostWithin([0, 60_000], 60_000)).toBe(1)
  expect(mostWithin([], 60_000)).toBe(0)
  const limit = { limitId: 'l', name: 'key.requests.minute', atMs: [61_000, 30_000, 0, 59_000] }
  expect(exceededRates([{ ...limit, bound: 3n }])).toEqual([])
  expect(exceededRates([{ ...limit, bound: 2n }])).toMatchObject([{ most: 3 }])
})

test('a payment that counted twice, or not at all, is found', () => {
  expect(wrongPayments(new Map([['a', 5n]]), new Map([['a', 5n]]))).toEqual([])
  expect(wrongPayments(new Map([['a', 5n]]), new Map([['a', 10n]]))).toHaveLength(1)
  expect(wrongPayments(new Map([['a', 5n]]), new Map())).toHaveLength(1)
  expect(wrongPayments(new Map(), new Map([['b', 1n]]))).toHaveLength(1)
})

test('a refusal is unfounded when its own numbers say that the call fits', () => {
  const limit = { name: 'key.cost.day', bound: '$1', used: '$0.5', held: '$0.25', needed: '$0.25' }
  expect(isUnfounded(limit)).toBe(true)
  expect(isUnfounded({ ...limit, needed: '$0.250000001' })).toBe(false)
  expect(isUnfounded({ name: 'key.requests.minute', bound: '3', used: '3', held: '0', needed: '1' })).toBe(false)
  expect(isUnfounded({ name: 'key.requests.minute', bound: '3', used: '2', held: '0', needed: '1' })).toBe(true)
})
