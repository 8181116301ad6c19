import { formatMoney } from '@nemo/domain/billing'
import type { Nanos } from '@nemo/domain/money'
import type pg from 'pg'
import { lockCredits } from './billing-accounts.ts'
import { lockPayment, postPlatformEntry, tell } from './billing-payments.ts'
import { lockPurchase } from './billing-purchases.ts'
import { creditsOf } from './ledger-entries.ts'
import { inTransaction } from './tenancy.ts'

/** No call that was under way then is under way any more. */
const HELD_MINUTES = 60

export interface HeldReversal {
  readonly id: string
  readonly paymentIntentId: string
  readonly organizationId: string
}

/** Reversals of the last hour that took less than they could have, because calls held some of it. As the operator. */
export async function heldReversals(operator: Pick<pg.Pool, 'query'>, limit: number): Promise<HeldReversal[]> {
  const { rows } = await operator.query(
    `select r.id, r.payment_intent_id as "paymentIntentId", p.organization_id as "organizationId"
       from payment_reversals r join purchases p on p.payment_intent_id = r.payment_intent_id
      where r.held_nanos > 0 and r.lost_nanos > 0 and r.state = 'taken' and r.taken_at > clock_timestamp() - make_interval(mins => $1)
      order by r.taken_at limit $2`,
    [HELD_MINUTES, limit],
  )
  return rows
}

/**
 * Takes back what calls held when the reversal was taken in, and neither spent nor hold any more: so much less is the platform's loss. Never more than that: what
 * has left the balance since is counted as theirs, and what has come in stays. Answers with what was taken. As the operator.
 */
export async function takeBackReleased(operator: pg.Pool, { id, paymentIntentId }: HeldReversal): Promise<Nanos> {
  return inTransaction(operator, async (tx) => {
    await lockPayment(tx, paymentIntentId)
    const purchase = (await lockPurchase(tx, { paymentIntentId }))!
    const { organizationId } = purchase
    await lockCredits(tx, organizationId)
    const { rows } = await tx.query(
      `select r.kind, r.clawed_nanos as clawed, r.lost_nanos as lost, r.held_nanos - (
                select coalesce(-sum(e.amount_nanos), 0)::bigint from ledger_entries e
                 where e.organization_id = $2 and e.account = 'credits' and e.amount_nanos < 0 and e.created_at > r.taken_at) as left
         from payment_reversals r where r.id = $1 and r.state = 'taken' for update`,
      [id, organizationId],
    )
    const [reversal] = rows
    if (!reversal) return 0n
    const { balanceNanos, heldNanos } = await creditsOf(tx, organizationId)
    const amount = least(reversal.left, reversal.lost, balanceNanos - heldNanos)
    // When nothing is held, or more has been taken since than was, there is nothing more to wait for.
    if (heldNanos === 0n || reversal.left <= 0n)
      await tx.query('update payment_reversals set held_nanos = 0 where id = $1', [id])
    if (amount <= 0n) return 0n
    const reference = `${id}:held-${reversal.clawed}`
    const note = `${reversal.kind === 'refund' ? 'Refund' : 'Dispute'} of purchase ${purchase.id}: held then, and not spent`
    await tx.query('select * from claw_back($1, $2, $3, $4, false)', [organizationId, amount, reference, note])
    await postPlatformEntry(tx, purchase, 'platform_loss', -amount, reference, note)
    await tx.query(
      'update payment_reversals set clawed_nanos = clawed_nanos + $2, lost_nanos = lost_nanos - $2 where id = $1',
      [id, amount],
    )
    await tell(tx, purchase, reversal.kind === 'refund' ? 'purchase.refunded' : 'purchase.disputed', {
      reversal_id: id,
      taken_back_usd: formatMoney(amount),
    })
    return amount
  })
}

function least(...amounts: [Nanos, ...Nanos[]]): Nanos {
  return amounts.sort((a, b) => (a < b ? -1 : 1))[0]!
}
