import type { Cents } from '@nemo/domain/billing'
import { uuidv7 } from '@nemo/domain/ids'
import type pg from 'pg'
import { inTransaction, type Transaction } from './tenancy.ts'

export type PurchaseSource = 'checkout' | 'card' | 'top-up'
export type PurchaseState = 'pending' | 'paid' | 'failed' | 'expired'

export interface Purchase {
  readonly id: string
  readonly organizationId: string
  readonly source: PurchaseSource
  readonly state: PurchaseState
  readonly creditsCents: Cents
  readonly tierId: string
  readonly feeBasisPoints: number
  readonly feeCents: Cents
  readonly totalCents: Cents
  readonly cardId: string | null
  readonly savesCard: boolean
  readonly checkoutSessionId: string | null
  readonly checkoutUrl: string | null
  readonly paymentIntentId: string | null
  readonly failureCode: string | null
  readonly failureMessage: string | null
  readonly reversedCents: Cents
  readonly createdAt: Date
  readonly paidAt: Date | null
}

const COLUMNS = `id, organization_id as "organizationId", source, state, credits_cents as "creditsCents", tier_id as "tierId",
  fee_basis_points as "feeBasisPoints", fee_cents as "feeCents", total_cents as "totalCents", card_id as "cardId", save_card as "savesCard",
  checkout_session_id as "checkoutSessionId", checkout_url as "checkoutUrl", payment_intent_id as "paymentIntentId",
  failure_code as "failureCode", failure_message as "failureMessage", reversed_cents as "reversedCents", created_at as "createdAt", paid_at as "paidAt"`

export interface NewPurchase {
  readonly organizationId: string
  readonly source: 'checkout' | 'card'
  readonly creditsCents: Cents
  readonly cardId?: string
  readonly savesCard?: boolean
  /** The same key asks for the same purchase. */
  readonly requestKey?: string
}

/** Writes down what is wanted, at the fee of the organization's tier, which is frozen now. With a request key that is known, answers with that purchase. */
export async function createPurchase(
  tx: Transaction,
  wanted: NewPurchase,
): Promise<{ purchase: Purchase; isNew: boolean }> {
  const { rows } = await tx.query(
    `insert into purchases (id, organization_id, source, credits_cents, card_id, save_card, request_key) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (organization_id, request_key) do nothing returning ${COLUMNS}`,
    [
      uuidv7(),
      wanted.organizationId,
      wanted.source,
      wanted.creditsCents,
      wanted.cardId ?? null,
      wanted.savesCard ?? false,
      wanted.requestKey ?? null,
    ],
  )
  if (rows[0]) return { purchase: rows[0], isNew: true }
  const known = await tx.query(`select ${COLUMNS} from purchases where organization_id = $1 and request_key = $2`, [
    wanted.organizationId,
    wanted.requestKey,
  ])
  return { purchase: known.rows[0], isNew: false }
}

/**
 * Begins a top-up: null when one is under way, when the month's cap has no room for it, or when the balance doesn't call for it after all.
 * However many ask at once, one begins. As the operator.
 */
export async function beginTopUp(operator: pg.Pool, organizationId: string): Promise<Purchase | null> {
  return inTransaction(operator, async (tx) => {
    // One after the other: each sees what the one before it has begun.
    await tx.query('select 1 from billing_accounts where organization_id = $1 for update', [organizationId])
    const { rows } = await tx.query(
      `insert into purchases (id, organization_id, source, credits_cents, card_id)
       select $1, a.organization_id, 'top-up', a.top_up_cents, a.default_card_id from billing_accounts a
        where a.organization_id = $2 and a.top_up_enabled and a.top_up_failure is null
          and balance_of(a.organization_id) < a.top_up_below_nanos
          and not exists (select 1 from purchases p where p.organization_id = a.organization_id and p.source = 'top-up' and p.state = 'pending')
          and top_up_fits(a.organization_id, clock_timestamp())
       returning ${COLUMNS}`,
      [uuidv7(), organizationId],
    )
    return rows[0] ?? null
  })
}

export async function findPurchase(db: Pick<pg.Pool, 'query'>, id: string): Promise<Purchase | null> {
  const { rows } = await db.query(`select ${COLUMNS} from purchases where id = $1`, [id])
  return rows[0] ?? null
}

/** The purchase, and nobody else at it until the transaction ends: by what is known of it first. As the operator. */
export async function lockPurchase(
  operator: Transaction,
  by: { id?: string | null; paymentIntentId?: string | null; checkoutSessionId?: string | null },
): Promise<Purchase | null> {
  const { rows } = await operator.query(
    `select ${COLUMNS} from purchases
      where payment_intent_id = $1 or checkout_session_id = $2 or id::text = $3
      order by payment_intent_id is not distinct from $1 desc limit 1 for update`,
    [by.paymentIntentId ?? null, by.checkoutSessionId ?? null, by.id ?? null],
  )
  return rows[0] ?? null
}

/** Newest first, after the one named. */
export async function listPurchases(
  tx: Pick<pg.Pool, 'query'>,
  organizationId: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Purchase[]> {
  const { rows } = await tx.query(
    `select ${COLUMNS} from purchases where organization_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3`,
    [organizationId, after ?? null, limit],
  )
  return rows
}

/**
 * Some of the purchases that have been pending for a while: what Stripe says of them may have been lost. Those by card first, which something waits for; and by
 * chance, so that each gets its turn however many pages of Checkout were left open. As the operator.
 */
export async function stalePurchases(
  operator: Pick<pg.Pool, 'query'>,
  olderThanMs: number,
  limit: number,
): Promise<Purchase[]> {
  const { rows } = await operator.query(
    `select ${COLUMNS} from purchases
      where state = 'pending' and created_at < clock_timestamp() - $1 * interval '1 millisecond'
      order by source = 'checkout', random() limit $2`,
    [olderThanMs, limit],
  )
  return rows
}

/** What is known of it at Stripe by now; what is known already stays. As the operator. */
export async function attachToStripe(
  operator: Pick<pg.Pool, 'query'>,
  id: string,
  {
    checkoutSessionId,
    checkoutUrl,
    paymentIntentId,
  }: { checkoutSessionId?: string; checkoutUrl?: string | null; paymentIntentId?: string },
): Promise<void> {
  await operator.query(
    `update purchases set checkout_session_id = coalesce(checkout_session_id, $2), checkout_url = coalesce(checkout_url, $3),
       payment_intent_id = coalesce(payment_intent_id, $4) where id = $1`,
    [id, checkoutSessionId ?? null, checkoutUrl ?? null, paymentIntentId ?? null],
  )
}

/** Ends one that came to nothing. One that was paid stays paid. As the operator. */
export async function endPurchase(
  operator: Pick<pg.Pool, 'query'>,
  id: string,
  state: 'failed' | 'expired',
  failure?: { code: string; message: string },
): Promise<boolean> {
  const { rowCount } = await operator.query(
    `update purchases set state = $2, failure_code = $3, failure_message = left($4, 500) where id = $1 and state = 'pending'`,
    [id, state, failure?.code ?? null, failure?.message ?? null],
  )
  return rowCount === 1
}
