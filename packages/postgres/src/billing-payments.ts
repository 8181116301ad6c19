import { type Cents, formatCents, formatMoney, nanosOf, shareOf } from '@nemo/domain/billing'
import type { Nanos } from '@nemo/domain/money'
import type pg from 'pg'
import { appendAudit } from './audit.ts'
import { isCustomerOfAnother, lockCredits, pauseTopUp } from './billing-accounts.ts'
import { type CardFact, saveCard } from './billing-cards.ts'
import { issueInvoice } from './billing-invoices.ts'
import { attachToStripe, endPurchase, lockPurchase, type Purchase } from './billing-purchases.ts'
import { creditsOf } from './ledger-entries.ts'
import { post, recallCredits } from './organizations.ts'
import { inTransaction, type Transaction } from './tenancy.ts'
import { emitEvent } from './webhook-events.ts'

/** What Stripe says has happened to a payment. The same is said several times, and what came later may be said first. */
export type PaymentFact =
  | {
      readonly kind: 'paid'
      readonly paymentIntentId: string
      readonly purchaseId: string | null
      /** Whom it says that it is of: what Stripe was told when it was asked for. */
      readonly organizationId: string | null
      readonly customerId: string | null
      readonly checkoutSessionId: string | null
      readonly amountCents: Cents
      readonly currency: string
    }
  | {
      readonly kind: 'failed'
      readonly paymentIntentId: string
      readonly purchaseId: string | null
      readonly code: string
      readonly message: string
    }
  | { readonly kind: 'expired'; readonly checkoutSessionId: string; readonly purchaseId: string | null }
  | ReversalFact
  | ({ readonly kind: 'card' } & CardFact)

export interface ReversalFact {
  readonly kind: 'refund' | 'dispute'
  readonly id: string
  readonly paymentIntentId: string
  readonly amountCents: Cents
  readonly status: string
  /** How far along the status is. What is less far than what is known comes too late. */
  readonly rank: number
  /** Whether the money is gone, as far as this status goes. */
  readonly isEffective: boolean
  readonly at: Date
}

/** The event that said so. What is known without one, from an answer to a request of ours, has none. */
export interface StripeEventSeen {
  readonly id: string
  readonly type: string
  readonly at: Date
}

/** `applied`: taken in. `repeated`: the event was heard before. `unknown`: of no payment of ours. `mismatch`: paid, but not what was asked; nothing was credited. */
export type FactOutcome = 'applied' | 'repeated' | 'unknown' | 'mismatch'

const RECALLS_MAX = 8
const RECALL_MS = 50

/**
 * Takes in a fact, with all that follows from it, in one transaction: credits, fee and invoice of what was paid, once, whatever comes how often in
 * which order; what was refunded or charged back is taken from what is unspent. What processes only hold idle they are first asked to give
 * back. As the operator.
 */
export async function applyPaymentFact(
  operator: pg.Pool,
  fact: PaymentFact,
  event: StripeEventSeen | null,
  sleep: (ms: number) => Promise<unknown>,
): Promise<FactOutcome> {
  for (let tries = 1; ; tries++) {
    try {
      return await inTransaction(operator, (tx) => apply(tx, fact, event, tries === RECALLS_MAX))
    } catch (error) {
      if (!(error instanceof HeldElsewhere) || tries === RECALLS_MAX) throw error
      await recallCredits(operator, error.organizationId)
      await sleep(RECALL_MS)
    }
  }
}

async function apply(
  tx: Transaction,
  fact: PaymentFact,
  event: StripeEventSeen | null,
  whateverThereIs: boolean,
): Promise<FactOutcome> {
  const subject = subjectOf(fact)
  if (event) {
    const { rowCount } = await tx.query(
      `insert into stripe_events (id, type, subject, happened_at) values ($1, $2, $3, $4) on conflict (id) do nothing`,
      [event.id, event.type, subject, event.at],
    )
    if (rowCount === 0) return 'repeated'
  }
  // All that is said of one payment is taken in one after the other, also before its purchase is known.
  await lockPayment(tx, subject)
  switch (fact.kind) {
    case 'paid':
      return pay(tx, fact, whateverThereIs)
    case 'failed':
      return fail(tx, fact)
    case 'expired': {
      const purchase = await lockPurchase(tx, { checkoutSessionId: fact.checkoutSessionId, id: fact.purchaseId })
      if (purchase) await endPurchase(tx, purchase.id, 'expired')
      return purchase ? 'applied' : 'unknown'
    }
    case 'refund':
    case 'dispute': {
      await noteReversal(tx, fact)
      const purchase = await lockPurchase(tx, { paymentIntentId: fact.paymentIntentId })
      if (purchase?.state === 'paid') await reverse(tx, purchase, whateverThereIs)
      return 'applied'
    }
    case 'card':
      await saveCard(tx, fact)
      return 'applied'
  }
}

/** What is said of a payment waits until the transaction ends. As the operator. */
export async function lockPayment(operator: Transaction, subject: string): Promise<void> {
  await operator.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`payment ${subject}`])
}

function subjectOf(fact: PaymentFact): string {
  if (fact.kind === 'card') return fact.customerId
  return fact.kind === 'expired' ? fact.checkoutSessionId : fact.paymentIntentId
}

async function pay(
  tx: Transaction,
  fact: Extract<PaymentFact, { kind: 'paid' }>,
  whateverThereIs: boolean,
): Promise<FactOutcome> {
  const { paymentIntentId } = fact
  const purchase = await lockPurchase(tx, { ...fact, id: fact.purchaseId })
  if (!purchase) return 'unknown'
  // A purchase is paid by one payment.
  if (purchase.paymentIntentId !== null && purchase.paymentIntentId !== paymentIntentId && purchase.state === 'paid')
    return 'mismatch'
  if (fact.amountCents !== purchase.totalCents || fact.currency !== 'usd') return 'mismatch'
  // Nobody's payment buys credits for somebody else, whatever was written onto it at Stripe.
  if (fact.organizationId !== null && fact.organizationId !== purchase.organizationId) return 'mismatch'
  if (fact.customerId !== null && (await isCustomerOfAnother(tx, fact.customerId, purchase.organizationId)))
    return 'mismatch'
  if (purchase.state !== 'paid') {
    await tx.query(
      `update purchases set state = 'paid', paid_at = clock_timestamp(), payment_intent_id = $2, failure_code = null, failure_message = null where id = $1`,
      [purchase.id, paymentIntentId],
    )
    await post(tx, {
      organizationId: purchase.organizationId,
      kind: 'purchase',
      amountNanos: nanosOf(purchase.creditsCents),
      reference: purchase.id,
      note: `Paid $${formatCents(purchase.totalCents)}, of which $${formatCents(purchase.feeCents)} platform fee`,
    })
    await postPlatformEntry(tx, purchase, 'fee', nanosOf(purchase.feeCents), purchase.id)
    await issueInvoice(tx, purchase, {
      kind: 'invoice',
      reference: paymentIntentId,
      creditsCents: purchase.creditsCents,
      feeCents: purchase.feeCents,
      note: `Paid by card (${paymentIntentId})`,
    })
    await tell(tx, purchase, 'purchase.paid', {
      credits_usd: formatCents(purchase.creditsCents),
      fee_usd: formatCents(purchase.feeCents),
      total_usd: formatCents(purchase.totalCents),
    })
    await emitEvent(tx, {
      organizationId: purchase.organizationId,
      type: 'purchase.completed',
      data: {
        purchase_id: purchase.id,
        credits: formatCents(purchase.creditsCents),
        fee: formatCents(purchase.feeCents),
        total: formatCents(purchase.totalCents),
      },
    })
  }
  await reverse(tx, { ...purchase, paymentIntentId }, whateverThereIs)
  return 'applied'
}

/** A card that is declined at Checkout may be followed by another: then it is the session that ends the purchase. */
async function fail(tx: Transaction, fact: Extract<PaymentFact, { kind: 'failed' }>): Promise<FactOutcome> {
  const purchase = await lockPurchase(tx, { paymentIntentId: fact.paymentIntentId, id: fact.purchaseId })
  if (!purchase) return 'unknown'
  if (purchase.source === 'checkout') return 'applied'
  await attachToStripe(tx, purchase.id, { paymentIntentId: fact.paymentIntentId })
  const ended = await endPurchase(tx, purchase.id, 'failed', fact)
  if (ended && purchase.source === 'top-up') await pauseTopUp(tx, purchase.organizationId, fact.code)
  return 'applied'
}

async function noteReversal(tx: Transaction, fact: ReversalFact): Promise<void> {
  await tx.query(
    `insert into payment_reversals as r (id, kind, payment_intent_id, amount_cents, status, rank, is_effective, happened_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (id) do update set amount_cents = excluded.amount_cents, status = excluded.status, rank = excluded.rank, is_effective = excluded.is_effective
      where excluded.rank > r.rank`,
    [fact.id, fact.kind, fact.paymentIntentId, fact.amountCents, fact.status, fact.rank, fact.isEffective, fact.at],
  )
}

interface Reversal {
  readonly id: string
  readonly kind: 'refund' | 'dispute'
  readonly amountCents: Cents
  readonly isEffective: boolean
  readonly state: 'none' | 'taken' | 'returned'
  readonly reversedCents: Cents
  readonly creditsCents: Cents
  readonly feeCents: Cents
  readonly clawedNanos: Nanos
  readonly lostNanos: Nanos
}

/** Brings what was taken back of a paid purchase to what Stripe says was refunded and charged back. */
async function reverse(tx: Transaction, purchase: Purchase, whateverThereIs: boolean): Promise<void> {
  const { rows } = await tx.query(
    `select id, kind, amount_cents as "amountCents", is_effective as "isEffective", state, reversed_cents as "reversedCents",
            credits_cents as "creditsCents", fee_cents as "feeCents", clawed_nanos as "clawedNanos", lost_nanos as "lostNanos"
       from payment_reversals where payment_intent_id = $1 order by happened_at, id for update`,
    [purchase.paymentIntentId],
  )
  const reversals: readonly Reversal[] = rows
  // Balance, then documents, then audit log: whoever takes them in this order doesn't meet another who has taken them the other way round.
  if (reversals.length > 0) await lockCredits(tx, purchase.organizationId)
  const standing = { reversedCents: 0n, creditsCents: 0n, feeCents: 0n }
  const add = ({ reversedCents, creditsCents, feeCents }: typeof standing, sign: bigint) => {
    standing.reversedCents += sign * reversedCents
    standing.creditsCents += sign * creditsCents
    standing.feeCents += sign * feeCents
  }
  for (const reversal of reversals) if (reversal.state === 'taken') add(reversal, 1n)
  for (const reversal of reversals) {
    if (reversal.isEffective || reversal.state !== 'taken') continue
    await giveBack(tx, purchase, reversal)
    add(reversal, -1n)
  }
  for (const reversal of reversals) {
    if (!reversal.isEffective || reversal.state === 'returned') continue
    // More than was paid can't go back. What was cut off for that is taken when another reversal turns out not to have gone through.
    const room = purchase.totalCents - standing.reversedCents
    const wanted = reversal.amountCents - reversal.reversedCents
    const reversedCents = wanted < room ? wanted : room
    if (reversedCents <= 0n) continue
    // Of the whole that has gone back so far, so that parts add up to the cent.
    const share = shareOf(purchase, standing.reversedCents + reversedCents)
    const creditsCents = atMost(share.creditsCents - standing.creditsCents, reversedCents)
    const part = { reversedCents, creditsCents, feeCents: reversedCents - creditsCents }
    await takeBack(tx, purchase, reversal, part, whateverThereIs)
    add(part, 1n)
  }
  await tx.query('update purchases set reversed_cents = $2 where id = $1', [purchase.id, standing.reversedCents])
}

function atMost(cents: Cents, max: Cents): Cents {
  return cents < 0n ? 0n : cents > max ? max : cents
}

async function takeBack(
  tx: Transaction,
  purchase: Purchase,
  reversal: Reversal,
  part: Pick<Reversal, 'reversedCents' | 'creditsCents' | 'feeCents'>,
  whateverThereIs: boolean,
): Promise<void> {
  const reference = reversal.reversedCents === 0n ? reversal.id : `${reversal.id}:from-${reversal.reversedCents}`
  const note = `${reversal.kind === 'refund' ? 'Refund' : 'Dispute'} of $${formatCents(part.reversedCents)} of purchase ${purchase.id}`
  let [clawed, lost] = [0n, 0n]
  if (part.creditsCents > 0n) {
    const taken = await tx
      .query('select * from claw_back($1, $2, $3, $4, $5)', [
        purchase.organizationId,
        nanosOf(part.creditsCents),
        reference,
        note,
        whateverThereIs,
      ])
      .catch((error: { code?: string }) => {
        throw error.code === '23514' ? new HeldElsewhere(purchase.organizationId, error) : error
      })
    ;[clawed, lost] = [taken.rows[0].clawed, taken.rows[0].lost]
  }
  await postPlatformEntry(tx, purchase, 'fee', -nanosOf(part.feeCents), reference, note)
  // What calls under way hold may turn out not to be spent: takeBackReleased takes it then.
  const { heldNanos } = lost > 0n ? await creditsOf(tx, purchase.organizationId) : { heldNanos: 0n }
  await tx.query(
    `update payment_reversals set state = 'taken', reversed_cents = reversed_cents + $2, credits_cents = credits_cents + $3,
       fee_cents = fee_cents + $4, clawed_nanos = clawed_nanos + $5, lost_nanos = lost_nanos + $6, held_nanos = least(lost_nanos + $6, $7::bigint),
       taken_at = clock_timestamp() where id = $1`,
    [reversal.id, part.reversedCents, part.creditsCents, part.feeCents, clawed, lost, heldNanos],
  )
  if (reversal.kind === 'refund') await issueInvoice(tx, purchase, { kind: 'credit-note', reference, note, ...part })
  await tell(tx, purchase, reversal.kind === 'refund' ? 'purchase.refunded' : 'purchase.disputed', {
    reversal_id: reversal.id,
    reversed_usd: formatCents(part.reversedCents),
    taken_back_usd: formatMoney(clawed),
  })
}

/** A refund that failed, a dispute that was won: what it took, and what was lost by it, comes back. */
async function giveBack(tx: Transaction, purchase: Purchase, reversal: Reversal): Promise<void> {
  const reference = `${reversal.id}:returned`
  const note =
    reversal.kind === 'refund'
      ? `Refund ${reversal.id} did not go through`
      : `Dispute ${reversal.id} was decided for us`
  if (reversal.clawedNanos > 0n)
    await post(tx, {
      organizationId: purchase.organizationId,
      kind: 'adjustment',
      amountNanos: reversal.clawedNanos,
      reference,
      note,
    })
  await postPlatformEntry(tx, purchase, 'platform_loss', -reversal.lostNanos, reference, note)
  await postPlatformEntry(tx, purchase, 'fee', nanosOf(reversal.feeCents), reference, note)
  await tx.query(`update payment_reversals set state = 'returned' where id = $1`, [reversal.id])
  if (reversal.kind === 'refund')
    await issueInvoice(tx, purchase, {
      kind: 'invoice',
      reference,
      creditsCents: reversal.creditsCents,
      feeCents: reversal.feeCents,
      note,
    })
  await tell(tx, purchase, 'purchase.restored', {
    reversal_id: reversal.id,
    given_back_usd: formatMoney(reversal.clawedNanos),
  })
}

export async function tell(tx: Transaction, purchase: Purchase, action: string, after: object): Promise<void> {
  await appendAudit(tx, {
    organizationId: purchase.organizationId,
    actor: { kind: 'system', id: 'stripe' },
    address: null,
    action,
    subject: { type: 'purchase', id: purchase.id },
    after,
  })
}

export async function postPlatformEntry(
  tx: Transaction,
  purchase: Purchase,
  kind: 'fee' | 'platform_loss',
  amountNanos: Nanos,
  reference: string,
  note: string | null = null,
): Promise<void> {
  if (amountNanos === 0n) return
  await tx.query('select post_platform_entry($1, $2, $3, $4, $5)', [
    purchase.organizationId,
    kind,
    amountNanos,
    reference,
    note,
  ])
}

/** There may be enough to take back, but processes hold some of it. */
class HeldElsewhere extends Error {
  readonly organizationId: string

  constructor(organizationId: string, cause: unknown) {
    super('credits to take back are held', { cause })
    this.organizationId = organizationId
  }
}
