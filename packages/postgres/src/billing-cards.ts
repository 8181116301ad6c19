import type pg from 'pg'
import type { Transaction } from './tenancy.ts'

export interface SavedCard {
  readonly id: string
  readonly brand: string
  readonly last4: string
  readonly expMonth: number
  readonly expYear: number
  readonly isDefault: boolean
}

/** The organization's cards, oldest first. */
export async function listCards(tx: Pick<pg.Pool, 'query'>, organizationId: string): Promise<SavedCard[]> {
  const { rows } = await tx.query(
    `select c.id, c.brand, c.last4, c.exp_month as "expMonth", c.exp_year as "expYear", c.id = a.default_card_id is true as "isDefault"
       from saved_cards c join billing_accounts a on a.organization_id = c.organization_id
      where c.organization_id = $1 and c.detached_at is null order by c.added_at, c.id`,
    [organizationId],
  )
  return rows
}

export interface CardFact {
  readonly id: string
  readonly customerId: string
  readonly brand: string
  readonly last4: string
  readonly expMonth: number
  readonly expYear: number
  readonly isDetached: boolean
  readonly at: Date
}

/**
 * Takes in what Stripe says of a card, in whatever order it says it: a card that was detached stays so. The first card becomes the default; without
 * any, top-ups pause. Of a customer that isn't ours, nothing. As the operator.
 */
export async function saveCard(operator: Transaction, card: CardFact): Promise<void> {
  const account = await operator.query(
    'select organization_id as id, default_card_id as card from billing_accounts where stripe_customer_id = $1 for update',
    [card.customerId],
  )
  if (!account.rows[0]) return
  const { id: organizationId, card: defaultCardId } = account.rows[0]
  await operator.query(
    `insert into saved_cards as c (id, organization_id, brand, last4, exp_month, exp_year, said_at, detached_at)
     values ($1, $2, $3, $4, $5, $6, $7, case when $8 then clock_timestamp() end)
     on conflict (id) do update set
       brand = case when excluded.said_at >= c.said_at then excluded.brand else c.brand end,
       last4 = case when excluded.said_at >= c.said_at then excluded.last4 else c.last4 end,
       exp_month = case when excluded.said_at >= c.said_at then excluded.exp_month else c.exp_month end,
       exp_year = case when excluded.said_at >= c.said_at then excluded.exp_year else c.exp_year end,
       said_at = greatest(c.said_at, excluded.said_at),
       detached_at = coalesce(c.detached_at, excluded.detached_at)`,
    [card.id, organizationId, card.brand, card.last4, card.expMonth, card.expYear, card.at, card.isDetached],
  )
  const cards = await listCards(operator, organizationId)
  if (cards.some(({ id }) => id === defaultCardId)) return
  await operator.query(
    `update billing_accounts set default_card_id = $2::text,
       top_up_failure = case when $2::text is not null then nullif(top_up_failure, 'no_card')
                             when top_up_enabled then coalesce(top_up_failure, 'no_card') else top_up_failure end
     where organization_id = $1`,
    [organizationId, cards[0]?.id ?? null],
  )
}
