import { isCredits } from '@nemo/domain/limits'
import type { Ask } from './ask.ts'
import type { Part } from './holdings.ts'
import type { Incarnation } from './incarnation.ts'
import type { JournalRecord } from './journal.ts'

/** A reservation that stands. It is ended once, by `settle` or `release`. */
export interface Hold {
  readonly organizationId: string
  /** Mutable: a limit that is lifted while the request is under way binds it no more. */
  asks: readonly Ask[]
  /** Mutable: an extension adds to it. */
  readonly parts: Part[]
  readonly incarnation: Incarnation
  ended: boolean
}

/** The least that the hold has of any limit on cost. Without a part of the credits there is nothing to charge. */
export function reservedOf({ asks, parts }: Hold): bigint {
  if (!asks.some(({ limit }) => isCredits(limit))) return 0n
  let least: bigint | null = null
  const sums = new Map<string, bigint>()
  for (const { limit } of asks) if (limit.resource === 'cost') sums.set(limit.id, 0n)
  for (const { allotment, amount } of parts) {
    const sum = sums.get(allotment.limit.id)
    if (sum !== undefined) sums.set(allotment.limit.id, sum + amount)
  }
  for (const sum of sums.values()) if (least === null || sum < least) least = sum
  return least ?? 0n
}

/** Where the charge counts: once per limit on cost, in the windows that it was held in. */
export function spentOf(parts: readonly Part[], charge: bigint): JournalRecord['spent'] {
  const left = new Map<string, bigint>()
  const spent: { limit_id: string; window_start: string; amount: string }[] = []
  for (const { allotment, amount } of parts) {
    const { limit, startsAt } = allotment
    if (limit.resource !== 'cost') continue
    const due = left.get(limit.id) ?? charge
    const here = min(due, amount)
    left.set(limit.id, due - here)
    if (here === 0n) continue
    const known = spent.find((one) => one.limit_id === limit.id && one.window_start === startsAt)
    if (known) known.amount = String(BigInt(known.amount) + here)
    else spent.push({ limit_id: limit.id, window_start: startsAt, amount: String(here) })
  }
  return spent
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
