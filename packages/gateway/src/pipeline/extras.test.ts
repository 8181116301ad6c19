import { ApiError } from '@nemo/domain/errors'
import { expect, test } from 'vitest'
import { readExtras } from './extras.ts'

test('without extras everything is as the operator set it', () => {
  expect(readExtras({ model: 'x', messages: [] })).toEqual({
    tags: [],
    strategy: null,
    maxRetries: null,
    timeoutMs: null,
    fallbacks: null,
    maxCost: null,
  })
})

test('what is honoured is read', () => {
  const fields = {
    nemo_tags: ['vision'],
    nemo_max_retries: 0,
    nemo_timeout_ms: 1_000,
    nemo_strategy: 'simple-shuffle',
    nemo_cache: true,
    nemo_fallbacks: ['gpt-x', 'claude-y'],
    nemo_max_cost: '0.05',
  }
  expect(readExtras(fields)).toEqual({
    tags: ['vision'],
    strategy: 'simple-shuffle',
    maxRetries: 0,
    timeoutMs: 1_000,
    fallbacks: ['gpt-x', 'claude-y'],
    maxCost: 50_000_000n,
  })
  expect(readExtras({ nemo_max_cost: 0.25 }).maxCost).toBe(250_000_000n)
})

test.each<[string, unknown, RegExp]>([
  ['nemo_tags', 'vision', /array of strings/],
  ['nemo_tags[1]', ['vision', 1], /must be a string/],
  ['nemo_fallbacks', 'gpt-x', /array of strings/],
  ['nemo_fallbacks', ['a', 'b', 'c', 'd', 'e'], /4 items at most/],
  ['nemo_fallbacks[0]', [''], /must be a string/],
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
  ['nemo_max_cost', '0', /positive amount in USD/],
  ['nemo_max_cost', -1, /positive amount in USD/],
  ['nemo_max_cost', 'a dollar', /positive amount in USD/],
  ['nemo_max_cost', 1e-10, /positive amount in USD/],
  ['nemo_', 1, /not a known parameter/],
  ['nemo___proto__', 1, /not a known parameter/],
])('%s of %j is refused by name', (name, value, message) => {
  try {
    readExtras({ [name.replace(/\[.*/, '')]: value })
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
