import type pg from 'pg'

/** What must hold at every commit; each is a list of what breaks it, empty when nothing does. */
export interface LedgerProof {
  /** Counters where more is used and held than the bound allows. */
  readonly overspent: readonly object[]
  /** Counters whose `held` isn't the sum of the open holds on them. */
  readonly heldDrift: readonly object[]
  /** Organizations whose entries don't add up to their balance. */
  readonly balanceDrift: readonly object[]
  /** Usage entries that aren't the sum of the charges of the requests that name them. */
  readonly entryDrift: readonly object[]
  readonly openHolds: number
}

/** Proves the ledger's invariants in one snapshot, as whoever sees everything. Token counters are admission limits: their `used` is what was. */
export async function proveLedger(operator: pg.Pool, organizationId: string | null = null): Promise<LedgerProof> {
  const client = await operator.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const rows = async (sql: string) => (await client.query(sql, [organizationId])).rows
    const proof = {
      overspent: await rows(`
        select l.subject, l.resource, l.window_name, l.bound, c.used, c.held from counters c join limits l on l.id = c.limit_id
         where l.resource <> 'tokens' and l.window_name <> 'minute' and c.used + c.held > l.bound
           and ($1::uuid is null or c.organization_id = $1)`),
      heldDrift: await rows(`
        with held as (
          select a.limit_id, a.window_start, sum(a.amount) as amount
            from holds h, unnest(h.limit_ids, h.window_starts, h.amounts) a (limit_id, window_start, amount)
           where h.expired_at is null and ($1::uuid is null or h.organization_id = $1) group by 1, 2)
        select coalesce(c.limit_id, h.limit_id) as limit_id, c.held, h.amount
          from (select * from counters c where $1::uuid is null or c.organization_id = $1) c full join held h on (h.limit_id, h.window_start) = (c.limit_id, c.window_start)
         where coalesce(c.held, 0) <> coalesce(h.amount, 0)`),
      balanceDrift: await rows(`
        select o.slug, balance_of(o.id) as balance, e.total from organizations o
          left join lateral (select coalesce(sum(amount_nanos), 0) as total from ledger_entries e
                              where e.organization_id = o.id and e.account = 'credits') e on true
         where (balance_of(o.id) <> e.total or balance_of(o.id) < 0) and ($1::uuid is null or o.id = $1)`),
      entryDrift: await rows(`
        select e.id, e.amount_nanos, l.charged from ledger_entries e
          left join lateral (select coalesce(sum(cost_nanos), 0) as charged from request_logs l where l.entry_id = e.id) l on true
         where e.kind = 'usage' and -e.amount_nanos <> l.charged and ($1::uuid is null or e.organization_id = $1)`),
      openHolds: Number(
        (
          await rows(
            'select count(*) as open from holds where expired_at is null and ($1::uuid is null or organization_id = $1)',
          )
        )[0].open,
      ),
    }
    await client.query('commit')
    return proof
  } finally {
    client.release()
  }
}

export const SOUND: Omit<LedgerProof, 'openHolds'> = { overspent: [], heldDrift: [], balanceDrift: [], entryDrift: [] }
