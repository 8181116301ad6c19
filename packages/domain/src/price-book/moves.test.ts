import { expect, test } from 'vitest'
import { movesByHalf } from './moves.ts'

test.each([
  [100n, 150n, false],
  [100n, 151n, true],
  [100n, 50n, false],
  [100n, 49n, true],
  [0n, 1n, true],
  [0n, 0n, false],
])('from %d to %d: moved by more than half is %s', (before, after, moves) => {
  expect(movesByHalf({ nanosPerMillion: { input: before } }, { nanosPerMillion: { input: after } })).toBe(moves)
})

const list = { input: 100n, cachedInput: 10n, output: 400n, search: 9n }
const { cachedInput: _, ...uncached } = list
const { search: __, ...unsearched } = list
const long = (input: bigint, above = 200_000) => ({
  nanosPerMillion: list,
  tiers: [{ above, nanosPerMillion: { input } }],
})

test.each([
  [
    'a class that loses its price is billed ten times over',
    { nanosPerMillion: list },
    { nanosPerMillion: uncached },
    true,
  ],
  ['or not at all', { nanosPerMillion: list }, { nanosPerMillion: unsearched }, true],
  ['one that gets a price becomes cheaper', { nanosPerMillion: uncached }, { nanosPerMillion: list }, false],
  ['but not free', { nanosPerMillion: uncached }, { nanosPerMillion: { ...list, cachedInput: 0n } }, true],
  ['nor much dearer', { nanosPerMillion: list }, { nanosPerMillion: { ...list, reasoning: 4_000n } }, true],
  ['what was free gets a price', { nanosPerMillion: unsearched }, { nanosPerMillion: list }, false],
  ['long inputs become a hundred times as dear', long(200n), long(20_000n), true],
  ['all inputs become long ones', { nanosPerMillion: list }, long(1_000n, 0), true],
  ['long inputs begin one token later', long(200n, 199_999), long(200n), false],
  ['long inputs are half as dear again', long(200n), long(300n), false],
])('%s', (_, before, after, moves) => {
  expect(movesByHalf(before, after)).toBe(moves)
})
