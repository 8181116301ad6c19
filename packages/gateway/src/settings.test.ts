import { expect, test } from 'vitest'
import { DEFAULT_SETTINGS, readSettings } from './settings.ts'

test('an empty environment gives the defaults', () => {
  expect(readSettings({})).toEqual(DEFAULT_SETTINGS)
  expect(readSettings({ NEMO_RETRIES_MAX: '', OTHER: 'x' })).toEqual(DEFAULT_SETTINGS)
})

test('a variable takes the place of its default', () => {
  expect(readSettings({ NEMO_RETRIES_MAX: '0', NEMO_DRAIN_MS: '0', NEMO_IDLE_TIMEOUT_MS: '5' })).toEqual({
    ...DEFAULT_SETTINGS,
    retriesMax: 0,
    drainMs: 0,
    idleTimeoutMs: 5,
  })
})

test.each([
  ['NEMO_BODY_BYTES_MAX', '20MB'],
  ['NEMO_BODY_BYTES_MAX', '0'],
  ['NEMO_RETRIES_MAX', '-1'],
  ['NEMO_RETRIES_MAX', '1.5'],
  ['NEMO_IDLE_TIMEOUT_MS', '0'],
  // A timer that long would go off at once.
  ['NEMO_TOTAL_TIMEOUT_MS', '2147483648'],
])('%s=%s is refused by name', (name, value) => {
  expect(() => readSettings({ [name]: value })).toThrow(`${name} must be a whole number`)
})
