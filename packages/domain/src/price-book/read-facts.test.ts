import { expect, test } from 'vitest'
import { dateOf, readFacts } from './read-facts.ts'

test('models are found by our names of their providers, with and without a prefix', () => {
  const read = readFacts({
    sample_spec: { litellm_provider: 'one of https://docs.litellm.ai/docs/providers', max_output_tokens: 'text' },
    'gpt-x': { litellm_provider: 'openai', deprecation_date: '2027-01-14', supports_vision: true },
    'together_ai/meta/llama-x': { litellm_provider: 'together_ai', rpm: 600, tpm: 180_000 },
    'anthropic.claude-x': {
      litellm_provider: 'bedrock_converse',
      supports_function_calling: true,
      max_output_tokens: 9,
    },
    'somebody/else': { litellm_provider: 'constructor', rpm: 1 },
    'nothing/known': { litellm_provider: 'groq', input_cost_per_token: 1e-6 },
  })
  expect(Object.fromEntries(read)).toEqual({
    'openai/gpt-x': { deprecatesOn: '2027-01-14', capabilities: ['vision'] },
    'together/meta/llama-x': { requestsPerMinute: 600, tokensPerMinute: 180_000 },
    'bedrock/anthropic.claude-x': { outputTokensMax: 9, capabilities: ['function-calling'] },
  })
})

test.each([
  { rpm: -1 },
  { rpm: 1.5 },
  { tpm: '5' },
  { tpm: 1e300 },
  { deprecation_date: 'soon' },
  { deprecation_date: '2027-02-30' },
  { max_output_tokens: 0 },
  { supports_vision: 'yes' },
])('what is malformed is left out: %j', (given) => {
  expect(readFacts({ x: { litellm_provider: 'groq', ...given } }).size).toBe(0)
  expect(readFacts({ x: { litellm_provider: 'groq', ...given, supports_reasoning: true } }).get('groq/x')).toEqual({
    capabilities: ['reasoning'],
  })
})

test('what is no such data at all is refused', () => {
  for (const data of [null, [], 'x', 7]) expect(() => readFacts(data)).toThrow(TypeError)
  expect(readFacts({ x: null, y: 7 }).size).toBe(0)
})

test.each([
  ['2028-02-29', '2028-02-29'],
  ['2027-02-29', null],
  ['2027-1-1', null],
  [20270101, null],
])('%j is the day %j', (given, day) => {
  expect(dateOf(given)).toBe(day)
})
