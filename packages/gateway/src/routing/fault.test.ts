import { describe, expect, test } from 'vitest'
import {
  backoffMs,
  blameOf,
  type Fault,
  isContextTooLong,
  isLasting,
  isOperatorsFault,
  nameOfFault,
  readRetryAfter,
  verdictOf,
} from './fault.ts'

const status = (code: number, retryAfterMs: number | null = null): Fault => ({
  kind: 'status',
  status: code,
  detail: '',
  param: null,
  code: null,
  retryAfterMs,
})
const reset: Fault = { kind: 'reset', detail: '' }

test('only what would be wrong anywhere is told to the caller; all else is tried again', () => {
  expect([400, 413, 415, 422].map((code) => verdictOf(status(code)))).toEqual(Array(4).fill('tell'))
  for (const code of [401, 402, 403, 404, 408, 409, 418, 429, 500, 503, 529])
    expect(verdictOf(status(code))).toBe('retry')
  expect(verdictOf(reset)).toBe('retry')
})

test('a refusal of our key is the operator’s, though its status says that the caller is wrong', () => {
  const refused: Fault = { ...status(400), code: 'invalid_api_key' } as Fault
  expect([verdictOf(refused), isOperatorsFault(refused)]).toEqual(['retry', true])
})

test('an account that is empty is the operator’s, by whatever status and words a provider says so', () => {
  const says = (code: number, more: object) => ({ ...status(code), ...more }) as Fault
  const credit = 'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.'
  for (const fault of [
    says(400, { detail: credit }),
    says(429, { code: 'insufficient_quota' }),
    says(400, { code: 'billing_hard_limit_reached' }),
  ]) {
    expect([verdictOf(fault), isOperatorsFault(fault), blameOf(fault)]).toEqual(['retry', true, 'platform'])
  }
  // What a caller wrote, and is told again, says nothing of our account.
  const repeated = says(400, { detail: `Invalid value: '${credit}'` })
  expect([verdictOf(repeated), isOperatorsFault(repeated)]).toEqual(['tell', false])
  expect(isLasting(says(400, { detail: credit }))).toBe(true)
  expect(isLasting(says(429, { code: 'insufficient_quota' }))).toBe(false)
})

test('what no tenant can mend is the operator’s', () => {
  expect([401, 402, 403, 404, 429, 500].map((code) => isOperatorsFault(status(code)))).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
  ])
  expect(isOperatorsFault(reset)).toBe(false)
  expect([nameOfFault(status(503)), nameOfFault(reset)]).toEqual(['503', 'reset'])
})

test('whose a fault is: the caller’s, the platform’s, or the provider’s', () => {
  expect([400, 413, 415, 422].map((code) => blameOf(status(code)))).toEqual(Array(4).fill('caller'))
  expect(blameOf(status(401))).toBe('platform')
  // A provider's moderation, and a file that isn't there, look like our account's and our deployment's faults.
  expect([402, 403, 404].map((code) => blameOf(status(code)))).toEqual(Array(3).fill('either'))
  expect([408, 409, 429, 500, 503, 529].map((code) => blameOf(status(code)))).toEqual(Array(6).fill('provider'))
  expect(blameOf({ kind: 'connect', detail: '' })).toBe('platform')
  for (const kind of ['timeout', 'reset', 'cut', 'malformed', 'stream_error'] as const)
    expect(blameOf({ kind, detail: '' })).toBe('provider')
})

describe('a context that is too long', () => {
  const said = (detail: string, code: number = 400): Fault => ({ ...(status(code) as object), detail }) as Fault

  /** As they are reported: anthropics/claude-code#5346, vllm-project/vllm#12165 and #20409, Gabesarch/grounded-rl#16, google-gemini/gemini-cli#6678, continuedev/continue#6005, Cohere's list of
   *  errors (docs.cohere.com/reference/errors), text-generation-inference's validation.rs, and earendil-works/pi for those that speak OpenAI's dialect. */
  test.each([
    ['OpenAI', "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."],
    [
      'OpenAI, Responses',
      'Your input exceeds the context window of this model. Please adjust your input and try again.',
    ],
    ['Anthropic', 'prompt is too long: 207791 tokens > 200000 maximum'],
    [
      'Anthropic, with its answer',
      'input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease',
    ],
    ['Gemini', 'The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).'],
    ['Gemini, without a number', 'The input token count exceeds the maximum number of tokens allowed 1048576.'],
    ['Bedrock', 'Input is too long for requested model.'],
    [
      'Bedrock, of Claude',
      'The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum',
    ],
    ['Cohere', 'too many tokens: size limit exceeded by 19296 tokens. The limit for this model is 132000 tokens.'],
    [
      'Cohere, earlier',
      'too many tokens: total number of tokens (prompt and prediction) cannot exceed 2048 - received 6354.',
    ],
    [
      'Mistral',
      'Prompt contains 300000 tokens and 0 draft tokens, too large for model with 131072 maximum context length',
    ],
    ['vLLM', 'The decoder prompt (length 17772) is longer than the maximum model length of 16384.'],
    ['vLLM, earlier', 'The prompt (total length 25938) is too long to fit into the model (context length 4096).'],
    ['Groq', 'Please reduce the length of the messages or completion.'],
    ['xAI', "This model's maximum prompt length is 131072 but the request contains 537812 tokens."],
    ['Together', "The input (265330 tokens) is longer than the model's context length (262144 tokens)."],
    ['Fireworks', 'The prompt is too long: 1000008, model maximum context length: 131071'],
    ['Moonshot', 'Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)'],
    ['Qwen', 'Range of input length should be [1, 129024]'],
    ['Poolside', 'Input length 131393 exceeds the maximum allowed input length of 131,040 tokens.'],
    ['Copilot', 'prompt token count of 93854 exceeds the limit of 90000'],
    ['llama.cpp', 'the request exceeds the available context size, try increasing it'],
  ])('%s', (_, detail) => expect(isContextTooLong(said(detail))).toBe(true))

  test('text-generation-inference says so with a 422', () => {
    const both =
      'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens'
    expect(isContextTooLong(said(both, 422))).toBe(true)
    expect(isContextTooLong(said('`inputs` must have less than 4095 tokens. Given: 9000', 422))).toBe(true)
  })

  test('OpenAI’s code for it says so without any words', () => {
    expect(
      isContextTooLong({ ...(said('') as Extract<Fault, { kind: 'status' }>), code: 'context_length_exceeded' }),
    ).toBe(true)
  })

  test.each([
    [
      'the answer’s length',
      400,
      'too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model',
    ],
    [
      'the answer’s length',
      400,
      'max_tokens is too large: 100000. This model supports at most 16384 completion tokens.',
    ],
    ['the rate', 429, 'ThrottlingException: Too many tokens, please wait before trying again.'],
    ['a field', 400, "Unrecognized request argument supplied: 'context'"],
    ['a name', 400, "Invalid 'user': string too long. Expected a string with maximum length 64"],
    ['the server', 500, 'prompt is too long'],
  ])('not where it is about something else: %s (%i)', (_, code, detail) => {
    expect(isContextTooLong(said(detail, code))).toBe(false)
  })
})

describe('backoffMs', () => {
  const patience = 60_000

  test('a deployment that hasn’t been tried is called at once', () => {
    expect(backoffMs(1, null, patience, () => 0.99)).toBe(0)
  })

  test('doubles with full jitter up to five seconds', () => {
    expect([1, 2, 3, 4].map((attempt) => backoffMs(attempt, reset, patience, () => 1))).toEqual([200, 400, 800, 1_600])
    expect(backoffMs(30, reset, patience, () => 1)).toBe(5_000)
    expect(backoffMs(3, reset, patience, () => 0)).toBe(0)
  })

  test('waits as long as the provider asks, and not at all where nobody would wait so long', () => {
    expect(backoffMs(1, status(429, 1_234), patience, () => 0.5)).toBe(1_234)
    expect(backoffMs(1, status(429, 60_000), patience, () => 0.5)).toBeNull()
    expect(backoffMs(1, status(429, Number.POSITIVE_INFINITY), patience, () => 0.5)).toBeNull()
    expect(backoffMs(1, reset, 0, () => 0)).toBeNull()
  })
})

test.each<[string, Record<string, string | string[]>, number | null]>([
  ['milliseconds before seconds', { 'retry-after-ms': '250', 'retry-after': '1' }, 250],
  ['seconds', { 'retry-after': '2' }, 2_000],
  ['parts of a second', { 'retry-after': '0.5' }, 500],
  ['a date', { 'retry-after': 'Fri, 02 Jan 2026 00:00:10 GMT' }, 10_000],
  ['a date that is past', { 'retry-after': 'Thu, 01 Jan 2026 00:00:00 GMT' }, 0],
  ['twice', { 'retry-after': ['3', '4'] }, 3_000],
  ['a date without a word for its zone', { 'retry-after': '2026-01-02T00:00:10Z' }, 10_000],
  ['seconds with their unit', { 'retry-after': '20s' }, 20_000],
  ['twice in one line', { 'retry-after': '3, 4' }, 3_000],
  ['nonsense', { 'retry-after': 'soon' }, null],
  ['nonsense with a number', { 'retry-after': 'none 5' }, null],
  ['less than no seconds', { 'retry-after': '-1' }, null],
  ['what is no number', { 'retry-after': 'Infinity' }, null],
  ['less than nothing', { 'retry-after-ms': '-5' }, null],
  ['nothing', {}, null],
])('retry-after: %s', (_, headers, milliseconds) => {
  expect(readRetryAfter(headers, Date.UTC(2026, 0, 2))).toBe(milliseconds)
})
