import type { Nanos } from '@nemo/domain/money'
import type { RequestLog } from '@nemo/postgres/request-logs'
import type pg from 'pg'

/** The end of a hold: what it came to, and the row that says so. */
export interface Settlement {
  /** Null for a call that was refused before it held anything: its row is recorded, and that is all. */
  readonly holdId: string | null
  readonly costNanos: Nanos
  readonly tokens: number
  /** Whether the request counts against limits on requests: 1, or 0 for one that is taken back entirely. */
  readonly requests: 0 | 1
  /** Null leaves no row: for a hold that never became a call. */
  readonly log: RequestLog | null
}

/** What was charged. `charged + loss = cost`: the loss is what the platform bears of a bill that outgrew every limit. */
export interface Charge {
  readonly chargedNanos: Nanos
  readonly lossNanos: Nanos
}

/**
 * Settles a batch in one transaction; see functions/settle.sql. An answer is null for what had ended before, or held nothing. Of two
 * settlements of one hold the first counts, in a batch as ever.
 */
export async function settleBatch(
  app: Pick<pg.Pool, 'query'>,
  settlements: readonly Settlement[],
): Promise<(Charge | null)[]> {
  const byHold = new Map<string, Settlement>()
  for (const settlement of settlements) {
    if (settlement.holdId !== null && !byHold.has(settlement.holdId)) byHold.set(settlement.holdId, settlement)
  }
  const counts = (settlement: Settlement) => settlement.holdId === null || byHold.get(settlement.holdId) === settlement
  const holds = [...byHold.values()]
  const { rows } = await app.query<{ hold_id: string; charged_nanos: bigint; loss_nanos: bigint }>({
    name: 'settle',
    text: 'select * from settle($1, $2, $3, $4, $5)',
    values: [
      holds.map((settlement) => settlement.holdId),
      holds.map((settlement) => settlement.costNanos),
      holds.map((settlement) => settlement.tokens),
      holds.map((settlement) => settlement.requests),
      JSON.stringify(settlements.filter(counts).flatMap((settlement) => settlement.log ?? [])),
    ],
  })
  const charges = new Map(
    rows.map((row) => [row.hold_id, { chargedNanos: row.charged_nanos, lossNanos: row.loss_nanos }]),
  )
  return settlements.map(
    (settlement) => (settlement.holdId !== null && counts(settlement) && charges.get(settlement.holdId)) || null,
  )
}
