import type { RequestLog } from '@nemo/postgres/request-logs'

const INT4_MAX = 2 ** 31 - 1

/** A log row without anything that a caller or a provider wrote, nor any time that is too long to be one: for one that Postgres couldn't read. */
export function plainLog(json: string): string {
  const row = JSON.parse(json) as Record<string, unknown>
  const plain = {
    attempts: [],
    error_detail: 'what this row said could not be stored',
    model_group: null,
    model: null,
    consumer: null,
    session_id: null,
    tags: null,
    latency_ms: Math.min(Number(row.latency_ms), INT4_MAX),
    first_token_ms: shortOf(row.first_token_ms),
    overhead_micros: shortOf(row.overhead_micros),
  }
  return JSON.stringify({ ...row, ...plain })
}

function shortOf(time: unknown): number | null {
  return typeof time === 'number' && time <= INT4_MAX ? time : null
}

/** The row as it goes to Postgres, with what was charged: one integer for the header, the log and the ledger. */
export function chargedLog(row: RequestLog, costNanos: bigint | null, lossNanos: bigint): string {
  // Spreading the row into another costs more than writing it.
  const cost = costNanos === null ? 'null' : `"${costNanos}"`
  return `${JSON.stringify(row).slice(0, -1)},"cost_nanos":${cost},"loss_nanos":"${lossNanos}"}`
}
