import { expect, test } from 'vitest'
import { randomFrom } from './random.ts'
import { schemaInstance } from './schema-instance.ts'

const make = (schema: unknown) => schemaInstance(schema, randomFrom(7))

test('every property of an object is filled with its own type', () => {
  const made = make({
    type: 'object',
    properties: {
      city: { type: 'string' },
      days: { type: 'integer', minimum: 3, maximum: 5 },
      ratio: { type: 'number', minimum: 0, maximum: 1 },
      metric: { type: 'boolean' },
      unit: { enum: ['c', 'f'] },
      kind: { const: 'weather' },
      nothing: { type: 'null' },
      tags: { type: 'array', items: { type: 'string' }, minItems: 2 },
      nested: { type: 'object', properties: { when: { type: 'string', format: 'date' } } },
    },
  })
  expect(made).toEqual({
    city: expect.any(String),
    days: expect.toSatisfy((days: number) => Number.isInteger(days) && days >= 3 && days <= 5),
    ratio: expect.toSatisfy((ratio: number) => ratio >= 0 && ratio <= 1),
    metric: expect.any(Boolean),
    unit: expect.toSatisfy((unit: string) => unit === 'c' || unit === 'f'),
    kind: 'weather',
    nothing: null,
    tags: [expect.any(String), expect.any(String)],
    nested: { when: '2026-01-01' },
  })
})

test('the first branch is taken, and a nullable type is given its value', () => {
  expect(make({ anyOf: [{ const: 1 }, { const: 2 }] })).toBe(1)
  expect(make({ type: ['null', 'boolean'] })).toEqual(expect.any(Boolean))
})

test('all parts of allOf are merged', () => {
  const allOf = [{ $ref: '#/$defs/a' }, { type: 'object', properties: { b: { const: 2 } } }]
  expect(make({ allOf, $defs: { a: { type: 'object', properties: { a: { const: 1 } } } } })).toEqual({ a: 1, b: 2 })
})

test('references are followed, and a schema that refers to itself comes to an end', () => {
  const node = {
    type: 'object',
    required: ['value', 'next', 'children'],
    properties: {
      value: { $ref: '#/$defs/value' },
      next: { anyOf: [{ $ref: '#' }, { type: 'null' }] },
      children: { type: 'array', items: { $ref: '#' } },
    },
    $defs: { value: { const: 'v' } },
  }
  const made = make(node) as { value: string; next: { value: string }; children: unknown[] }
  expect(made.value).toBe('v')
  expect(made.next.value).toBe('v')
  expect(JSON.stringify(made).length).toBeLessThan(10_000)
})

test.each([
  [{ type: 'integer', exclusiveMinimum: 4, exclusiveMaximum: 6 }, (n: number) => n === 5],
  [{ type: 'integer', maximum: -10 }, (n: number) => Number.isInteger(n) && n <= -10],
  [{ type: 'number', multipleOf: 0.5, minimum: 1, maximum: 2 }, (n: number) => [1, 1.5, 2].includes(n)],
  [{ type: 'integer', multipleOf: 7, minimum: 10 }, (n: number) => n >= 10 && n % 7 === 0],
])('%j is kept to', (schema, holds) => {
  for (let seed = 0; seed < 50; seed++) {
    expect(schemaInstance(schema, randomFrom(seed))).toSatisfy(holds)
  }
})

test.each([
  [{ type: 'string', maxLength: 3 }, 0, 3],
  [{ type: 'string', minLength: 40 }, 40, 60],
])('%j is kept to', (schema, least, most) => {
  const { length } = make(schema) as string
  expect(length).toBeGreaterThanOrEqual(least)
  expect(length).toBeLessThanOrEqual(most)
})
