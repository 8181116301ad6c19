import type pg from 'pg'

/** What must hold at every commit; each is a list of what breaks it, empty when nothing does. */
export interface LedgerProof {
  /** Counters where more is used and held than the bound allows. */
  readonly overspent: readonly object[]
  /** Counters whose `held` isn't the sum of the allotments on them. */
  readonly heldDrift: readonly object[]
  /** Organizations whose entries don't add up to their balance. */
  readonly balanceDrift: readonly object[]
  /** Usage entries that aren't the sum of the charges of the requests that name them. */
  readonly entryDrift: readonly object[]
  /** What processes hold of money and of parallel requests: nothing, once they have all ended. */
  readonly heldByProcesses: number
}

/** Proves the ledger's invariants in one snapshot, as whoever sees everything. */
export async function proveLedger(operator: pg.Pool, organizationId: string | null = null): Promise<LedgerProof> {
  const client = await operator.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const rows = async (sql: string) => (await client.query(sql, [organizationId])).rows
    const proof = {
      overspent: await rows(`
        select l.subject, l.resource, l.window_name, l.bound, c.used, c.held from counters c join limits l on l.id = c.limit_id
         where c.used + c.held > l.bound
           and ($1::uuid is null or c.organization_id = $1)`),
      heldDrift: await rows(`
        with held as (
          select a.limit_id, a.window_start, sum(a.amount) as amount
            from allotments a where $1::uuid is null or a.organization_id = $1 group by 1, 2)
        select coalesce(c.limit_id, h.limit_id) as limit_id, c.held, h.amount
          from (select * from counters c where $1::uuid is null or c.organization_id = $1) c full join held h on (h.limit_id, h.window_start) = (c.limit_id, c.window_start)
         where coalesce(c.held, 0) <> coalesce(h.amount, 0)`),
      balanceDrift: await rows(`
        select o.slug, balance_of(o.id) as balance, e.total from organizations o
          left join lateral (select coalesce(sum(amount_nanos), 0) as total from ledger_entries e
                              where e.organization_id = o.id and e.account = 'credits') e on true
         where (balance_of(o.id) <> e.total or balance_of(o.id) < 0) and ($1::uuid is null or o.id = $1)`),
      entryDrift: await rows(`
        select coalesce(e.id, l.entry_id) as id, e.amount_nanos, l.charged
          from (select * from ledger_entries where kind = 'usage' and ($1::uuid is null or organization_id = $1)) e
          full join (select entry_id, sum(cost_nanos) as charged from request_logs
                      where entry_id is not null and ($1::uuid is null or organization_id = $1) group by entry_id) l on l.entry_id = e.id
         where -coalesce(e.amount_nanos, 0) <> coalesce(l.charged, 0)`),
      heldByProcesses: Number(
        (
          await rows(
            `select coalesce(sum(amount), 0) as open from allotments a join limits l on l.id = a.limit_id
              where l.resource in ('cost', 'parallel') and ($1::uuid is null or a.organization_id = $1)`,
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

export const SOUND: Omit<LedgerProof, 'heldByProcesses'> = {
  overspent: [],
  heldDrift: [],
  balanceDrift: [],
  entryDrift: [],
}
