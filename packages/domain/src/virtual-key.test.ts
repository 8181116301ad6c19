import { expect, test } from 'vitest'
import { hashVirtualKey, hintOfVirtualKey, isVirtualKey, newVirtualKey } from './virtual-key.ts'

test('a new key is known by its form, and no two are alike', () => {
  const keys = Array.from({ length: 1_000 }, newVirtualKey)
  for (const key of keys) expect(isVirtualKey(key)).toBe(true)
  expect(new Set(keys).size).toBe(keys.length)
})

test('a key with any character changed, or cut, or longer, is none', () => {
  const key = newVirtualKey()
  for (let i = 0; i < key.length; i++) {
    const other = key[i] === 'x' ? 'y' : 'x'
    expect(isVirtualKey(key.slice(0, i) + other + key.slice(i + 1))).toBe(false)
  }
  expect(isVirtualKey(key.slice(0, -1))).toBe(false)
  expect(isVirtualKey(`${key}0`)).toBe(false)
})

test('the hash is of 32 bytes, and the hint gives four characters away', () => {
  const key = newVirtualKey()
  expect(hashVirtualKey(key)).toHaveLength(32)
  expect(hintOfVirtualKey(key)).toBe(`sk-nemo-…${key.slice(-4)}`)
})
