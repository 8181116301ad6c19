import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import type { Ask } from '@nemo/ledger/ask'
import type { Hold } from '@nemo/ledger/hold'
import { type Charge, Ledger, type LedgerOptions, type Reservation } from '@nemo/ledger/ledger'
import { connect } from '@nemo/postgres/connect'
import type pg from 'pg'
import { freshDatabase, type TestDatabase } from './fresh-database.ts'
import { type Account, logRow } from './ledger-world.ts'

/** Several ledgers with pools of their own: processes, as Postgres and the journal folder see them. */
export interface LedgerProcesses {
  readonly database: TestDatabase
  readonly journalFolder: string
  readonly warnings: string[]
  start(options?: Partial<LedgerOptions>): Promise<Ledger>
  /** As `kill -9` would: its journal stays, and any other may replay it. */
  kill(ledger: Ledger): Promise<void>
  /** As a good-bye would. */
  end(ledger: Ledger): Promise<void>
  /** The next answer of Postgres to such a query gets lost on its way: what was asked for has been done. */
  loseAnswer(ledger: Ledger, of: string): void
  /** The next answer of Postgres to such a query comes so much later. */
  delayAnswer(ledger: Ledger, of: string, milliseconds: number): void
  /** What the ledger has asked Postgres since it started. */
  queriesOf(ledger: Ledger): string[]
  close(): Promise<void>
}

interface Late {
  readonly of: string
  readonly milliseconds: number
}

export async function ledgerProcesses(): Promise<LedgerProcesses> {
  const database = await freshDatabase()
  const journalFolder = await mkdtemp(join(tmpdir(), 'nemo-journals-'))
  const warnings: string[] = []
  const alive = new Map<
    Ledger,
    { name: string; pool: pg.Pool; queries: string[]; losing: string | null; late: Late | null }
  >()
  const names = new Set<string>()
  let started = 0

  async function start(options: Partial<LedgerOptions> = {}): Promise<Ledger> {
    const name = `process ${++started}`
    const pool = connect(database.url, 'nemo_app', { max: 6 })
    const queries: string[] = []
    const process = { name, pool, queries, losing: null as string | null, late: null as Late | null }
    const query = pool.query.bind(pool) as (...args: unknown[]) => unknown
    pool.query = ((...args: unknown[]) => {
      const [what] = args as [string | { text: string }]
      const text = typeof what === 'string' ? what : what.text
      queries.push(text)
      const answer = query(...args) as Promise<unknown>
      const { late } = process
      if (late && text.includes(late.of)) {
        process.late = null
        return answer.then((result) => sleep(late.milliseconds, result))
      }
      if (process.losing === null || !text.includes(process.losing)) return answer
      process.losing = null
      return answer.then(() => {
        throw new Error('Connection terminated unexpectedly')
      })
    }) as typeof pool.query
    names.add(name)
    const ledger = await Ledger.start({
      app: pool,
      databaseUrl: database.url,
      journalFolder,
      journalOwner: { self: name, isAlive: (other) => names.has(other) },
      onWarning: (message) => warnings.push(message),
      ...options,
    })
    alive.set(ledger, process)
    return ledger
  }

  async function end(ledger: Ledger, how: 'close' | 'abandon'): Promise<void> {
    const process = alive.get(ledger)
    if (!process) return
    alive.delete(ledger)
    if (how === 'abandon') names.delete(process.name)
    await ledger[how]()
    names.delete(process.name)
    await process.pool.end()
  }

  return {
    database,
    journalFolder,
    warnings,
    start,
    kill: (ledger) => end(ledger, 'abandon'),
    end: (ledger) => end(ledger, 'close'),
    loseAnswer(ledger, of) {
      alive.get(ledger)!.losing = of
    },
    delayAnswer(ledger, of, milliseconds) {
      alive.get(ledger)!.late = { of, milliseconds }
    },
    queriesOf: (ledger) => alive.get(ledger)!.queries,
    async close() {
      await Promise.all([...alive.keys()].map((ledger) => end(ledger, 'close')))
      await database.close()
      await rm(journalFolder, { recursive: true, force: true })
    },
  }
}

/** Makes every day of this database as short as that, so that windows end while a test runs. */
export async function shortenDays({ database }: LedgerProcesses, milliseconds: number): Promise<void> {
  const day = `date_bin('${milliseconds} milliseconds', p_now, timestamptz 'epoch')`
  const replace = (name: string, body: string) =>
    database.owner.query(
      `create or replace function nemo.${name}(p_window text, p_now timestamptz) returns timestamptz
         language sql immutable parallel safe as $$ select ${body} $$`,
    )
  await replace('window_start', `case p_window when 'day' then ${day} else timestamptz 'epoch' end`)
  await replace('window_end', `case p_window when 'day' then ${day} + interval '${milliseconds} milliseconds' end`)
}

export function ask(limit: Limit, amount: bigint): Ask {
  return { limit, amount }
}

export async function reserve(ledger: Ledger, account: Account, asks: readonly Ask[]): Promise<Reservation> {
  return ledger.reserve({ organizationId: account.organization.id, asks })
}

/** A hold, or a failure that says why not. */
export async function held(ledger: Ledger, account: Account, asks: readonly Ask[]): Promise<Hold> {
  const reservation = await reserve(ledger, account, asks)
  if (reservation.kind === 'held') return reservation.hold
  throw new Error(
    `expected a hold, got ${JSON.stringify(reservation, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
  )
}

export async function settle(
  ledger: Ledger,
  account: Account,
  hold: Hold,
  costNanos: bigint,
  options: { tokens?: number; id?: string } = {},
): Promise<Charge | null> {
  const log = logRow(account, options.id ?? uuidv7())
  return ledger.settle(hold, { costNanos, tokens: options.tokens ?? 2, log })
}

export async function balanceOf({ database }: LedgerProcesses, account: Account): Promise<bigint> {
  return (await database.operator.query('select balance_of($1) as b', [account.organization.id])).rows[0].b
}
