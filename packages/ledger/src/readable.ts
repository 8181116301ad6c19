import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { applyBatch, applyLate, type Batch } from './apply.ts'
import type { JournalRecord } from './journal.ts'
import { plainLog } from './log-row.ts'
import { isDataError } from './postgres-errors.ts'

type Warn = (message: string, error?: unknown) => void
const WARNING = 'a request log could not be written as it was; it is written without what it said'

/** Applies a batch. A row that Postgres can't read is written without what it said, and takes nothing from those beside it. */
export async function settleBatch(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  batch: Batch,
  warn: Warn,
): Promise<'applied' | 'repeated' | 'dead'> {
  try {
    return await applyBatch(app, processId, batch)
  } catch (error) {
    if (!isDataError(error)) throw error
    warn(WARNING, error)
    const refusals = await areReadable(app, batch.refusals)
    return applyBatch(app, processId, {
      ...batch,
      records: await readable(app, batch.records),
      refusals: batch.refusals.map((log, i) => (refusals[i] ? log : plainLog(log))),
    })
  }
}

/** Time for others to give back what they hold idle, before a charge that finds no room becomes the platform's loss. */
const RECALL_MS = 100

/** The same for records of a process that was declared dead. Answers with how many counted now. */
export async function settleLate(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  records: readonly JournalRecord[],
  warn: Warn,
): Promise<number> {
  await app.query(`select pg_notify('ledger', 'recall ' || id || ' ' || $2) from unnest($1::text[]) l (id)`, [
    [...new Set(records.flatMap(({ spent }) => spent.map((one) => one.limit_id)))],
    processId,
  ])
  await sleep(RECALL_MS)
  try {
    return await applyLate(app, processId, records)
  } catch (error) {
    if (!isDataError(error)) throw error
    warn(WARNING, error)
    return applyLate(app, processId, await readable(app, records))
  }
}

async function readable(app: Pick<pg.Pool, 'query'>, records: readonly JournalRecord[]): Promise<JournalRecord[]> {
  const good = await areReadable(
    app,
    records.map(({ log }) => log),
  )
  return records.map((record, i) => (good[i] ? record : { ...record, log: plainLog(record.log) }))
}

async function areReadable(app: Pick<pg.Pool, 'query'>, logs: readonly string[]): Promise<boolean[]> {
  const { rows } = await app.query('select are_readable($1) as readable', [logs])
  return rows[0].readable ?? []
}
