import type { Nanos } from '@nemo/domain/money'
import type pg from 'pg'

export interface LedgerEntry {
  readonly id: string
  readonly account: 'credits' | 'platform_loss' | 'platform_fee'
  readonly kind: string
  readonly amountNanos: Nanos
  readonly balanceAfterNanos: Nanos
  readonly reference: string | null
  readonly note: string | null
  readonly createdAt: Date
}

/** The latest entries of an organization, newest first. As the operator. */
export async function latestEntries(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  limit: number,
): Promise<LedgerEntry[]> {
  const { rows } = await operator.query(
    `select id, account, kind, amount_nanos as "amountNanos", balance_after_nanos as "balanceAfterNanos", reference, note,
            created_at as "createdAt"
       from ledger_entries where organization_id = $1 order by created_at desc, id desc limit $2`,
    [organizationId, limit],
  )
  return rows
}

/** What went into the balance and out of it, newest first, after the entry named. */
export async function pageOfEntries(
  tx: Pick<pg.Pool, 'query'>,
  organizationId: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<LedgerEntry[]> {
  const { rows } = await tx.query(
    `select id, account, kind, amount_nanos as "amountNanos", balance_after_nanos as "balanceAfterNanos", reference, note,
            created_at as "createdAt"
       from ledger_entries e
      where organization_id = $1 and account = 'credits'
        and ($2::uuid is null or (e.created_at, e.id) < (select f.created_at, f.id from ledger_entries f where f.id = $2 and f.organization_id = $1))
      order by created_at desc, id desc limit $3`,
    [organizationId, after ?? null, limit],
  )
  return rows
}

/** What is left of an organization's credits, and how much of that is held by calls under way. As the operator. */
export async function creditsOf(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
): Promise<{ balanceNanos: Nanos; heldNanos: Nanos }> {
  const { rows } = await operator.query(
    `select l.bound - coalesce(c.used, 0) as "balanceNanos", coalesce(c.held, 0) as "heldNanos"
       from limits l left join counters c on c.limit_id = l.id
      where l.organization_id = $1 and l.subject = 'organization' and l.window_name = 'lifetime'`,
    [organizationId],
  )
  return rows[0] ?? { balanceNanos: 0n, heldNanos: 0n }
}
