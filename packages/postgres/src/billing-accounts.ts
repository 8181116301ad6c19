import type { Cents } from '@nemo/domain/billing'
import type { Nanos } from '@nemo/domain/money'
import type pg from 'pg'
import type { Tier } from './billing-tiers.ts'
import { inTransaction, type Transaction } from './tenancy.ts'

export interface BillingAccount {
  readonly organizationId: string
  readonly tier: Tier
  readonly balanceNanos: Nanos
  /** What processes hold of the balance, for calls under way and those to come. */
  readonly heldNanos: Nanos
  readonly stripeCustomerId: string | null
  readonly company: string
  readonly address: string
  readonly taxId: string
  readonly email: string | null
  readonly defaultCardId: string | null
  readonly topUp: TopUp
  readonly lowBalanceNanos: Nanos | null
}

export interface TopUp {
  readonly enabled: boolean
  readonly belowNanos: Nanos | null
  readonly cents: Cents | null
  /** The most that top-ups may charge in a calendar month (UTC), fees included. */
  readonly monthCents: Cents | null
  /** Why topping up has paused; null while it hasn't. */
  readonly failure: string | null
  readonly isPending: boolean
}

const SELECT = `
  select a.*, o.name as organization_name, t.id as tier, t.name as tier_name, t.fee_basis_points,
         l.bound - coalesce(c.used, 0) as balance_nanos, coalesce(c.held, 0) as held_nanos,
         exists (select 1 from purchases p where p.organization_id = a.organization_id and p.source = 'top-up' and p.state = 'pending') as is_pending
    from billing_accounts a
    join organizations o on o.id = a.organization_id
    join billing_tiers t on t.id = o.tier_id
    join limits l on l.organization_id = a.organization_id and l.subject = 'organization' and l.window_name = 'lifetime'
    left join counters c on c.limit_id = l.id`

/** How the organization stands; null when there is none. */
export async function findBillingAccount(
  db: Pick<pg.Pool, 'query'>,
  organizationId: string,
): Promise<BillingAccount | null> {
  const { rows } = await db.query(`${SELECT} where a.organization_id = $1`, [organizationId])
  return rows[0] ? read(rows[0]) : null
}

function read(row: Record<string, never>): BillingAccount {
  return {
    organizationId: row.organization_id!,
    tier: { id: row.tier!, name: row.tier_name!, feeBasisPoints: row.fee_basis_points! },
    balanceNanos: row.balance_nanos!,
    heldNanos: row.held_nanos!,
    stripeCustomerId: row.stripe_customer_id!,
    company: row.company!,
    address: row.address!,
    taxId: row.tax_id!,
    email: row.email!,
    defaultCardId: row.default_card_id!,
    topUp: {
      enabled: row.top_up_enabled!,
      belowNanos: row.top_up_below_nanos!,
      cents: row.top_up_cents!,
      monthCents: row.top_up_month_cents!,
      failure: row.top_up_failure!,
      isPending: row.is_pending!,
    },
    lowBalanceNanos: row.low_balance_nanos!,
  }
}

/** What is left out stays as it is. */
export interface BillingSettings {
  readonly company?: string
  readonly address?: string
  readonly taxId?: string
  readonly email?: string | null
  readonly defaultCardId?: string
  readonly topUp?: { enabled: boolean; belowNanos: Nanos; cents: Cents; monthCents: Cents } | { enabled: false }
  readonly lowBalanceNanos?: Nanos | null
}

/** Changes them. Setting the top-up, or another card, lets it go on where it had paused. A threshold that is set anew is told of anew. */
export async function setBillingAccount(
  tx: Pick<pg.Pool, 'query'>,
  organizationId: string,
  settings: BillingSettings,
): Promise<void> {
  const { topUp } = settings
  await tx.query(
    `update billing_accounts set
       company = coalesce($2, company), address = coalesce($3, address), tax_id = coalesce($4, tax_id),
       email = case when $5 then $6 else email end,
       default_card_id = coalesce($7, default_card_id),
       top_up_enabled = coalesce($8, top_up_enabled), top_up_below_nanos = coalesce($9, top_up_below_nanos),
       top_up_cents = coalesce($10, top_up_cents), top_up_month_cents = coalesce($11, top_up_month_cents),
       top_up_failure = case when $8 is not null or $7 is not null then null else top_up_failure end,
       low_balance_nanos = case when $12 then $13 else low_balance_nanos end,
       low_balance_told_at = case when $12 then null else low_balance_told_at end
     where organization_id = $1`,
    [
      organizationId,
      settings.company ?? null,
      settings.address ?? null,
      settings.taxId ?? null,
      settings.email !== undefined,
      settings.email ?? null,
      settings.defaultCardId ?? null,
      topUp?.enabled ?? null,
      topUp && 'cents' in topUp ? topUp.belowNanos : null,
      topUp && 'cents' in topUp ? topUp.cents : null,
      topUp && 'cents' in topUp ? topUp.monthCents : null,
      settings.lowBalanceNanos !== undefined,
      settings.lowBalanceNanos ?? null,
    ],
  )
}

/** Keeps who the organization is to Stripe, unless that is known already. Answers with what is kept. As the operator. */
export async function keepStripeCustomer(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  customerId: string,
): Promise<string> {
  const { rows } = await operator.query(
    `update billing_accounts set stripe_customer_id = coalesce(stripe_customer_id, $2)
      where organization_id = $1 returning stripe_customer_id as id`,
    [organizationId, customerId],
  )
  return rows[0].id
}

/**
 * Puts another customer in the place of one that Stripe doesn't know any more. What cards that one had are gone with it. Answers with the one that is kept, should
 * others have done the same. As the operator.
 */
export async function replaceStripeCustomer(
  operator: pg.Pool,
  organizationId: string,
  lost: string,
  customerId: string,
): Promise<string> {
  return inTransaction(operator, async (tx) => {
    const { rowCount } = await tx.query(
      `update billing_accounts set stripe_customer_id = $3, default_card_id = null,
         top_up_failure = case when top_up_enabled then coalesce(top_up_failure, 'no_card') end
        where organization_id = $1 and stripe_customer_id = $2`,
      [organizationId, lost, customerId],
    )
    if (rowCount === 1)
      await tx.query(
        'update saved_cards set detached_at = clock_timestamp() where organization_id = $1 and detached_at is null',
        [organizationId],
      )
    return keepStripeCustomer(tx, organizationId, customerId)
  })
}

/** Who deleted organizations still are to Stripe. As the operator. */
export async function customersOfTheDeleted(
  operator: Pick<pg.Pool, 'query'>,
  limit: number,
): Promise<{ organizationId: string; customerId: string }[]> {
  const { rows } = await operator.query(
    `select a.organization_id as "organizationId", a.stripe_customer_id as "customerId"
       from billing_accounts a join organizations o on o.id = a.organization_id
      where o.deleted_at is not null and a.stripe_customer_id is not null order by 1 limit $1`,
    [limit],
  )
  return rows
}

/** Forgets who an organization was to Stripe, and what cards it was heard to have since. As the operator. */
export async function forgetStripeCustomer(operator: Pick<pg.Pool, 'query'>, organizationId: string): Promise<void> {
  await operator.query(
    `with cards as (delete from saved_cards where organization_id = $1)
     update billing_accounts set stripe_customer_id = null, default_card_id = null where organization_id = $1`,
    [organizationId],
  )
}

/** Whether who paid is another organization. As the operator. */
export async function isCustomerOfAnother(
  operator: Pick<pg.Pool, 'query'>,
  customerId: string,
  organizationId: string,
): Promise<boolean> {
  const { rowCount } = await operator.query(
    'select 1 from billing_accounts where stripe_customer_id = $1 and organization_id <> $2',
    [customerId, organizationId],
  )
  return rowCount !== 0
}

/** Nobody else changes the balance until the transaction ends. As the operator. */
export async function lockCredits(operator: Transaction, organizationId: string): Promise<void> {
  await operator.query('select lock_credits($1)', [organizationId])
}

/** Pauses top-ups until someone sets them anew. As the operator. */
export async function pauseTopUp(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  failure: string,
): Promise<void> {
  await operator.query(
    `update billing_accounts set top_up_failure = $2, top_up_failure_told = false where organization_id = $1 and top_up_failure is null`,
    [organizationId, failure],
  )
}

/** Organizations whose balance calls for a top-up that may begin now. As the operator. */
export async function dueTopUps(operator: Pick<pg.Pool, 'query'>, limit: number): Promise<string[]> {
  const { rows } = await operator.query(
    `select a.organization_id as id from billing_accounts a
      where a.top_up_enabled and a.top_up_failure is null and balance_of(a.organization_id) < a.top_up_below_nanos
        and not exists (select 1 from purchases p where p.organization_id = a.organization_id and p.source = 'top-up' and p.state = 'pending')
        and top_up_fits(a.organization_id, clock_timestamp())
      order by a.organization_id limit $1`,
    [limit],
  )
  return rows.map(({ id }) => id)
}

/** Top-ups that have paused, each answered with once, for somebody to be told. As the operator. */
export async function takePausedTopUps(
  operator: Pick<pg.Pool, 'query'>,
): Promise<{ organizationId: string; organization: string; failure: string }[]> {
  const { rows } = await operator.query(
    `update billing_accounts a set top_up_failure_told = true from organizations o
      where o.id = a.organization_id and a.top_up_enabled and a.top_up_failure is not null and not a.top_up_failure_told
     returning a.organization_id as "organizationId", o.name as organization, a.top_up_failure as failure`,
  )
  return rows
}

/** Whom to write to about money: the address that the organization gave for it, else everyone who may buy. As the operator. */
export async function billingContacts(operator: Pick<pg.Pool, 'query'>, organizationId: string): Promise<string[]> {
  const { rows } = await operator.query(
    `select a.email from billing_accounts a where a.organization_id = $1 and a.email is not null
      union
     select u.email from members m join users u on u.id = m.user_id
      where m.organization_id = $1 and m.role in ('owner', 'admin')
        and not exists (select 1 from billing_accounts a where a.organization_id = $1 and a.email is not null)
     order by 1`,
    [organizationId],
  )
  return rows.map(({ email }) => email)
}

export interface LowBalance {
  readonly organizationId: string
  readonly organization: string
  readonly balanceNanos: Nanos
  readonly thresholdNanos: Nanos
}

/**
 * Takes note of balances that have come below their threshold since they were last above it; each is answered with once. Whoever asks tells of them in
 * the same transaction. As the operator.
 */
export async function takeLowBalances(operator: Pick<pg.Pool, 'query'>, limit: number): Promise<LowBalance[]> {
  await operator.query(
    `update billing_accounts a set low_balance_told_at = null
      where a.low_balance_told_at is not null and (a.low_balance_nanos is null or balance_of(a.organization_id) >= a.low_balance_nanos)`,
  )
  const { rows } = await operator.query(
    `with low as (
       select a.organization_id from billing_accounts a join organizations o on o.id = a.organization_id
        where coalesce(o.suspended_at, o.delete_after, o.deleted_at) is null and a.low_balance_told_at is null and a.low_balance_nanos is not null
          and balance_of(a.organization_id) < a.low_balance_nanos
          -- Who never had anything isn't running low.
          and exists (select 1 from ledger_entries e where e.organization_id = a.organization_id)
        order by a.organization_id limit $1 for update of a skip locked)
     update billing_accounts a set low_balance_told_at = clock_timestamp()
       from low, organizations o
      where a.organization_id = low.organization_id and o.id = a.organization_id
     returning a.organization_id as "organizationId", o.name as organization, balance_of(a.organization_id) as "balanceNanos",
               a.low_balance_nanos as "thresholdNanos"`,
    [limit],
  )
  return rows
}
