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
  /** Purchases whose entries, invoice or reversals say anything else than what was charged and went back. */
  readonly purchaseDrift: readonly object[]
  /** What processes hold of money and of parallel requests: nothing, once they have all ended. */
  readonly heldByProcesses: number
}

/** Proves the ledger's invariants in one snapshot, as whoever sees everything. */
export async function proveLedger(operator: pg.Pool, organizationId: string | null = null): Promise<LedgerProof> {
  const client = await operator.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    // It reads every log row there is: cut short it would prove nothing, night after night.
    await client.query('set local statement_timeout = 0')
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
      purchaseDrift: await rows(`
        select p.id, p.state, p.credits_cents, p.fee_cents, p.reversed_cents, e.credits, f.fee, i.invoiced, r.reversed, r.taken
          from purchases p
          left join lateral (select sum(amount_nanos) as credits from ledger_entries e
                              where e.organization_id = p.organization_id and e.kind = 'purchase' and e.reference = p.id::text) e on true
          left join lateral (select sum(amount_nanos) as fee from ledger_entries e
                              where e.organization_id = p.organization_id and e.kind = 'fee' and e.reference = p.id::text) f on true
          left join lateral (select sum(total_cents) as invoiced from invoices i
                              where i.purchase_id = p.id and i.kind = 'invoice' and i.reference = p.payment_intent_id) i on true
          left join lateral (select sum(reversed_cents) as reversed,
                                    sum(clawed_nanos + lost_nanos - credits_cents * 10000000) + sum(reversed_cents - credits_cents - fee_cents) as taken
                               from payment_reversals r where r.payment_intent_id = p.payment_intent_id and r.state = 'taken') r on true
         where ($1::uuid is null or p.organization_id = $1)
           and (coalesce(e.credits, 0) <> case p.state when 'paid' then p.credits_cents * 10000000 else 0 end
             or coalesce(f.fee, 0) <> case p.state when 'paid' then p.fee_cents * 10000000 else 0 end
             or coalesce(i.invoiced, 0) <> case p.state when 'paid' then p.total_cents else 0 end
             or coalesce(r.reversed, 0) <> p.reversed_cents or coalesce(r.taken, 0) <> 0)`),
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
  purchaseDrift: [],
}
