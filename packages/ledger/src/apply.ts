import type pg from 'pg'
import type { JournalRecord } from './journal.ts'

/** What a process tells Postgres at once: what it spent and gives back, and the records that say for what. */
export interface Batch {
  readonly number: bigint
  readonly movements: readonly Movement[]
  readonly records: readonly JournalRecord[]
  /** Limits that others wait for. */
  readonly freed: readonly string[]
  readonly events: readonly RateEvent[]
  /** Log rows of calls that held nothing. They aren't worth a journal. */
  readonly refusals: readonly string[]
}

export interface Movement {
  readonly limitId: string
  readonly startsAt: string
  readonly spent: bigint
  readonly returned: bigint
}

/** What the records spent, by limit and window: what is booked as used always is what their log rows say. */
export function spentBy(records: readonly JournalRecord[]): Movement[] {
  const movements = new Map<string, { limitId: string; startsAt: string; spent: bigint; returned: bigint }>()
  for (const { spent } of records) {
    for (const { limit_id: limitId, window_start: startsAt, amount } of spent) {
      const key = `${limitId} ${startsAt}`
      const movement = movements.get(key)
      if (movement) movement.spent += BigInt(amount)
      else movements.set(key, { limitId, startsAt, spent: BigInt(amount), returned: 0n })
    }
  }
  return [...movements.values()]
}

/** A rate came to this much of its limit. */
export interface RateEvent {
  readonly limit_id: string
  readonly percent: 50 | 80 | 100
}

/** Applies a batch; see functions/settle.sql. Applying it again is safe and answers 'repeated'. */
export async function applyBatch(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  batch: Batch,
): Promise<'applied' | 'repeated' | 'dead'> {
  const { movements, records } = batch
  const { rows } = await app.query({
    name: 'settle',
    text: 'select settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as result',
    values: [
      processId,
      batch.number,
      records.at(-1)?.sequence ?? null,
      movements.map((movement) => movement.limitId),
      movements.map((movement) => movement.startsAt),
      movements.map((movement) => movement.spent),
      movements.map((movement) => movement.returned),
      batch.freed,
      JSON.stringify(batch.events),
      `[${[...records.map((record) => record.log), ...batch.refusals].join(',')}]`,
    ],
  })
  return rows[0].result
}

/** Settles records of a process that was declared dead; see functions/settle-late.sql. Safe to repeat. Answers with how many counted now. */
export async function applyLate(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  records: readonly JournalRecord[],
): Promise<number> {
  const json = records.map(
    ({ sequence, spent, log }) => `{"sequence":${sequence},"spent":${JSON.stringify(spent)},"log":${log}}`,
  )
  const { rows } = await app.query('select settle_late($1, $2) as settled', [processId, `[${json.join(',')}]`])
  return rows[0].settled
}
