import type { Limit } from '@nemo/domain/limits'
import type pg from 'pg'

export interface Ask {
  readonly limit: Limit
  readonly amount: bigint
}

/** What is asked of Postgres for one request: what is missing of its limits, and what would be welcome beside it. */
export interface AllotRequest {
  readonly organizationId: string
  readonly asks: readonly { readonly limit: Limit; readonly need: bigint; readonly want: bigint }[]
}

export interface Refusal {
  /** The limit that refused. */
  readonly limit: Limit
  readonly bound: bigint
  readonly used: bigint
  readonly held: bigint
  readonly needed: bigint
  /** What may come free at once beyond what is: what other processes hold, the idle part of which they give back when it is asked for. */
  readonly elsewhere: bigint
  /** In how many milliseconds enough comes free by itself; null where time heals nothing. */
  readonly freeInMs: number | null
}

/** A limit as it stands after a batch, and what the process got of it beyond what its requests needed. */
export interface Standing {
  readonly limit: Limit
  readonly bound: bigint
  readonly extra: bigint
  readonly startsAt: string
  readonly endsAtMs: number | null
  readonly serverTimeMs: number
}

export type AllotAnswer =
  | { readonly kind: 'given' }
  /** `recalled`: others hold what was missing, and were asked to give it back. `holders`: those of them that are alive. */
  | {
      readonly kind: 'refused'
      readonly refusal: Refusal
      readonly recalled: boolean
      readonly holders: readonly string[]
    }
  /** A limit that was asked of is gone: the caller's picture of the key is out of date. */
  | { readonly kind: 'stale'; readonly limit: Limit }

interface Row {
  readonly request_position: number | null
  readonly limit_position: number
  readonly bound: bigint | null
  readonly used: bigint
  readonly held: bigint
  readonly own: bigint
  readonly extra: bigint
  readonly needed: bigint
  readonly holders: readonly string[] | null
  readonly starts_at: Date
  readonly ends_at: Date | null
  readonly server_time: Date
}

/** Asks for a batch in one round trip; see functions/allot.sql for what is promised. */
export async function allotBatch(
  app: Pick<pg.Pool, 'query'>,
  process: { readonly id: string; readonly epoch: number },
  requests: readonly AllotRequest[],
): Promise<{ answers: AllotAnswer[]; standings: Map<string, Standing> }> {
  const limits: Limit[] = []
  const positions = new Map<string, number>()
  const askRequests: number[] = []
  const askLimits: number[] = []
  const needs: bigint[] = []
  const wants: bigint[] = []
  requests.forEach((request, i) => {
    for (const { limit, need, want } of request.asks) {
      let position = positions.get(limit.id)
      if (position === undefined) {
        position = limits.push(limit)
        positions.set(limit.id, position)
      }
      askRequests.push(i + 1)
      askLimits.push(position)
      needs.push(need)
      wants.push(want)
    }
  })

  const { rows } = await app.query<Row>({
    name: 'allot',
    text: 'select * from allot($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [
      process.id,
      process.epoch,
      requests.map((request) => request.organizationId),
      limits.map((limit) => limit.id),
      askRequests,
      askLimits,
      needs.map(within64Bits),
      wants.map(within64Bits),
    ],
  })

  const refused = new Map<number, Row>()
  const standings = new Map<string, Standing>()
  for (const row of rows) {
    const limit = limits[row.limit_position - 1]!
    if (row.request_position !== null) refused.set(row.request_position, row)
    else if (row.bound !== null) standings.set(limit.id, standingOf(limit, row))
  }
  const answers = requests.map((_, i): AllotAnswer => {
    const row = refused.get(i + 1)
    if (!row) return { kind: 'given' }
    const limit = limits[row.limit_position - 1]!
    if (row.bound === null) return { kind: 'stale', limit }
    const { bound, used, held, own, needed } = row
    const freeInMs = row.ends_at && needed <= bound ? row.ends_at.getTime() - row.server_time.getTime() : null
    const refusal = { limit, bound, used, held, needed, elsewhere: held - own, freeInMs }
    return { kind: 'refused', refusal, recalled: row.holders !== null, holders: row.holders ?? [] }
  })
  return { answers, standings }
}

/** What wouldn't fit Postgres's integers fits no bound either; but it would fail all that is asked with it. */
function within64Bits(amount: bigint): bigint {
  return amount > INT8_MAX ? INT8_MAX : amount
}

const INT8_MAX = 2n ** 63n - 1n

function standingOf(limit: Limit, row: Row): Standing {
  return {
    limit,
    bound: row.bound!,
    extra: row.extra,
    startsAt: row.starts_at.toISOString(),
    endsAtMs: row.ends_at?.getTime() ?? null,
    serverTimeMs: row.server_time.getTime(),
  }
}

/** Begins an epoch, and answers with all that Postgres says the process holds (as `extra`); see functions/processes.sql. */
export async function beginEpoch(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  epoch: number,
): Promise<(Standing & { organizationId: string })[]> {
  const { rows } = await app.query('select * from begin_epoch($1, $2)', [processId, epoch])
  return rows.map((row) => ({
    organizationId: row.organization_id,
    limit: {
      id: row.limit_id,
      subject: row.subject,
      subjectId: row.subject_id,
      resource: row.resource,
      window: row.window_name,
      bound: row.bound,
    },
    bound: row.bound,
    extra: row.amount,
    startsAt: row.window_start.toISOString(),
    endsAtMs: row.ends_at?.getTime() ?? null,
    serverTimeMs: row.server_time.getTime(),
  }))
}
