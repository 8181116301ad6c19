import { expect, test } from 'vitest'
import { defaultConfig, readConfig, readRequestSettings } from './settings.ts'

test('an unknown setting is named', () => {
  expect(() => readRequestSettings({ latency: 1 })).toThrow("Unknown sandbox setting: 'latency'.")
})

test('a setting of the process cannot come with a request', () => {
  expect(() => readRequestSettings({ failure_rate: 1 })).toThrow(/failure_rate.*process/)
  expect(readConfig({ failure_rate: 1 })).toEqual({ failure_rate: 1 })
})

test.each([
  ['latency_ms', -1],
  ['tokens', 1.5],
  ['status', 200],
  ['hang', 'after'],
  ['crlf', 1],
  ['usage', { prompt: 1 }],
  ['usage', { prompt_tokens: -1 }],
  ['failure_rate', 2],
])('%s refuses %j and says what it expects', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(`Invalid sandbox setting '${name}': expected `)
})

test('null sets a setting back', () => {
  expect(readRequestSettings({ chunk_bytes: null, latency_ms: null })).toEqual({ chunk_bytes: null, latency_ms: 0 })
})

test('every default is a value that its own check accepts', () => {
  expect(readConfig(defaultConfig)).toEqual(defaultConfig)
})
