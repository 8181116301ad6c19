import type { Nanos } from './money.ts'
import { USAGE_CLASSES, type Usage, type UsageClass } from './usage.ts'

/**
 * A price list: nanodollars per million units, by class. One unit throughout, so that a price per request and a price per
 * token are the same arithmetic: $0.15 per million tokens is 150_000_000n, $0.01 a request is 10_000_000_000_000n.
 */
export interface Price {
  /** The row of the price book that this is; a charge names it. */
  readonly versionId: string
  readonly nanosPerMillion: { readonly [C in UsageClass]?: Nanos }
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

/** The cost of the usage in nanodollars, rounded up once. This is the only place where a cost is computed. */
export function costOf(usage: Usage, price: Price): Nanos {
  let millionths = 0n
  for (const usageClass of USAGE_CLASSES) {
    const units = usage[usageClass]
    if (units) millionths += BigInt(units) * rateOf(usageClass, price)
  }
  return (millionths + UNITS - 1n) / UNITS
}

/** The dearest that the usage can come out at when it isn't known yet which kind of input or output it will be. */
export function ceilingOf(usage: Usage, price: Price): Nanos {
  const rates = price.nanosPerMillion
  const dearest = (...classes: UsageClass[]) =>
    classes.reduce((most, c) => (rates[c] !== undefined && rates[c] > most ? rates[c] : most), 0n)
  const millionths =
    BigInt(usage.input ?? 0) *
      dearest('input', 'cachedInput', 'cacheWrite', 'cacheWriteHour', 'audioInput', 'cachedAudioInput', 'imageInput') +
    BigInt(usage.output ?? 0) * dearest('output', 'reasoning', 'audioOutput', 'imageOutput') +
    BigInt(usage.image ?? 0) * dearest('image') +
    BigInt(usage.second ?? 0) * dearest('second') +
    BigInt(usage.search ?? 0) * dearest('search') +
    BigInt(usage.request ?? 0) * dearest('request')
  return (millionths + UNITS - 1n) / UNITS
}

function rateOf(usageClass: UsageClass, price: Price): Nanos {
  const own = price.nanosPerMillion[usageClass]
  if (own !== undefined) return own
  const parent = BILLED_AS[usageClass]
  return parent ? rateOf(parent, price) : 0n
}
