import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { COST_NANOS } from './conversation.mjs'

/** Charges are in PostgreSQL a moment after the answer: a tenth of a second, unless the machine is very busy. */
const FLUSH_TIMEOUT_MS = 10_000

/**
 * Whether the database says of `answered` calls exactly what the load generator saw: a row each, the price of each in rows, entries and
 * balance alike, and nothing held but what processes hold in advance.
 */
export async function checkBooks(databaseUrl, answered) {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const cost = String(BigInt(answered) * COST_NANOS)
  const expected = {
    rows: String(answered),
    failures: '0',
    charged: cost,
    entered: cost,
    used: cost,
    held_drift: '0',
    entry_drift: '0',
    overspent: '0',
  }
  const giveUpAt = performance.now() + FLUSH_TIMEOUT_MS
  try {
    for (;;) {
      const found = (await client.query(BOOKS)).rows[0]
      const exact = Object.entries(expected).every(([what, value]) => found[what] === value)
      if (exact || Number(found.rows) > answered || performance.now() > giveUpAt) return { exact, expected, found }
      await sleep(50)
    }
  } finally {
    await client.end()
  }
}

// The same questions as packages/ledger/src/proof.ts, and what the load generator knows. One statement sees one snapshot.
const BOOKS = `
  select (select count(*) from nemo.request_logs where status = 200) as rows,
         (select count(*) from nemo.request_logs where status <> 200) as failures,
         (select coalesce(sum(cost_nanos), 0) from nemo.request_logs) as charged,
         (select coalesce(-sum(amount_nanos), 0) from nemo.ledger_entries where kind = 'usage') as entered,
         (select coalesce(sum(c.used), 0) from nemo.counters c join nemo.limits l on l.id = c.limit_id
           where l.window_name = 'lifetime') as used,
         (select count(*) from nemo.counters c
            full join (select limit_id, window_start, sum(amount) as amount from nemo.allotments group by 1, 2) a
              on (a.limit_id, a.window_start) = (c.limit_id, c.window_start)
           where coalesce(c.held, 0) <> coalesce(a.amount, 0)) as held_drift,
         (select count(*) from nemo.ledger_entries e
           where e.kind = 'usage'
             and -e.amount_nanos <> (select coalesce(sum(r.cost_nanos), 0) from nemo.request_logs r where r.entry_id = e.id)
         ) as entry_drift,
         (select count(*) from nemo.counters c join nemo.limits l on l.id = c.limit_id where c.used + c.held > l.bound) as overspent`
