import { expect, test } from 'vitest'
import { EVENT_TYPES, isEventPattern, patternsOf } from './webhook-events.ts'

test.each(['*', 'audit.*', 'audit.key.*', 'audit.key.created', 'limit.*', 'limit.crossed', 'key.*', 'webhook.test'])(
  'an endpoint may ask for %s',
  (pattern) => {
    expect(isEventPattern(pattern)).toBe(true)
  },
)

test.each([
  '',
  '.*',
  'audit',
  'limit',
  'nothing.*',
  'limit.crossed.*',
  'k*',
  'audit.KEY',
  'audit..*',
  '__proto__',
  'constructor',
  'toString',
])('an endpoint may not ask for "%s"', (pattern) => {
  expect(isEventPattern(pattern)).toBe(false)
})

test('an event is in each of its groups, and every type can be asked for', () => {
  expect(patternsOf('audit.key.created')).toEqual(['*', 'audit.*', 'audit.key.*', 'audit.key.created'])
  expect(patternsOf('limit.crossed')).toEqual(['*', 'limit.*', 'limit.crossed'])
  for (const type of Object.keys(EVENT_TYPES)) expect(isEventPattern(type)).toBe(true)
})
