import { ApiError } from '@nemo/domain/errors'
import { expect, test } from 'vitest'
import { readExtras } from './extras.ts'

test('without extras everything is as the operator set it', () => {
  expect(readExtras({ model: 'x', messages: [] })).toEqual({
    tags: [],
    strategy: null,
    maxRetries: null,
    timeoutMs: null,
  })
})

test('what is honoured is read', () => {
  const fields = {
    nemo_tags: ['vision'],
    nemo_max_retries: 0,
    nemo_timeout_ms: 1_000,
    nemo_strategy: 'simple-shuffle',
    nemo_cache: true,
  }
  expect(readExtras(fields)).toEqual({ tags: ['vision'], strategy: 'simple-shuffle', maxRetries: 0, timeoutMs: 1_000 })
})

test.each<[string, unknown, RegExp]>([
  ['nemo_tags', 'vision', /array of strings/],
  ['nemo_tags', ['vision', 1], /array of strings/],
  ['nemo_max_retries', -1, /from 0 to 10/],
  ['nemo_max_retries', 11, /from 0 to 10/],
  ['nemo_max_retries', 1.5, /from 0 to 10/],
  ['nemo_max_retries', '1', /from 0 to 10/],
  ['nemo_timeout_ms', 0, /from 1 to 3600000/],
  ['nemo_timeout_ms', Number.NaN, /from 1 to 3600000/],
  ['nemo_timeout_ms', 1e308, /from 1 to 3600000/],
  ['nemo_strategy', 'round-robin', /must be one of simple-shuffle/],
  ['nemo_cache', 1, /boolean/],
  ['nemo_guardrail_ids', [], /not available yet/],
  ['nemo_max_cost', '1', /not available yet/],
  ['nemo_', 1, /not a known parameter/],
  ['nemo___proto__', 1, /not a known parameter/],
])('%s = %j is refused by name', (name, value, message) => {
  try {
    readExtras({ [name]: value })
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      status: 400,
      code: 'invalid_request',
      param: name,
      message: expect.stringMatching(message),
    })
  }
})
