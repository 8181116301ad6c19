import pg from 'pg'
import { COST_NANOS } from './conversation.mjs'

/**
 * Whether the database says of `answered` calls exactly what the load generator saw: a row each, the price of each in rows, entries and
 * balance alike, and nothing held any more.
 */
export async function checkBooks(databaseUrl, answered) {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query(`
    select (select count(*) from nemo.request_logs where status = 200) as rows,
           (select count(*) from nemo.request_logs where status <> 200) as failures,
           (select sum(cost_nanos) from nemo.request_logs) as charged,
           (select -sum(amount_nanos) from nemo.ledger_entries where kind = 'usage') as entered,
           (select c.used from nemo.counters c join nemo.limits l on l.id = c.limit_id where l.window_name = 'lifetime') as used,
           (select sum(held) from nemo.counters) as held,
           (select count(*) from nemo.holds) as holds`)
  await client.end()
  const found = rows[0]
  const cost = String(BigInt(answered) * COST_NANOS)
  const expected = {
    rows: String(answered),
    failures: '0',
    charged: cost,
    entered: cost,
    used: cost,
    held: '0',
    holds: '0',
  }
  const exact = Object.entries(expected).every(([what, value]) => found[what] === value)
  return { exact, expected, found }
}
