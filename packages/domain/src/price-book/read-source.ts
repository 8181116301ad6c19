import type { ContextTier, Rates } from '../pricing.ts'
import type { UsageClass } from '../usage.ts'

/** A model as a price source has it. */
export interface SourceModel {
  /** Our name of the provider. */
  readonly provider: string
  /** What the provider calls it. */
  readonly name: string
  readonly contextTokens: number | null
  readonly isDeprecated: boolean
  readonly nanosPerMillion: Rates
  readonly tiers: readonly ContextTier[]
}

/** Our providers by their names in the data of genai-prices. What isn't here is a price of nobody that can be called by it. */
const PROVIDERS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'gemini',
  aws: 'bedrock',
  azure: 'azure',
  mistral: 'mistral',
  cohere: 'cohere',
  deepseek: 'deepseek',
  'x-ai': 'xai',
  groq: 'groq',
  together: 'together',
  fireworks: 'fireworks',
  perplexity: 'perplexity',
  openrouter: 'openrouter',
  cerebras: 'cerebras',
  cloudflare: 'cloudflare',
  baseten: 'baseten',
  novita: 'novita',
  moonshotai: 'moonshot',
  minimax: 'minimax',
  zai: 'zhipu',
  arcee: 'arcee',
  ovhcloud: 'ovhcloud',
  voyageai: 'voyage',
}

/** Classes by the units of the data, and what makes their prices ones by the million: tokens are by the million, pieces by the thousand, sound by the hour. */
const CLASSES: Readonly<Record<string, readonly [UsageClass, bigint, bigint?]>> = {
  input_mtok: ['input', 1n],
  cache_read_mtok: ['cachedInput', 1n],
  cache_write_mtok: ['cacheWrite', 1n],
  cache_write_1h_mtok: ['cacheWriteHour', 1n],
  input_audio_mtok: ['audioInput', 1n],
  cache_audio_read_mtok: ['cachedAudioInput', 1n],
  input_image_mtok: ['imageInput', 1n],
  cache_image_read_mtok: ['cachedImageInput', 1n],
  output_mtok: ['output', 1n],
  output_reasoning_mtok: ['reasoning', 1n],
  output_audio_mtok: ['audioOutput', 1n],
  output_image_mtok: ['imageOutput', 1n],
  web_searches_kcount: ['search', 1_000n],
  storage_searches_kcount: ['fileSearch', 1_000n],
  requests_kcount: ['request', 1_000n],
  // Said twice in the data, for those that read the one or the other.
  audio_hours: ['second', 1_000_000n, 3_600n],
  input_audio_hours: ['second', 1_000_000n, 3_600n],
}

/**
 * Reads price data as genai-prices publishes it (https://github.com/pydantic/genai-prices), as of a day, `YYYY-MM-DD`. Models that can't be read, and those whose price hangs
 * on something that isn't known here, are left out and told to `onProblem`. Throws a TypeError on what isn't such data at all.
 */
export function readPriceSource(data: unknown, today: string, onProblem: (message: string) => void): SourceModel[] {
  if (!Array.isArray(data)) throw new TypeError('the price data is no list of providers')
  return data.flatMap((provider: { id?: unknown; models?: unknown }) => {
    const ours = PROVIDERS[String(provider?.id)]
    if (ours === undefined || !Array.isArray(provider.models)) return []
    return provider.models.flatMap((model) => {
      try {
        const read = readModel(ours, model, today)
        return read === null ? [] : [read]
      } catch (error) {
        onProblem(`${ours}/${String(model?.id)}: ${(error as Error).message}`)
        return []
      }
    })
  })
}

interface GivenModel {
  readonly id: string
  readonly context_window?: number
  readonly deprecated?: boolean
  readonly prices: unknown
}

/** A name that a provider could have for a model. */
const NAME = /^[A-Za-z0-9@][A-Za-z0-9@._:/-]{0,199}$/

function readModel(provider: string, given: GivenModel, today: string): SourceModel | null {
  const { id, context_window, deprecated } = given
  if (typeof id !== 'string' || !NAME.test(id) || /[-:.]$/.test(id)) return null
  // Of Vertex's other makers' models the data says nothing that would tell where they are.
  if (provider === 'gemini' && !/^gem/.test(id)) return null
  const prices = inForce(given.prices, today)
  const base: Partial<Record<UsageClass, bigint>> = {}
  const tiers = new Map<number, Partial<Record<UsageClass, bigint>>>()
  for (const [unit, price] of Object.entries(prices)) {
    const known = CLASSES[unit]
    // A unit that isn't counted here: video, pages of documents. Without it the model would be too cheap.
    if (!known) throw new RangeError(`has a price by ${unit}`)
    const [usageClass, times, by = 1n] = known
    // What is no whole nanodollar by the million seconds is rounded up.
    const rateOf = (usd: number) => (nanosOf(usd) * times + by - 1n) / by
    if (typeof price === 'number') base[usageClass] = rateOf(price)
    else {
      const tiered = price as { base: number; tiers: { start: number; price: number }[] }
      base[usageClass] = rateOf(tiered.base)
      for (const { start, price } of tiered.tiers) {
        if (!Number.isSafeInteger(start) || start < 0) throw new RangeError('has a tier without a bound')
        const tier = tiers.get(start) ?? {}
        tier[usageClass] = rateOf(price)
        tiers.set(start, tier)
      }
    }
  }
  if (base.input === undefined && base.request === undefined && base.second === undefined) return null
  return {
    provider,
    name: id,
    contextTokens: Number.isSafeInteger(context_window) ? context_window! : null,
    isDeprecated: deprecated === true,
    nanosPerMillion: base,
    tiers: [...tiers].sort(([a], [b]) => a - b).map(([above, nanosPerMillion]) => ({ above, nanosPerMillion })),
  }
}

/** Of prices by date the latest that has begun; of prices by the time of day the one without a time, which is the dearer. */
function inForce(prices: unknown, today: string): Record<string, unknown> {
  if (!Array.isArray(prices)) return prices as Record<string, unknown>
  const dated = prices.filter(({ constraint }) => constraint?.type === 'start_date' && constraint.start_date <= today)
  const always = prices.find(({ constraint }) => !constraint)
  const latest = dated.sort((a, b) => (a.constraint.start_date < b.constraint.start_date ? 1 : -1))[0] ?? always
  if (!latest) throw new RangeError('has no price that holds at any time')
  return latest.prices
}

/** Dollars as the data has them, a JSON number of few digits, in nanodollars. */
function nanosOf(usd: number): bigint {
  if (typeof usd !== 'number' || !(usd >= 0) || usd > 100_000) throw new RangeError(`has the price ${String(usd)}`)
  const nanos = Math.round(usd * 1e9)
  if (Math.abs(nanos - usd * 1e9) > 1e-3 * Math.max(1, usd))
    throw new RangeError(`has the price ${usd}, which is no whole nanodollar`)
  return BigInt(nanos)
}
