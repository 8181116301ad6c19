import { expect, test } from 'vitest'
import { firstSaid, type PictureRate, pictureRate } from './picture.ts'

const TABLE: readonly PictureRate[] = [
  { quality: 'standard', size: '1024x1024', nanosPerMillion: 40n },
  { quality: 'standard', size: '1792x1024', nanosPerMillion: 80n },
  { quality: 'hd', size: '1024x1024', nanosPerMillion: 80n },
  { quality: 'hd', size: '1792x1024', nanosPerMillion: 120n },
]

test.each([
  ['standard', '1024x1024', 40n],
  ['hd', '1792x1024', 120n],
  ['hd', null, 120n],
  ['standard', 'auto', 80n],
  [null, '1024x1024', 80n],
  ['auto', 'auto', 120n],
  ['hd', '64x64', null],
])('of a table of qualities and sizes, quality %s and size %s is %s', (quality, size, nanos) => {
  expect(pictureRate(TABLE, { quality, size })).toBe(nanos)
})

test('a row for just such a picture comes before one for any, unless it isn’t known to be one', () => {
  const table = [
    { quality: 'hd', nanosPerMillion: 120n },
    { quality: 'hd', size: '1024x1024', nanosPerMillion: 80n },
    { nanosPerMillion: 500n },
  ]
  expect(pictureRate(table, { quality: 'hd', size: '1024x1024' })).toBe(80n)
  expect(pictureRate(table, { quality: 'hd', size: '64x64' })).toBe(120n)
  expect(pictureRate(table, { quality: 'low', size: '64x64' })).toBe(500n)
  expect(pictureRate(table, { quality: null, size: '64x64' })).toBe(500n)
  expect(pictureRate([], { quality: 'hd', size: '64x64' })).toBeNull()
})

test('what a provider makes where nothing is said is its own default', () => {
  const table = TABLE.map((row, i) => (i === 0 ? { ...row, isDefault: true } : row))
  expect(pictureRate(table, { quality: null, size: null })).toBe(40n)
  expect(pictureRate(table, { quality: 'hd', size: null })).toBe(80n)
  expect(pictureRate(table, { quality: 'auto', size: '1792x1024' })).toBe(80n)
})

test.each([
  ['1024x768', 25n],
  ['1024x1024', 25n],
  ['1025x1024', 50n],
  ['2048x2048', 100n],
  [null, 50n],
  ['auto', 50n],
  ['large', 50n],
])('by the megapixel, rounded up, %s is %s', (size, nanos) => {
  expect(pictureRate([{ nanosPerMillion: 25n, perMegapixel: true }], { quality: null, size })).toBe(nanos)
})

test('what the provider says that it made comes before what was asked', () => {
  const asked = { quality: 'auto', size: '1024x1024' }
  expect(firstSaid({ quality: 'low', size: null }, asked)).toEqual({ quality: 'low', size: '1024x1024' })
  expect(firstSaid({ quality: 'auto', size: '1536x1024' }, asked)).toEqual({ quality: 'auto', size: '1536x1024' })
  expect(firstSaid(undefined, asked)).toBe(asked)
  expect(firstSaid(null, null)).toBeNull()
})
