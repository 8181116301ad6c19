import type pg from 'pg'

/** A row of the log, as far as it proves something. */
export interface LogRow {
  readonly id: string
  readonly status: number
  readonly costNanos: bigint | null
  readonly lossNanos: bigint
}

/** When calls were admitted against a limit on requests, in milliseconds. */
export interface Admissions {
  readonly limitId: string
  readonly name: string
  readonly bound: bigint
  readonly atMs: readonly number[]
}

/** Every row of the log but those of refusals. */
export async function readLog(operator: pg.Pool): Promise<LogRow[]> {
  const { rows } = await operator.query(
    `select id, status, cost_nanos as "costNanos", loss_nanos as "lossNanos" from request_logs where attempts <> '[]'`,
  )
  return rows
}

/** When what was sent to the provider had been admitted: just before its first attempt. Such calls that died with their process left no row. */
export async function readAdmissions(operator: pg.Pool): Promise<Admissions[]> {
  const { rows } = await operator.query(`
    select l.id, l.subject || '.requests.minute' as name, l.bound,
           array_agg(extract(epoch from r.started_at)::float8 * 1000 + (r.attempts -> 0 ->> 'started_ms')::float8) as at
      from limits l
      join request_logs r on r.organization_id = l.organization_id and l.subject_id in (r.organization_id, r.team_id, r.key_id)
     where l.resource = 'requests' and r.attempts <> '[]'
     group by l.id`)
  return rows.map((row) => ({ limitId: row.id, name: row.name, bound: row.bound, atMs: row.at }))
}

export interface Money {
  readonly boughtNanos: bigint
  readonly spentNanos: bigint
  readonly lossNanos: bigint
  /** What was paid in, less what was taken out, by organization. */
  readonly paid: ReadonlyMap<string, bigint>
}

export async function readMoney(operator: pg.Pool): Promise<Money> {
  const { rows } = await operator.query(`
    select organization_id, coalesce(sum(amount_nanos) filter (where account = 'credits' and kind <> 'usage'), 0)::bigint as paid,
           coalesce(sum(amount_nanos) filter (where account = 'credits' and kind <> 'usage' and reference <> 'first'), 0)::bigint as later,
           coalesce(-sum(amount_nanos) filter (where kind = 'usage'), 0)::bigint as spent,
           coalesce(sum(amount_nanos) filter (where account = 'platform_loss'), 0)::bigint as loss
      from ledger_entries group by organization_id`)
  const sum = (name: string) => rows.reduce((total, row) => total + row[name], 0n)
  return {
    boughtNanos: sum('paid'),
    spentNanos: sum('spent'),
    lossNanos: sum('loss'),
    paid: new Map(rows.map((row) => [row.organization_id, row.later])),
  }
}

/**
 * What is held, of money and of parallel requests, by processes that are dead or haven't been heard of for a while; and how many count as
 * living, among whom one that died a moment ago still is.
 */
export async function heldByTheDead(operator: pg.Pool): Promise<{ held: bigint; living: number }> {
  const { rows } = await operator.query(`
    select (select count(*)::int from processes where dead_at is null) as living, coalesce(sum(a.amount), 0)::bigint as held
      from allotments a join limits l on l.id = a.limit_id join processes p on p.id = a.process_id
     where l.resource in ('cost', 'parallel') and (p.dead_at is not null or p.heartbeat_at < clock_timestamp() - interval '6 seconds')`)
  return rows[0]
}

/** Shares of rates that died with their process, and come free when their last minute has passed. */
export async function deadShares(operator: pg.Pool): Promise<number> {
  const { rows } = await operator.query('select count(*)::int as shares from allotments where frees_at is not null')
  return rows[0].shares
}
