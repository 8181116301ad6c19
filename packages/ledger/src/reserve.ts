import type { Limit } from '@nemo/domain/limits'
import type pg from 'pg'

export interface Ask {
  readonly limit: Limit
  readonly amount: bigint
}

export interface ReserveRequest {
  /** The request's id, which becomes the hold's. */
  readonly id: string
  readonly organizationId: string
  readonly asks: readonly Ask[]
}

/** A limit as it stood when the batch was done: `used + held` includes this request. */
export interface LimitState {
  readonly limit: Limit
  readonly bound: bigint
  readonly used: bigint
  readonly held: bigint
}

/** A reservation that stands. It must be ended once, by `Ledger.settle` or `Ledger.release`. */
export interface Hold {
  readonly id: string
  readonly asks: readonly Ask[]
  readonly states: readonly LimitState[]
}

export interface Refusal {
  /** The limit that refused. */
  readonly limit: Limit
  readonly bound: bigint
  readonly used: bigint
  readonly held: bigint
  readonly needed: bigint
  /** When enough comes free by itself; null where time heals nothing. */
  readonly freeAt: Date | null
}

export type Reservation =
  | { readonly kind: 'held'; readonly hold: Hold }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** A limit that was asked of is gone: the caller's picture of the key is out of date. */
  | { readonly kind: 'stale' }

interface Row {
  readonly hold_position: number | null
  readonly limit_position: number
  readonly bound: bigint | null
  readonly used: bigint
  readonly held: bigint
  readonly needed: bigint
  readonly free_at: Date | null
}

/** Reserves for a batch in one round trip; see functions/reserve.sql for what is promised. */
export async function reserveBatch(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  requests: readonly ReserveRequest[],
): Promise<Reservation[]> {
  const limits: Limit[] = []
  const positions = new Map<string, number>()
  const askHolds: number[] = []
  const askLimits: number[] = []
  const askAmounts: bigint[] = []
  requests.forEach((request, i) => {
    for (const { limit, amount } of request.asks) {
      let position = positions.get(limit.id)
      if (position === undefined) {
        position = limits.push(limit)
        positions.set(limit.id, position)
      }
      askHolds.push(i + 1)
      askLimits.push(position)
      askAmounts.push(amount)
    }
  })

  const { rows } = await app.query<Row>({
    name: 'reserve',
    text: 'select * from reserve($1, $2, $3, $4, $5, $6, $7)',
    values: [
      processId,
      requests.map((request) => request.id),
      requests.map((request) => request.organizationId),
      limits.map((limit) => limit.id),
      askHolds,
      askLimits,
      askAmounts,
    ],
  })

  const refusals = new Map<number, Row>()
  const states = new Map<string, LimitState>()
  for (const row of rows) {
    const limit = limits[row.limit_position - 1]!
    if (row.hold_position !== null) refusals.set(row.hold_position, row)
    else if (row.bound !== null) states.set(limit.id, { limit, bound: row.bound, used: row.used, held: row.held })
  }
  return requests.map((request, i) => {
    const row = refusals.get(i + 1)
    if (!row) {
      const own = request.asks.flatMap(({ limit }) => states.get(limit.id) ?? [])
      return { kind: 'held', hold: { id: request.id, asks: request.asks, states: own } }
    }
    if (row.bound === null) return { kind: 'stale' }
    const { bound, used, held, needed, free_at: freeAt } = row
    return { kind: 'refused', refusal: { limit: limits[row.limit_position - 1]!, bound, used, held, needed, freeAt } }
  })
}
