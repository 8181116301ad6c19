import { setTimeout as sleep } from 'node:timers/promises'
import { postEntry } from '@nemo/postgres/organizations'
import type pg from 'pg'
import { Chance, WHO } from './chance.ts'
import { insist } from './insist.ts'
import { CALL_NANOS, type World } from './world.ts'

/** What was paid in, and taken out again, by our own count. */
export interface Payments {
  grants: number
  refunds: number
  /** Payments that went back, whether their credits had been spent or not. */
  reversals: number
  /** By organization, in nanodollars. */
  readonly paid: Map<string, bigint>
  /** References under which more than one entry was made. */
  readonly doubled: string[]
}

const EVERY_MS = 200
/** Less than the racers could spend, so that credits are always nearly gone. */
const CALLS_MAX = 60

/** Pays credits in, and now and then takes some out, each time twice at once under one reference, as webhooks do. */
export async function payNowAndThen(
  seed: number,
  operator: pg.Pool,
  world: World,
  payments: Payments,
  stop: AbortSignal,
): Promise<void> {
  const chance = new Chance(seed, WHO.payer)
  for (let i = 0; ; i++) {
    await sleep(EVERY_MS, null, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    const { id } = chance.of(world.organizations)
    if (chance.once(20)) {
      await reverseTwice(operator, payments, id, CALL_NANOS * BigInt(chance.whole(1, CALLS_MAX / 4)), `reversal-${i}`)
      continue
    }
    const isRefund = chance.once(10)
    const amount = CALL_NANOS * BigInt(chance.whole(1, isRefund ? 5 : CALLS_MAX))
    await payTwice(operator, payments, {
      organizationId: id,
      kind: isRefund ? 'refund' : 'purchase',
      amountNanos: isRefund ? -amount : amount,
      reference: `payment-${i}`,
    })
  }
}

async function payTwice(operator: pg.Pool, payments: Payments, entry: Parameters<typeof postEntry>[1]): Promise<void> {
  const twice = [0, 1].map(() => insist(() => postEntry(operator, entry)).catch(unlessSpent))
  const made = (await Promise.all(twice)).filter((answer) => answer !== null)
  if (made.length === 0) return
  if (new Set(made.map(({ id }) => id)).size > 1) payments.doubled.push(entry.reference!)
  if (entry.kind === 'refund') payments.refunds++
  else payments.grants++
  payments.paid.set(entry.organizationId, (payments.paid.get(entry.organizationId) ?? 0n) + entry.amountNanos)
}

/** Takes what is left of a payment, as when a bank took it back; the rest is the platform's loss. */
async function reverseTwice(
  operator: pg.Pool,
  payments: Payments,
  organizationId: string,
  amount: bigint,
  reference: string,
): Promise<void> {
  const sql = 'select clawed, lost from claw_back($1, $2, $3, null, true)'
  const twice = [0, 1].map(() => insist(() => operator.query(sql, [organizationId, amount, reference])))
  const [one, two] = (await Promise.all(twice)).map(({ rows }) => rows[0] as { clawed: bigint; lost: bigint })
  if (one!.clawed !== two!.clawed || one!.clawed + one!.lost !== amount) payments.doubled.push(reference)
  payments.reversals++
  if (one!.clawed === 0n) return
  payments.paid.set(organizationId, (payments.paid.get(organizationId) ?? 0n) - one!.clawed)
}

/** What is spent or held can't be taken out. */
function unlessSpent(error: unknown): null {
  if ((error as { code?: string }).code === '23514') return null
  throw error
}
