import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type pg from 'pg'
import { spentBy } from './apply.ts'
import { forceToDisk, type JournalRecord, readJournal } from './journal.ts'
import { settleBatch, settleLate } from './readable.ts'

const RECORDS_MAX = 500

/** Knows whether the process that wrote a journal still lives; a pid alone doesn't say. */
export interface JournalOwner {
  /** Names this process for good. */
  readonly self: string
  isAlive(name: string): boolean
}

/** Says in the folder whose journal it is. With `sync` also to whoever comes after the machine has died. */
export function signJournal(folder: string, owner: JournalOwner, sync: boolean): void {
  const path = join(folder, 'owner')
  writeFileSync(path, owner.self, { mode: 0o600 })
  if (sync) for (const written of [path, folder, dirname(folder)]) forceToDisk(written)
}

/**
 * Settles what processes that died left in their journals, and frees what they held. Safe to repeat, also by several at once: a record counts
 * once. A journal whose process this database doesn't know is left alone and told of; one that can't be read in full is kept under another name. Answers with the number of records that counted.
 */
export async function replayJournals(
  app: Pick<pg.Pool, 'query'>,
  folder: string,
  owner: JournalOwner,
  warn: (message: string) => void,
): Promise<number> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  let counted = 0
  for (const processId of readdirSync(folder)) {
    const journal = join(folder, processId)
    if (!isOrphan(journal, owner)) continue
    const { records, unreadable } = ifThere(() => readJournal(journal)) ?? { records: [], unreadable: 0 }
    if (!(await stateOf(app, processId))) {
      if (records.length > 0) warn(`the journal of process ${processId} is of another database; it is left alone`)
      continue
    }
    counted += await replay(app, processId, records, warn)
    await app.query('select bury($1)', [processId])
    if (unreadable === 0) rmSync(journal, { recursive: true, force: true })
    else if (ifThere(() => setAside(journal))) {
      warn(
        `${unreadable} lines of the journal of process ${processId} can’t be read: what they charged may be missing; it is kept as ${processId}${UNREADABLE}`,
      )
    }
  }
  if (counted > 0) warn(`settled ${counted} charges that a process left in its journal`)
  return counted
}

const UNREADABLE = '.unreadable'

function setAside(journal: string): true {
  renameSync(journal, journal + UNREADABLE)
  return true
}

function isOrphan(journal: string, owner: JournalOwner): boolean {
  if (journal.endsWith(UNREADABLE)) return false
  const name = ifThere(() => readFileSync(join(journal, 'owner'), 'utf8'))
  return name !== null && !owner.isAlive(name)
}

/** Null where another successor was faster. */
function ifThere<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (/^(ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

interface State {
  readonly applied_batch: bigint
  readonly applied_sequence: bigint
  readonly dead: boolean
}

async function stateOf(app: Pick<pg.Pool, 'query'>, processId: string): Promise<State | null> {
  return (await app.query('select * from process_state($1)', [processId])).rows[0] ?? null
}

/**
 * What has been applied is asked before each batch: another successor may be at it, and the last batch that the process sent may arrive only now, and
 * is then the one that counts.
 */
async function replay(
  app: Pick<pg.Pool, 'query'>,
  processId: string,
  records: readonly JournalRecord[],
  warn: (message: string) => void,
): Promise<number> {
  let counted = 0
  for (;;) {
    const { applied_batch, applied_sequence, dead } = (await stateOf(app, processId))!
    const some = records.filter(({ sequence }) => BigInt(sequence) > applied_sequence).slice(0, RECORDS_MAX)
    if (some.length === 0) return counted
    if (dead) {
      counted += await settleLate(app, processId, some, warn)
      continue
    }
    const number = applied_batch + 1n
    const batch = { number, movements: spentBy(some), records: some, freed: [], events: [], refusals: [] }
    if ((await settleBatch(app, processId, batch, warn)) === 'applied') counted += some.length
  }
}
