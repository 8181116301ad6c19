import { type ContextTier, type Rates, rateOf, ratesFor } from '../pricing.ts'
import { USAGE_CLASSES } from '../usage.ts'

interface Listed {
  readonly nanosPerMillion: Rates
  readonly tiers?: readonly ContextTier[]
}

/** A bound is the same where a source writes it a little otherwise, as 271,999 and 272,000. */
const PAST_A_BOUND = 1.1

/**
 * Whether what any class is billed at, for short inputs or for long ones, is more than half again, or less than half, of what it was: rather a mistake of the source than a new price. A class that
 * isn't named any more is billed as the one it is a kind of, or given away. That one becomes cheaper by getting a price of its own is what such prices are for, unless it were free.
 */
export function movesByHalf(before: Listed, after: Listed): boolean {
  const bounds = [...(before.tiers ?? []), ...(after.tiers ?? [])].map(({ above }) => above)
  return [0, ...bounds.map((above) => Math.floor(above * PAST_A_BOUND) + 1)].some((input) =>
    ratesMove(ratesFor(input, before, null), ratesFor(input, after, null)),
  )
}

function ratesMove(before: Rates, after: Rates): boolean {
  return USAGE_CLASSES.some((usageClass) => {
    const [then, now] = [rateOf(usageClass, before), rateOf(usageClass, after)]
    if (then === now) return false
    const isNew = before[usageClass] === undefined
    // What wasn't billed at all is billed from now on.
    if (isNew && then === 0n) return false
    return now * 2n > then * 3n || (now * 2n < then && !(isNew && now > 0n))
  })
}
