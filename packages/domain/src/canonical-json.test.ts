import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, type Json } from './canonical-json.ts'

test('members are sorted by code units, and numbers are as RFC 8785 has them', () => {
  // The examples of RFC 8785, sections 3.2.2 and 3.2.3.
  expect(canonicalJson([333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001])).toBe(
    '[333333333.3333333,1e+30,4.5,0.002,1e-27]',
  )
  const names = {
    '\u20ac': 'Euro',
    '\r': 'CR',
    '\ufb33': 'Dalet',
    1: 'One',
    '\ud83d\ude00': 'Face',
    '\u0080': 'Control',
    '\u00f6': 'o',
  }
  expect(Object.values(JSON.parse(canonicalJson(names)))).toEqual([
    'One',
    'CR',
    'Control',
    'o',
    'Euro',
    'Face',
    'Dalet',
  ])
  expect(canonicalJson({ 10: 1, 9: 2, a: { c: -0, b: [] } })).toBe('{"10":1,"9":2,"a":{"b":[],"c":0}}')
})

test('the text of a value is that of what it reads as, in any order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value as Json)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
      expect(canonicalJson(reversed(value as Json))).toBe(text)
    }),
  )
})

function reversed(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(reversed)
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  )
}
