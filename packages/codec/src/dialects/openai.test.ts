import { expect, test } from 'vitest'
import { topLevelMembers } from '../json-members.ts'
import { encodeRequest, readError, readUsage } from './openai.ts'

test('a request changes in its model and its extras, and in nothing else', () => {
  const body = Buffer.from('{"seed":12345678901234567890,"model":"fast","nemo_tags":["a"],"x":{"model":1.0}}')
  const edits = new Map([['nemo_tags', null]])
  expect(encodeRequest(body, topLevelMembers(body), { upstreamModel: 'gpt-4o-mini', edits }).toString()).toBe(
    '{"seed":12345678901234567890,"model":"gpt-4o-mini","x":{"model":1.0}}',
  )
})

test.each([
  ['plain', { prompt_tokens: 10, completion_tokens: 5 }, { input: 10, output: 5 }],
  [
    'cached and reasoning',
    {
      prompt_tokens: 10,
      completion_tokens: 5,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
    { input: 2, cachedInput: 8, output: 3, reasoning: 2 },
  ],
  [
    'audio',
    {
      prompt_tokens: 10,
      completion_tokens: 9,
      prompt_tokens_details: { audio_tokens: 4 },
      completion_tokens_details: { audio_tokens: 7 },
    },
    { input: 6, audioInput: 4, output: 2, audioOutput: 7 },
  ],
  [
    'more cached than there was',
    { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 1e9 } },
    { cachedInput: 10, output: 5 },
  ],
  ['embeddings', { prompt_tokens: 8, total_tokens: 8 }, { input: 8 }],
  [
    'an image model',
    { input_tokens: 60, output_tokens: 272, input_tokens_details: { text_tokens: 10, image_tokens: 50 } },
    { input: 10, imageInput: 50, output: 272 },
  ],
  [
    'seconds of sound',
    { prompt_tokens: 4, completion_tokens: 6, prompt_audio_seconds: 203 },
    { input: 4, output: 6, second: 203 },
  ],
  [
    'no seconds of sound',
    { prompt_tokens: 4, completion_tokens: 6, prompt_audio_seconds: null },
    { input: 4, output: 6 },
  ],
  [
    'what was written to the cache, which OpenAI bills from GPT-5.6 on',
    {
      prompt_tokens: 3_438,
      completion_tokens: 5,
      total_tokens: 3_443,
      prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 3_423 },
    },
    { input: 12, cachedInput: 3, cacheWrite: 3_423, output: 5 },
  ],
  [
    'more written than there was',
    {
      prompt_tokens: 10,
      completion_tokens: 5,
      prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 8 },
    },
    { cachedInput: 8, cacheWrite: 2, output: 5 },
  ],
  [
    'Responses',
    {
      ...{ input_tokens: 100, output_tokens: 50, total_tokens: 150 },
      input_tokens_details: { cached_tokens: 30, cache_write_tokens: 60 },
      output_tokens_details: { reasoning_tokens: 40 },
    },
    { input: 10, cachedInput: 30, cacheWrite: 60, output: 10, reasoning: 40 },
  ],
  [
    'Grok’s reasoning, which is beside its completion',
    {
      ...{ prompt_tokens: 10_120, completion_tokens: 1_499, total_tokens: 14_428 },
      prompt_tokens_details: { cached_tokens: 128 },
      completion_tokens_details: { reasoning_tokens: 2_809 },
    },
    { input: 9_992, cachedInput: 128, output: 1_499, reasoning: 2_809 },
  ],
  [
    'Moonshot’s cache, which is beside its details',
    { prompt_tokens: 1_336, completion_tokens: 31, total_tokens: 1_367, cached_tokens: 1_280 },
    { input: 56, cachedInput: 1_280, output: 31 },
  ],
  [
    'pictures, made beside words',
    {
      ...{ input_tokens: 365, output_tokens: 1_100, total_tokens: 1_465 },
      input_tokens_details: { text_tokens: 42, image_tokens: 323, cached_tokens: 340 },
      output_tokens_details: { text_tokens: 44, image_tokens: 1_056 },
    },
    { cachedInput: 42, cachedImageInput: 298, imageInput: 25, output: 44, imageOutput: 1_056 },
  ],
  [
    'pictures, and which of them were cached',
    {
      ...{ input_tokens: 365, output_tokens: 272 },
      input_tokens_details: {
        ...{ text_tokens: 42, image_tokens: 323, cached_tokens: 320 },
        cached_tokens_details: { text_tokens: 0, image_tokens: 320 },
      },
    },
    { input: 42, cachedImageInput: 320, imageInput: 3, output: 272 },
  ],
  ['null details', { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: null }, { input: 1, output: 1 }],
])('usage in disjoint classes: %s', (_, wire, usage) => {
  expect(readUsage(wire)).toEqual(usage)
})

test.each([
  [null],
  [undefined],
  ['10'],
  [{}],
  [{ prompt_tokens: '10' }],
  [{ prompt_tokens: 1.5 }],
  [{ prompt_tokens: -1, completion_tokens: 2 }],
  [{ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
  [{ prompt_tokens: 9_007_199_254_740_991, completion_tokens: 2 }],
])('usage that is no count is none: %j', (wire) => {
  expect(readUsage(wire)).toBeNull()
})

test('an error is read whatever is missing of it', () => {
  expect(readError({ error: { message: 'no', param: 'x', code: 'y' } })).toEqual({
    message: 'no',
    param: 'x',
    code: 'y',
  })
  expect(readError({ error: 'no' })).toEqual({ message: 'no', param: null, code: null })
  expect(readError({ error: {} })?.message).toBe('the provider gave no reason')
  expect(readError({ detail: 'x' })).toBeNull()
})
