import { expect, test } from 'vitest'
import { readRateLimitReset } from './rate-limit-reset.ts'

const NOW = Date.UTC(2026, 0, 2)

test.each<[string, Record<string, string>, number | null]>([
  ['nothing', {}, null],
  ['of what is left', { 'x-ratelimit-remaining-requests': '3', 'x-ratelimit-reset-requests': '6m0s' }, null],
  ['minutes', { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6m0s' }, 360_000],
  ['milliseconds', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '850ms' }, 850],
  ['parts of a second', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m1.5s' }, 61_500],
  ['plain seconds', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '2.5' }, 2_500],
  [
    'the later of two',
    {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '3s',
    },
    3_000,
  ],
  [
    'Anthropic’s time',
    { 'anthropic-ratelimit-tokens-remaining': '0', 'anthropic-ratelimit-tokens-reset': '2026-01-02T00:00:07Z' },
    7_000,
  ],
  [
    'seconds since 1970',
    { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': String(NOW / 1_000 + 9) },
    9_000,
  ],
  [
    'milliseconds since 1970',
    { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': String(NOW + 9_000) },
    9_000,
  ],
  ['a time that is past', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': String(NOW - 9) }, 0],
  ['less than nothing left', { 'x-ratelimit-remaining-tokens': '-3', 'x-ratelimit-reset-tokens': '2s' }, 2_000],
  ['nothing said of what is left', { 'x-ratelimit-remaining-tokens': '', 'x-ratelimit-reset-tokens': '2s' }, null],
  ['nonsense', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': 'soon' }, null],
])('%s', (_, headers, ms) => {
  expect(readRateLimitReset(headers, NOW)).toBe(ms)
})
