import type { OfferedModel } from '../catalogue.ts'
import { type Nanos, parseUsd } from '../money.ts'
import type { PictureRate } from '../picture.ts'

const MILLION = 1_000_000n

/**
 * In credits of a cent: 3, 8, 6.5, 4, 3.5 and 2.5 for a picture (https://developer.puter.com/tutorials/stability-ai-api-pricing has all but the last). Those of version 1 are billed by the steps that are
 * taken, which isn't counted here.
 */
const STABILITY = [
  ['stable-image-core', '0.03'],
  ['stable-image-ultra', '0.08'],
  ['sd3.5-large', '0.065'],
  ['sd3.5-large-turbo', '0.04'],
  ['sd3.5-medium', '0.035'],
  ['sd3.5-flash', '0.025'],
] as const

/** A picture of any size. Those of FLUX.2 cost by the megapixel, of what is sent along too, with the first dearer than the rest: no table here says that. */
const FLUX_1 = [
  ['flux-kontext-pro', '0.04'],
  ['flux-kontext-max', '0.08'],
  ['flux-pro-1.1', '0.04'],
  ['flux-pro-1.1-ultra', '0.06'],
] as const

/** In API units of a tenth of a cent. */
const RECRAFT = [
  ['recraftv4_1', '0.035'],
  ['recraftv4_1_utility', '0.035'],
  ['recraftv4_1_pro', '0.21'],
  ['recraftv4_1_utility_pro', '0.21'],
  ['recraftv3', '0.04'],
  ['recraftv3_vector', '0.08'],
  ['recraftv2', '0.022'],
  ['recraftv2_vector', '0.044'],
] as const

/** Of models that are billed by the picture no source has prices: these are from their makers' pages, read 2026-11; those of Imagen, FLUX schnell, Recraft at fal and Stability could only be had at second hand. */
export const PICTURE_MODELS: readonly OfferedModel[] = [
  ...openAi(),
  flat('gemini', 'imagen-4.0-fast-generate-001', '0.02', 'https://ai.google.dev/gemini-api/docs/pricing'),
  flat('gemini', 'imagen-4.0-generate-001', '0.04', 'https://ai.google.dev/gemini-api/docs/pricing'),
  flat('gemini', 'imagen-4.0-ultra-generate-001', '0.06', 'https://ai.google.dev/gemini-api/docs/pricing'),
  byTheMegapixel('fal', 'fal-ai/flux/schnell', '0.003'),
  byTheMegapixel('fal', 'fal-ai/flux/dev', '0.025'),
  byTheMegapixel('fal', 'fal-ai/flux-1/dev', '0.025'),
  flat('fal', 'fal-ai/recraft/v3/text-to-image', '0.04', 'https://fal.ai/models/fal-ai/recraft/v3/text-to-image'),
  ...STABILITY.map(([name, price]) => flat('stability', name, price, 'https://platform.stability.ai/pricing')),
  ...FLUX_1.map(([name, price]) => flat('black-forest-labs', name, price, 'https://docs.bfl.ai/quick_start/pricing')),
  ...RECRAFT.map(([name, price]) => flat('recraft', name, price, 'https://www.recraft.ai/docs/api-reference/pricing')),
]

/** https://platform.openai.com/docs/pricing, as long as they were served. */
function openAi(): OfferedModel[] {
  const [square, wide, tall] = ['1024x1024', '1792x1024', '1024x1792']
  const source = 'https://platform.openai.com/docs/pricing'
  const table = (name: string, pictures: PictureRate[]) => model('openai', name, pictures, source)
  return [
    table('dall-e-3', [
      { quality: 'standard', size: square, nanosPerMillion: usd('0.04'), isDefault: true },
      { quality: 'standard', size: wide, nanosPerMillion: usd('0.08') },
      { quality: 'standard', size: tall, nanosPerMillion: usd('0.08') },
      { quality: 'hd', size: square, nanosPerMillion: usd('0.08') },
      { quality: 'hd', size: wide, nanosPerMillion: usd('0.12') },
      { quality: 'hd', size: tall, nanosPerMillion: usd('0.12') },
    ]),
    table('dall-e-2', [
      { size: '256x256', nanosPerMillion: usd('0.016') },
      { size: '512x512', nanosPerMillion: usd('0.018') },
      { size: square, nanosPerMillion: usd('0.02'), isDefault: true },
    ]),
  ]
}

function flat(provider: string, name: string, price: string, source: string): OfferedModel {
  return model(provider, name, [{ nanosPerMillion: usd(price) }], source)
}

/** "Images are billed by rounding up to the nearest megapixel", say the models' own pages. */
function byTheMegapixel(provider: string, name: string, price: string): OfferedModel {
  return model(provider, name, [{ nanosPerMillion: usd(price), perMegapixel: true }], `https://fal.ai/models/${name}`)
}

function usd(price: string): Nanos {
  return parseUsd(price) * MILLION
}

function model(provider: string, name: string, pictures: readonly PictureRate[], source: string): OfferedModel {
  return {
    id: `${provider}/${name}`,
    provider,
    endpoint: 'images',
    contextTokens: null,
    outputTokensMax: null,
    capabilities: [],
    group: provider === 'fal' ? `${provider}/${name}` : name,
    upstreamModel: name,
    nanosPerMillion: {},
    pictures,
    priceSource: `${source}, read 2026-11`,
  }
}
