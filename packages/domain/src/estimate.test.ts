import { expect, test } from 'vitest'
import { estimateTokens, tokensAtMost } from './estimate.ts'

// Counts by OpenAI's tokenizer of GPT-4o (o200k_base), with gpt-tokenizer 4.0.0.
test.each([
  ['The quick brown fox jumps over the lazy dog.', 10],
  ['export function add(a: number, b: number): number { return a + b }', 18],
  [
    'Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt.',
    26,
  ],
  ['1234567890 9876543210', 9],
  ['人人生而自由,在尊严和权利上一律平等。', 16],
  ['{"name":"get_weather","arguments":{"city":"Paris","days":3}}', 16],
])('%s: within half of the %s tokens, and never under it with the margin', (text, tokens) => {
  expect(Math.abs(estimateTokens(text) - tokens)).toBeLessThanOrEqual(Math.ceil(tokens / 2))
  expect(tokensAtMost(text)).toBeGreaterThanOrEqual(tokens)
})

test('nothing is nothing', () => {
  expect(estimateTokens('')).toBe(0)
})
