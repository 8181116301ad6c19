import type { Nanos } from './money.ts'
import { type Picture, type PictureRate, pictureRate } from './picture.ts'
import { inputTokens, USAGE_CLASSES, type Usage, type UsageClass } from './usage.ts'

/**
 * Nanodollars per million units, by class. One unit throughout, so that a price per request and a price per token are the same arithmetic: $0.15 per million
 * tokens is 150_000_000n, $0.01 a request is 10_000_000_000_000n.
 */
export type Rates = { readonly [C in UsageClass]?: Nanos }

/** A price list as it stood from some day on. */
export interface Price {
  /** The row of the price book that this is; a charge names it. */
  readonly versionId: string
  readonly nanosPerMillion: Rates
  /** What replaces those rates for all of a call whose input is longer, in the order of their bounds. */
  readonly tiers?: readonly ContextTier[]
  /** What replaces them where the provider served from another tier: `flex`, `priority`, `fast`. */
  readonly serviceTiers?: ServiceTiers
  /** What pictures cost by quality and size. Comes before the rate by `image`. */
  readonly pictures?: readonly PictureRate[]
}

export type ServiceTiers = Readonly<Record<string, Rates>>

export interface ContextTier {
  /** In input tokens, cached ones included: from one more on it holds. */
  readonly above: number
  readonly nanosPerMillion: Rates
  /** The same where the provider served from another tier, for each that the price has. */
  readonly serviceTiers?: ServiceTiers
}

/** What bears on the price of a call beside what it used: as it was asked, before the call, and as the provider says that it served, after it. */
export interface Terms {
  readonly serviceTier?: string | null
  readonly picture?: Picture | null
}

const UNITS = 1_000_000n

/** Where a class has no price of its own, its tokens are billed as the class they are a kind of. */
const BILLED_AS: { readonly [C in UsageClass]?: UsageClass } = {
  cachedInput: 'input',
  cacheWrite: 'input',
  cacheWriteHour: 'cacheWrite',
  audioInput: 'input',
  cachedAudioInput: 'audioInput',
  imageInput: 'input',
  cachedImageInput: 'imageInput',
  reasoning: 'output',
  audioOutput: 'output',
  imageOutput: 'output',
  searchPreview: 'search',
}

/** What is billed by the piece: at the same rates in every service tier. */
export const BY_THE_PIECE = [
  'image',
  'second',
  'search',
  'searchPreview',
  'fileSearch',
  'request',
] as const satisfies readonly UsageClass[]

/** The cost of the usage in nanodollars, as it was served, rounded up once. This is the only place where a cost is computed. */
export function costOf(usage: Usage, price: Price, served: Terms = {}): Nanos {
  const rates = withPictures(ratesFor(inputTokens(usage), price, served.serviceTier ?? null), price, served)
  let millionths = 0n
  for (const usageClass of USAGE_CLASSES) {
    const units = usage[usageClass]
    if (units) millionths += BigInt(units) * rateOf(usageClass, rates)
  }
  return (millionths + UNITS - 1n) / UNITS
}

/**
 * The dearest that the usage can come out at when it isn't known yet which kind of input or output it will be, how long the provider will find the input, or, unless it was asked for, from
 * which tier it will serve.
 */
export function ceilingOf(usage: Usage, price: Price, asked: Terms = {}): Nanos {
  // A provider may find an input longer than it was thought to be, but not twice as long.
  const inputMax = (usage.input ?? 0) * 2
  const bounds = [0, ...(price.tiers ?? []).map(({ above }) => above + 1)].filter(
    (input) => input <= inputMax || !input,
  )
  let dearest = 0n
  for (const tier of tiersWithin(asked.serviceTier ?? null)) {
    for (const input of bounds) {
      const nanos = dearestAt(usage, withPictures(ratesFor(input, price, tier), price, asked))
      if (nanos > dearest) dearest = nanos
    }
  }
  return dearest
}

/**
 * From where a provider may serve what asked for a tier: from it, or, where it has no room there, as usual. What doesn't ask is held for as usual, though OpenAI serves it as the operator's
 * project is set to (https://platform.openai.com/docs/api-reference/chat/create#chat-create-service_tier): an operator who sets a dearer tier there knows, and to hold for it would
 * refuse the honest traffic of all others.
 */
function tiersWithin(asked: string | null): readonly (string | null)[] {
  return asked === null || asked === 'auto' ? [null] : [null, asked]
}

/** Asking for these is asking for nothing: OpenAI's words, Anthropic's and Groq's. */
const USUAL_TIERS = new Set<string | null>([null, 'auto', 'default', 'standard', 'standard_only', 'on_demand'])

/** Whether the price says what a call costs that is served from the tier that was asked for. */
export function pricesTier({ serviceTiers }: Price, asked: string | null): boolean {
  return USUAL_TIERS.has(asked) || ratesOf(serviceTiers, asked) !== undefined
}

/** OpenAI calls its priority processing `fast` too (https://openai.com/api-fast-mode); Anthropic's fast mode is a tier of its own. */
function ratesOf(tiers: ServiceTiers | undefined, serviceTier: string | null): Rates | undefined {
  if (serviceTier === null || !tiers) return undefined
  // The name is the caller's or the provider's, so it may be one that every object has.
  if (Object.hasOwn(tiers, serviceTier)) return tiers[serviceTier]
  return serviceTier === 'fast' ? tiers.priority : undefined
}

const INPUTS = [
  'input',
  'cachedInput',
  'cacheWrite',
  'cacheWriteHour',
  'audioInput',
  'cachedAudioInput',
  'imageInput',
  'cachedImageInput',
] as const
const OUTPUTS = ['output', 'reasoning', 'audioOutput', 'imageOutput'] as const

function dearestAt(usage: Usage, rates: Rates): Nanos {
  const most = (classes: readonly UsageClass[]) =>
    classes.reduce((dear, c) => (rates[c] !== undefined && rates[c] > dear ? rates[c] : dear), 0n)
  let millionths = BigInt(usage.input ?? 0) * most(INPUTS) + BigInt(usage.output ?? 0) * most(OUTPUTS)
  for (const unit of BY_THE_PIECE) millionths += BigInt(usage[unit] ?? 0) * rateOf(unit, rates)
  return (millionths + UNITS - 1n) / UNITS
}

/** The rates of a call with so many input tokens, where the provider served from a tier. */
export function ratesFor(
  input: number,
  price: Pick<Price, 'nanosPerMillion' | 'tiers' | 'serviceTiers'>,
  serviceTier: string | null,
): Rates {
  let rates = { ...price.nanosPerMillion, ...ratesOf(price.serviceTiers, serviceTier) }
  for (const { above, nanosPerMillion, serviceTiers } of price.tiers ?? []) {
    // A tier whose long inputs have no price of their own is priced as usual there, which is never too little for one that is cheaper.
    if (input > above) rates = { ...rates, ...nanosPerMillion, ...ratesOf(serviceTiers, serviceTier) }
  }
  return rates
}

function withPictures(rates: Rates, { pictures = [] }: Price, { picture }: Terms): Rates {
  if (pictures.length === 0) return rates
  const anyPicture = { quality: null, size: null }
  const image = pictureRate(pictures, picture ?? anyPicture) ?? dearestPicture(pictures)
  return { ...rates, image }
}

/** Of a picture that isn't in the table: rather the dearest than none. */
function dearestPicture(pictures: readonly PictureRate[]): Nanos {
  return pictures.reduce((dear, row) => {
    const nanos = pictureRate([{ ...row, isDefault: true }], { quality: null, size: null }) ?? 0n
    return nanos > dear ? nanos : dear
  }, 0n)
}

/** What a class is billed at: its own rate, or that of the class it is a kind of. */
export function rateOf(usageClass: UsageClass, rates: Rates): Nanos {
  const own = rates[usageClass]
  if (own !== undefined) return own
  const parent = BILLED_AS[usageClass]
  return parent ? rateOf(parent, rates) : 0n
}
