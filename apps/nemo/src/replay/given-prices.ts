import { parseUsd } from '@nemo/domain/money'
import type { ContextTier, Price, Rates, ServiceTiers } from '@nemo/domain/pricing'
import { USAGE_CLASSES, type UsageClass } from '@nemo/domain/usage'
import { WrongUsage } from '../failure.ts'

/** Prices by the ids of their models. */
export type GivenPrices = ReadonlyMap<string, Price>

/**
 * Reads a list of prices: an object of USD per million by model and usage class, `{"openai/gpt-5": {"input": "1.25", "output": "10"}}`, or what `nemo models list --json` and
 * `nemo models show --json` print, with tiers. Throws on whatever it doesn't understand, and names it.
 */
export function readPrices(text: string, origin: string): GivenPrices {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new WrongUsage(`${origin} is not JSON: ${(error as Error).message}.`)
  }
  const prices = new Map<string, Price>()
  for (const [id, value] of modelsIn(objectAt(json, origin), origin)) prices.set(id, priceAt(value, id, origin))
  if (prices.size === 0) throw new WrongUsage(`${origin} has no prices.`)
  return prices
}

function modelsIn(json: Record<string, unknown>, origin: string): [id: string, value: unknown][] {
  if (typeof json.id === 'string' && json.usdPerMillion !== undefined) return [[json.id, json]]
  if (!Array.isArray(json.models)) return Object.entries(json)
  return json.models.map((model, i) => {
    const one = objectAt(model, `${origin}: models[${i}]`)
    if (typeof one.id !== 'string') throw new WrongUsage(`${origin}: models[${i}] has no id.`)
    return [one.id, one]
  })
}

function priceAt(value: unknown, id: string, origin: string): Price {
  const at = `${origin}: ${id}`
  const price = objectAt(value, at)
  const versionId = `given ${id}`
  if (price.usdPerMillion === undefined) return { versionId, nanosPerMillion: ratesAt(price, at) }
  // Other prices than these would make other costs than what is meant.
  if (Array.isArray(price.pictures) && price.pictures.length > 0) {
    throw new WrongUsage(`${at}: prices of pictures by size can't be replayed, since the log doesn't keep sizes.`)
  }
  const { tiers = [], serviceTiers = {} } = price
  if (!Array.isArray(tiers)) throw new WrongUsage(`${at}: tiers must be a list.`)
  return {
    versionId,
    nanosPerMillion: ratesAt(price.usdPerMillion, at),
    tiers: tiers.map((tier, i) => tierAt(tier, `${at}: tiers[${i}]`)),
    serviceTiers: serviceTiersAt(serviceTiers, at),
  }
}

function tierAt(value: unknown, at: string): ContextTier {
  const { above, usdPerMillion } = objectAt(value, at)
  if (!Number.isSafeInteger(above) || (above as number) < 0) {
    throw new WrongUsage(`${at}: above must be a number of tokens.`)
  }
  return { above: above as number, nanosPerMillion: ratesAt(usdPerMillion, at) }
}

function serviceTiersAt(value: unknown, at: string): ServiceTiers {
  return Object.fromEntries(
    Object.entries(objectAt(value, at)).map(([tier, rates]) => [tier, ratesAt(rates, `${at}: ${tier}`)]),
  )
}

function ratesAt(value: unknown, at: string): Rates {
  return Object.fromEntries(
    Object.entries(objectAt(value, at)).map(([usageClass, usd]) => {
      if (!USAGE_CLASSES.includes(usageClass as UsageClass)) {
        throw new WrongUsage(
          `${at}: "${usageClass}" is nothing that is billed. These are: ${USAGE_CLASSES.join(', ')}.`,
        )
      }
      return [usageClass, nanosAt(usd, `${at}: ${usageClass}`)]
    }),
  )
}

/** A decimal as text, or a number that is written as one. */
function nanosAt(usd: unknown, at: string): bigint {
  const text = typeof usd === 'number' ? String(usd) : usd
  try {
    if (typeof text !== 'string' || text.trim().startsWith('-')) throw new RangeError('it must be an amount in USD')
    return parseUsd(text)
  } catch (error) {
    throw new WrongUsage(`${at}: ${(error as Error).message}.`)
  }
}

function objectAt(value: unknown, at: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new WrongUsage(`${at} must be an object.`)
}
