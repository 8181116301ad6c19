import { uuidv7 } from '@nemo/domain/ids'
import type pg from 'pg'
import { type Caller, settlementOf } from './world.ts'

/**
 * What is usual: each request locks its counters, looks, and updates them in a transaction of its own; and each charge updates them again and
 * writes its rows in another. As the owner, so without row-level security, and with prepared statements: what speed there is, it has.
 */
export async function createNaive(
  owner: pg.Pool,
  { asks }: Caller,
  boundOf: (limitId: string) => bigint,
): Promise<void> {
  await owner.query(`
    create table naive_counters (id uuid primary key, bound bigint not null, used bigint not null default 0, held bigint not null default 0)
      with (fillfactor = 50)`)
  for (const { limit } of asks)
    await owner.query('insert into naive_counters (id, bound) values ($1, $2)', [limit.id, boundOf(limit.id)])
}

/** False when a limit refuses. */
export async function reserveNaively(pool: pg.Pool, { asks }: Caller): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const ids = asks.map(({ limit }) => limit.id)
    const amounts = new Map(asks.map(({ limit, amount }) => [limit.id, amount]))
    const { rows } = await client.query({
      name: 'naive-look',
      text: 'select id, bound, used, held from naive_counters where id = any ($1::uuid[]) order by id for update',
      values: [ids],
    })
    if (rows.some(({ id, bound, used, held }) => BigInt(used) + BigInt(held) + amounts.get(id)! > BigInt(bound)))
      return false
    await client.query({
      name: 'naive-hold',
      text: `update naive_counters c set held = c.held + a.amount from unnest($1::uuid[], $2::bigint[]) a (id, amount) where c.id = a.id`,
      values: [ids, asks.map(({ amount }) => amount)],
    })
    return true
  })
}

export async function settleNaively(pool: pg.Pool, caller: Caller, costNanos: bigint): Promise<void> {
  const { asks, organizationId } = caller
  const { log, tokens } = settlementOf(caller, costNanos)
  const entry = uuidv7()
  await inTransaction(pool, async (client) => {
    await client.query({
      name: 'naive-settle',
      text: `with locked as (select id from naive_counters where id = any ($1::uuid[]) order by id for update)
             update naive_counters c set held = c.held - a.amount, used = c.used + a.used
               from locked join unnest($1::uuid[], $2::bigint[], $3::bigint[]) a (id, amount, used) using (id) where c.id = locked.id`,
      values: [
        asks.map(({ limit }) => limit.id),
        asks.map(({ amount }) => amount),
        asks.map(({ limit }) => (limit.resource === 'cost' ? costNanos : limit.resource === 'tokens' ? tokens : 1)),
      ],
    })
    await client.query({
      name: 'naive-entry',
      text: `insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
             select $1::uuid, $2::uuid, 'credits', 'usage', $3::bigint, bound - used from naive_counters where id = $4::uuid`,
      values: [entry, organizationId, -costNanos, asks[0]!.limit.id],
    })
    await client.query({
      name: 'naive-log',
      text: 'insert into request_logs select * from json_populate_record(null::request_logs, $1)',
      values: [
        JSON.stringify({
          ...log,
          cost_nanos: String(costNanos),
          loss_nanos: '0',
          entry_id: entry,
          repeats: 1,
          recorded_at: log.started_at,
        }),
      ],
    })
  })
}

async function inTransaction<T>(pool: pg.Pool, act: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const result = await act(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
