import type { Nanos } from './money.ts'
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
  /** What replaces them where the provider served from another tier: `flex`, `priority`, `batch`. */
  readonly serviceTiers?: Readonly<Record<string, Rates>>
}

export interface ContextTier {
  /** In input tokens, cached ones included: from one more on it holds. */
  readonly above: number
  readonly nanosPerMillion: Rates
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
  reasoning: 'output',
  audioOutput: 'output',
  imageOutput: 'output',
}

/**
 * The cost of the usage in nanodollars, rounded up once. `serviceTier` is the one that the provider says it served from. This is the only place where a cost is
 * computed.
 */
export function costOf(usage: Usage, price: Price, serviceTier: string | null = null): Nanos {
  const rates = ratesFor(inputTokens(usage), price, serviceTier)
  let millionths = 0n
  for (const usageClass of USAGE_CLASSES) {
    const units = usage[usageClass]
    if (units) millionths += BigInt(units) * rateOf(usageClass, rates)
  }
  return (millionths + UNITS - 1n) / UNITS
}

/**
 * The dearest that the usage can come out at when it isn't known yet which kind of input or output it will be, how long the provider will find the input, or from which tier it
 * will serve.
 */
export function ceilingOf(usage: Usage, price: Price): Nanos {
  const lists = [price.nanosPerMillion]
  for (const { above, nanosPerMillion } of price.tiers ?? []) {
    // A provider may find an input longer than it was thought to be, but not twice as long.
    if ((usage.input ?? 0) * 2 > above) lists.push({ ...price.nanosPerMillion, ...nanosPerMillion })
  }
  for (const rates of Object.values(price.serviceTiers ?? {})) lists.push({ ...price.nanosPerMillion, ...rates })
  return lists.map((rates) => dearest(usage, rates)).reduce(larger, 0n)
}

const INPUTS = [
  'input',
  'cachedInput',
  'cacheWrite',
  'cacheWriteHour',
  'audioInput',
  'cachedAudioInput',
  'imageInput',
] as const
const OUTPUTS = ['output', 'reasoning', 'audioOutput', 'imageOutput'] as const

function dearest(usage: Usage, rates: Rates): Nanos {
  const most = (classes: readonly UsageClass[]) =>
    classes.reduce((dear, c) => (rates[c] !== undefined && rates[c] > dear ? rates[c] : dear), 0n)
  let millionths = BigInt(usage.input ?? 0) * most(INPUTS) + BigInt(usage.output ?? 0) * most(OUTPUTS)
  for (const unit of ['image', 'second', 'search', 'request'] as const) {
    millionths += BigInt(usage[unit] ?? 0) * (rates[unit] ?? 0n)
  }
  return (millionths + UNITS - 1n) / UNITS
}

function larger(a: Nanos, b: Nanos): Nanos {
  // Math.max takes no big integers.
  if (a > b) return a
  return b
}

function ratesFor(input: number, price: Price, serviceTier: string | null): Rates {
  let rates = price.nanosPerMillion
  for (const { above, nanosPerMillion } of price.tiers ?? []) {
    if (input > above) rates = { ...rates, ...nanosPerMillion }
  }
  const own = serviceTier === null ? undefined : price.serviceTiers?.[serviceTier]
  return own ? { ...rates, ...own } : rates
}

function rateOf(usageClass: UsageClass, rates: Rates): Nanos {
  const own = rates[usageClass]
  if (own !== undefined) return own
  const parent = BILLED_AS[usageClass]
  return parent ? rateOf(parent, rates) : 0n
}
