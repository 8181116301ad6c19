import { formatUsd } from '@nemo/domain/money'
import type pg from 'pg'
import { type Finding, ok, problem, warning } from './finding.ts'

/** Proves the money: each proof is one statement, and so sees one moment, also of a gateway at work. */
export async function examineLedger(operator: pg.Pool): Promise<Finding[]> {
  return [await entriesAddUp(operator), await holdsAddUp(operator), await holdsOfTheDead(operator)]
}

async function entriesAddUp(operator: pg.Pool): Promise<Finding> {
  const { rows } = await operator.query(
    `select o.slug, balance_of(o.id) as balance, coalesce(e.total, 0)::bigint as entries
       from organizations o
       left join (select organization_id, sum(amount_nanos) as total from ledger_entries where account = 'credits' group by 1) e
         on e.organization_id = o.id`,
  )
  const wrong = rows.filter((row) => row.balance !== row.entries)
  if (wrong.length === 0) return ok('Every balance is the sum of its ledger entries')
  const list = wrong.map(
    (row) => `${row.slug} ($${formatUsd(row.balance ?? 0n)} against $${formatUsd(row.entries)} of entries)`,
  )
  return problem(
    `Balances that are not the sum of their entries: ${list.join(', ')}`,
    'Stop charging and report this: it must not happen.',
  )
}

async function holdsAddUp(operator: pg.Pool): Promise<Finding> {
  const { rows } = await operator.query(
    `select count(*)::int as wrong, min(coalesce(c.limit_id, h.limit_id)::text) as example
       from counters c
       full join (
         select a.limit_id, a.window_start, sum(a.amount) as amount
           from holds h, unnest(h.limit_ids, h.window_starts, h.amounts) a (limit_id, window_start, amount)
          where h.expired_at is null and exists (select 1 from limits l where l.id = a.limit_id)
          group by 1, 2) h on (c.limit_id, c.window_start) = (h.limit_id, h.window_start)
      where coalesce(c.held, 0) <> coalesce(h.amount, 0)`,
  )
  const { wrong, example } = rows[0]
  if (wrong === 0) return ok('What counters hold is the sum of the open holds')
  return problem(
    `${wrong} counters hold another sum than the open holds (limit ${example})`,
    'Report this: it must not happen.',
  )
}

async function holdsOfTheDead(operator: pg.Pool): Promise<Finding> {
  const { rows } = await operator.query(
    `select count(*)::int as open, count(*) filter (where not exists (
              select 1 from processes p where p.id = h.process_id and p.heartbeat_at > clock_timestamp() - interval '30 seconds'))::int as dead
       from holds h where h.expired_at is null`,
  )
  const { open, dead } = rows[0]
  if (dead === 0) return ok(open === 0 ? 'No hold is open' : `${open} holds are open, all of processes that live`)
  return warning(`${dead} holds are of processes that died`, 'A running nemo gives them back within a minute.')
}
