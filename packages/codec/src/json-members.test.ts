import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editMembers, topLevelMembers, valueBytes } from './json-members.ts'

const edit = (json: string, edits: Record<string, string | null>) => {
  const bytes = Buffer.from(json)
  return editMembers(bytes, topLevelMembers(bytes), new Map(Object.entries(edits))).toString()
}

describe('editMembers', () => {
  test('replaces a value and leaves every other byte alone', () => {
    expect(edit('{ "model" : "a" , "n": 1.50, "big": 12345678901234567890 }', { model: '"b"' })).toBe(
      '{ "model" : "b" , "n": 1.50, "big": 12345678901234567890 }',
    )
  })

  test('removes the first, the middle, the last and the only member', () => {
    expect(edit('{"a":1,"b":2,"c":3}', { a: null })).toBe('{"b":2,"c":3}')
    expect(edit('{"a":1,"b":2,"c":3}', { b: null })).toBe('{"a":1,"c":3}')
    expect(edit('{"a":1,"b":2,"c":3}', { c: null })).toBe('{"a":1,"b":2}')
    expect(edit('{"a":1,"b":2,"c":3}', { a: null, b: null })).toBe('{"c":3}')
    expect(edit('{"a":1,"b":2,"c":3}', { b: null, c: null })).toBe('{"a":1}')
    expect(edit('{"a":1}', { a: null })).toBe('{}')
  })

  test('adds what is not there', () => {
    expect(edit('{"a":1}', { b: '2' })).toBe('{"a":1,"b":2}')
    expect(edit('{}', { b: '2' })).toBe('{"b":2}')
    expect(edit('{"a":1}', { a: null, b: '2' })).toBe('{"b":2}')
  })

  test('is not taken in by braces, quotes and keys inside strings', () => {
    expect(edit('{"x":"\\"model\\":\\\\","y":{"model":[1,{"model":2}]},"model":"a"}', { model: '"b"' })).toBe(
      '{"x":"\\"model\\":\\\\","y":{"model":[1,{"model":2}]},"model":"b"}',
    )
  })

  test('knows a key however it is escaped', () => {
    expect(edit('{"mod\\u0065l":"a"}', { model: '"b"' })).toBe('{"mod\\u0065l":"b"}')
  })

  test('a value that is nested too deeply is refused before anyone recurses into it', () => {
    const nested = (depth: number) => Buffer.from(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`)
    expect(topLevelMembers(nested(1_000))).toHaveLength(1)
    expect(() => topLevelMembers(nested(1_001))).toThrow(RangeError)
  })

  test('gives the bytes of a value as they were sent', () => {
    const bytes = Buffer.from('{"a": 1.0 ,"b":{"seed":12345678901234567890}}')
    const members = topLevelMembers(bytes)
    expect(valueBytes(bytes, members, 'a')?.toString()).toBe('1.0')
    expect(valueBytes(bytes, members, 'b')?.toString()).toBe('{"seed":12345678901234567890}')
    expect(valueBytes(bytes, members, 'c')).toBeNull()
  })

  test('agrees with parse, change and stringify on any object', () => {
    const key = fc.oneof(fc.constantFrom('model', 'nemo_tags', 'stream', 'a', ''), fc.string())
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.jsonValue(), { noNullPrototype: true }),
        fc.dictionary(
          key,
          fc.option(
            fc.jsonValue().map((value) => JSON.stringify(value)),
            { nil: null },
          ),
          { noNullPrototype: true },
        ),
        fc.constantFrom(undefined, 1, '\t'),
        (object, edits, indent) => {
          const wanted: Record<string, unknown> = Object.assign(Object.create(null), object)
          for (const [name, value] of Object.entries(edits)) {
            if (value === null) delete wanted[name]
            else wanted[name] = JSON.parse(value)
          }
          expect(JSON.parse(edit(JSON.stringify(object, null, indent), edits))).toEqual(
            JSON.parse(JSON.stringify(wanted)),
          )
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
