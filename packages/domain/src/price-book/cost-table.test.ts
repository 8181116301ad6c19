import { expect, test } from 'vitest'
import { costOf } from '../pricing.ts'
import type { Usage } from '../usage.ts'
import { snapshotModels } from './snapshot.ts'

/**
 * What calls cost, worked out from the pages that the comments name, read 2026-11, apart from this code: usage × dollars per million of each class, a class without a price of its own
 * as the one that it is a kind of, rounded up once to a nanodollar. Whether an answer was streamed makes no difference.
 */
test.each<[string, Usage, bigint]>([
  // https://platform.openai.com/docs/pricing
  ['openai/gpt-4o', { input: 1, output: 1 }, 12_500n],
  ['openai/gpt-4o', { input: 1_234, output: 567 }, 8_755_000n],
  ['openai/gpt-4o', { input: 7, cachedInput: 1_993, output: 88 }, 3_388_750n],
  ['openai/gpt-4o-mini', { input: 1, output: 1 }, 750n],
  ['openai/gpt-4o-mini', { input: 1_234, output: 567 }, 525_300n],
  ['openai/gpt-4o-mini', { input: 7, cachedInput: 1_993, output: 88 }, 203_325n],
  ['openai/gpt-4.1', { input: 1, output: 1 }, 10_000n],
  ['openai/gpt-4.1', { input: 1_234, output: 567 }, 7_004_000n],
  ['openai/gpt-4.1', { input: 7, cachedInput: 1_993, output: 88 }, 1_714_500n],
  // https://docs.x.ai/docs/models
  ['xai/grok-3', { input: 1, output: 1 }, 18_000n],
  ['xai/grok-3', { input: 1_234, output: 567 }, 12_207_000n],
  ['xai/grok-3', { input: 7, cachedInput: 1_993, output: 88 }, 2_835_750n],
  // https://platform.openai.com/docs/pricing
  ['openai/gpt-5', { input: 1_234, output: 567 }, 7_212_500n],
  ['openai/gpt-5', { input: 100, output: 20, reasoning: 1_500 }, 15_325_000n],
  ['openai/gpt-5', { input: 3, cachedInput: 4_096, output: 1, reasoning: 999 }, 10_515_750n],
  ['openai/gpt-5', { output: 1 }, 10_000n],
  ['openai/o3', { input: 1_234, output: 567 }, 7_004_000n],
  ['openai/o3', { input: 100, output: 20, reasoning: 1_500 }, 12_360_000n],
  ['openai/o3', { input: 3, cachedInput: 4_096, output: 1, reasoning: 999 }, 10_054_000n],
  ['openai/o3', { output: 1 }, 8_000n],
  ['openai/text-embedding-3-small', { input: 1 }, 20n],
  ['openai/text-embedding-3-small', { input: 8_191 }, 163_820n],
  ['openai/text-embedding-3-small', { input: 333 }, 6_660n],
  ['openai/gpt-image-1', { input: 42, output: 4_160 }, 166_610_000n],
  ['openai/gpt-image-1', { input: 42, imageInput: 323, output: 272 }, 14_320_000n],
  ['openai/gpt-image-1', { cachedInput: 10, imageInput: 1, output: 6_240 }, 249_622_500n],
  // https://docs.claude.com/en/docs/about-claude/pricing
  ['anthropic/claude-opus-4-5', { input: 25, output: 400 }, 10_125_000n],
  ['anthropic/claude-opus-4-5', { input: 25, cacheWrite: 10_000, output: 400 }, 72_625_000n],
  ['anthropic/claude-opus-4-5', { input: 25, cacheWriteHour: 10_000, output: 400 }, 110_125_000n],
  ['anthropic/claude-opus-4-5', { input: 3, cachedInput: 10_000, output: 1 }, 5_040_000n],
  ['anthropic/claude-opus-4-5', { input: 25, output: 400, search: 2 }, 30_125_000n],
  [
    'anthropic/claude-opus-4-5',
    { input: 1, cachedInput: 7, cacheWrite: 11, cacheWriteHour: 13, output: 17, search: 1 },
    10_632_250n,
  ],
  ['anthropic/claude-haiku-4-5', { input: 25, output: 400 }, 2_025_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, cacheWrite: 10_000, output: 400 }, 14_525_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, cacheWriteHour: 10_000, output: 400 }, 22_025_000n],
  ['anthropic/claude-haiku-4-5', { input: 3, cachedInput: 10_000, output: 1 }, 1_008_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, output: 400, search: 2 }, 22_025_000n],
  [
    'anthropic/claude-haiku-4-5',
    { input: 1, cachedInput: 7, cacheWrite: 11, cacheWriteHour: 13, output: 17, search: 1 },
    10_126_450n,
  ],
  // https://ai.google.dev/gemini-api/docs/pricing
  ['gemini/gemini-2.5-flash', { input: 1_000, output: 200, reasoning: 800 }, 2_800_000n],
  ['gemini/gemini-2.5-flash', { input: 10, audioInput: 1_600, output: 50 }, 1_728_000n],
  ['gemini/gemini-2.5-flash', { input: 10, cachedInput: 5_000, output: 50 }, 278_000n],
  ['gemini/gemini-2.5-flash', { cachedAudioInput: 320, audioInput: 32, output: 5 }, 76_500n],
  ['gemini/gemini-2.5-pro', { input: 200_000, output: 1_000 }, 260_000_000n],
  ['gemini/gemini-2.5-pro', { input: 100, cachedInput: 150_000, output: 10, reasoning: 90 }, 19_875_000n],
  ['gemini/gemini-2.5-pro', { input: 200_001, output: 1_000 }, 515_002_500n],
  ['gemini/gemini-2.5-pro', { input: 100_001, cachedInput: 100_000, output: 10, reasoning: 90 }, 276_502_500n],
  ['gemini/gemini-2.5-pro', { input: 1_000_000, output: 65_536 }, 3_483_040_000n],
  // https://mistral.ai/pricing
  ['mistral/mistral-large-2512', { input: 1, output: 1 }, 2_000n],
  ['mistral/mistral-large-2512', { input: 3_141, output: 592 }, 2_458_500n],
  // https://cohere.com/pricing
  ['cohere/command-a', { input: 1, output: 1 }, 12_500n],
  ['cohere/command-a', { input: 3_141, output: 592 }, 13_772_500n],
  // https://groq.com/pricing
  ['groq/llama-3.1-8b-instant', { input: 1, output: 1 }, 130n],
  ['groq/llama-3.1-8b-instant', { input: 3_141, output: 592 }, 204_410n],
  // https://aws.amazon.com/bedrock/pricing/
  ['bedrock/amazon.nova-pro-v1:0', { input: 1, output: 1 }, 4_000n],
  ['bedrock/amazon.nova-pro-v1:0', { input: 3_141, output: 592 }, 4_407_200n],
  // https://www.together.ai/pricing
  ['together/meta-llama/Llama-3.3-70B-Instruct-Turbo', { input: 1, output: 1 }, 1_760n],
  ['together/meta-llama/Llama-3.3-70B-Instruct-Turbo', { input: 3_141, output: 592 }, 3_285_040n],
  // https://www.cerebras.ai/pricing
  ['cerebras/gpt-oss-120b', { input: 1, output: 1 }, 1_100n],
  ['cerebras/gpt-oss-120b', { input: 3_141, output: 592 }, 1_543_350n],
  // https://docs.voyageai.com/docs/pricing
  ['voyage/voyage-3.5', { input: 1 }, 60n],
  ['voyage/voyage-3.5', { input: 12_345 }, 740_700n],
])('%s, %o: %d nanodollars', (id, usage, nanos) => {
  const model = snapshotModels().find((one) => one.id === id)!
  expect(costOf(usage, { versionId: 'v', ...model })).toBe(nanos)
})

test.each<[string | null, bigint]>([
  [null, 11_250n],
  ['default', 11_250n],
  ['flex', 5_625n],
  ['priority', 22_500n],
])('the tier that served decides: %s', (tier, nanos) => {
  const half = { input: 625_000_000n, output: 5_000_000_000n }
  const double = { input: 2_500_000_000n, output: 20_000_000_000n }
  const price = {
    versionId: 'v',
    nanosPerMillion: { input: 1_250_000_000n, output: 10_000_000_000n },
    serviceTiers: { flex: half, priority: double },
  }
  expect(costOf({ input: 1, output: 1 }, price, { serviceTier: tier })).toBe(nanos)
})
