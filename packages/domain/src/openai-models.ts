import type { Endpoint, OfferedModel } from './catalogue.ts'
import { parseUsd } from './money.ts'

const PRICES = 'https://platform.openai.com/docs/pricing, read 2026-11'

/**
 * OpenAI's models that an OPENAI_API_KEY brings along. Prices in USD per million tokens from https://platform.openai.com/docs/pricing, limits
 * from https://platform.openai.com/docs/models. Models with prices by context length are left to the full catalogue.
 */
export const OPENAI_MODELS: readonly OfferedModel[] = [
  chat('gpt-4o', 128_000, 16_384, { input: '2.5', cachedInput: '1.25', output: '10' }, ['vision']),
  chat('gpt-4o-mini', 128_000, 16_384, { input: '0.15', cachedInput: '0.075', output: '0.6' }, ['vision', 'fast']),
  chat('gpt-4.1', 1_047_576, 32_768, { input: '2', cachedInput: '0.5', output: '8' }, ['vision', 'long-context']),
  chat('gpt-4.1-mini', 1_047_576, 32_768, { input: '0.4', cachedInput: '0.1', output: '1.6' }, [
    'vision',
    'long-context',
    'fast',
  ]),
  chat('gpt-4.1-nano', 1_047_576, 32_768, { input: '0.1', cachedInput: '0.025', output: '0.4' }, [
    'vision',
    'long-context',
    'fast',
  ]),
  chat('gpt-5', 400_000, 128_000, { input: '1.25', cachedInput: '0.125', output: '10' }, [
    'vision',
    'long-context',
    'reasoning',
  ]),
  chat('gpt-5-mini', 400_000, 128_000, { input: '0.25', cachedInput: '0.025', output: '2' }, [
    'vision',
    'long-context',
    'reasoning',
    'fast',
  ]),
  chat('gpt-5-nano', 400_000, 128_000, { input: '0.05', cachedInput: '0.005', output: '0.4' }, [
    'vision',
    'long-context',
    'reasoning',
    'fast',
  ]),
  chat('gpt-5.1', 400_000, 128_000, { input: '1.25', cachedInput: '0.125', output: '10' }, [
    'vision',
    'long-context',
    'reasoning',
  ]),
  chat('gpt-5.2', 400_000, 128_000, { input: '1.75', cachedInput: '0.175', output: '14' }, [
    'vision',
    'long-context',
    'reasoning',
  ]),
  chat('o3', 200_000, 100_000, { input: '2', cachedInput: '0.5', output: '8' }, ['vision', 'reasoning']),
  chat('o4-mini', 200_000, 100_000, { input: '1.1', cachedInput: '0.275', output: '4.4' }, ['vision', 'reasoning']),
  embeddings('text-embedding-3-small', '0.02'),
  embeddings('text-embedding-3-large', '0.13'),
  // The dearest picture, 1536 × 1024 at high quality, is 6,240 tokens.
  model('gpt-image-1', 'images', null, 6_240, { input: '5', cachedInput: '1.25', imageInput: '10', output: '40' }, []),
  model(
    'gpt-image-1-mini',
    'images',
    null,
    6_240,
    { input: '2', cachedInput: '0.2', imageInput: '2.5', output: '8' },
    [],
  ),
]

type UsdPerMillion = { readonly [C in keyof OfferedModel['nanosPerMillion']]: string }

function chat(
  name: string,
  context: number,
  outputMax: number,
  prices: UsdPerMillion,
  capabilities: string[],
): OfferedModel {
  return model(name, 'chat', context, outputMax, prices, [
    'function-calling',
    'json-schema',
    'multilingual',
    'code',
    ...capabilities,
  ])
}

function embeddings(name: string, input: string): OfferedModel {
  return model(name, 'embeddings', 8_192, null, { input }, [])
}

function model(
  name: string,
  endpoint: Endpoint,
  contextTokens: number | null,
  outputTokensMax: number | null,
  prices: UsdPerMillion,
  capabilities: string[],
): OfferedModel {
  return {
    id: `openai/${name}`,
    provider: 'openai',
    endpoint,
    contextTokens,
    outputTokensMax,
    capabilities,
    group: name,
    upstreamModel: name,
    nanosPerMillion: Object.fromEntries(Object.entries(prices).map(([usageClass, usd]) => [usageClass, parseUsd(usd)])),
    priceSource: PRICES,
  }
}
