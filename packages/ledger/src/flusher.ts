import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Batch, type Movement, spentBy } from './apply.ts'
import type { Holdings } from './holdings.ts'
import type { Journal, JournalRecord } from './journal.ts'
import { settleBatch, settleLate } from './readable.ts'

/** How long a record waits for company. */
const FLUSH_MS = 40
const RECORDS_MAX = 1_000
const REFUSALS_MAX = 10_000

export interface FlusherEvents {
  onWarning(message: string, error?: unknown): void
  /** The process was declared dead: its allotments are gone. */
  onDead(): void
  /** Postgres knows that this was given back: it may be asked for again. */
  onReturned(limitId: string): void
}

/**
 * Takes what happened in memory to Postgres: one batch at a time, numbered, and tried until it has been applied. Once the process has been declared
 * dead its records are settled one by one, as far as there is room.
 */
export class Flusher {
  readonly #app: pg.Pool
  readonly #processId: string
  readonly #holdings: Holdings
  readonly #journal: Journal
  readonly #events: FlusherEvents
  #records: JournalRecord[] = []
  #refusals: string[] = []
  #leftOut = 0
  #number = 0n
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null
  #isDead = false
  #isAbandoned = false
  /** How many tries the batch in flight has failed; 0 when Postgres answers. */
  failures = 0

  constructor(app: pg.Pool, processId: string, holdings: Holdings, journal: Journal, events: FlusherEvents) {
    this.#app = app
    this.#processId = processId
    this.#holdings = holdings
    this.#journal = journal
    this.#events = events
  }

  /** Records that Postgres doesn't have yet. */
  get pending(): number {
    return this.#records.length
  }

  add(record: JournalRecord): void {
    this.#records.push(record)
    this.soon()
  }

  /** A row of a call that held nothing. While Postgres is away they wait in memory, and nothing bounds how many calls are refused: what is too many is left out. */
  addRefusal(log: string): void {
    if (this.#refusals.length < REFUSALS_MAX) this.#refusals.push(log)
    else this.#leftOut++
    this.soon()
  }

  /** Rows of calls that held nothing, for another to write: this process is dead. */
  takeRefusals(): string[] {
    return this.#refusals.splice(0)
  }

  /** Tells Postgres nothing more, as though the process had been killed. What is on its way may still arrive. */
  abandon(): void {
    this.#isAbandoned = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  soon(): void {
    if (this.#running || this.#timer || this.#isAbandoned) return
    this.#timer = setTimeout(() => this.now(), FLUSH_MS)
  }

  /** Others wait, or someone wants to know that it is done. */
  now(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#running ??= this.#run().finally(() => {
      this.#running = null
      if (this.#isWaiting) this.soon()
    })
  }

  /** Resolves when all that was there has been applied. */
  async flushed(): Promise<void> {
    while (this.#running || this.#isWaiting) {
      this.now()
      await this.#running
    }
  }

  /** Runs when no batch is in flight, and keeps the next one back meanwhile. */
  async exclusively<T>(act: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running
    const acting = act()
    this.#running = acting.then(
      () => {},
      () => {},
    )
    try {
      return await acting
    } finally {
      this.#running = null
      if (this.#isWaiting) this.soon()
    }
  }

  get #isWaiting(): boolean {
    if (this.#isAbandoned) return false
    return (
      this.#records.length > 0 ||
      (!this.#isDead && (this.#refusals.length > 0 || this.#holdings.isDirty || this.#holdings.isAwaited))
    )
  }

  async #run(): Promise<void> {
    do {
      const records = this.#records.splice(0, RECORDS_MAX)
      if (this.#isDead) {
        await this.#settleLate(records)
        continue
      }
      const refusals = this.#refusals.splice(0, RECORDS_MAX)
      const { returned, freed, events } = this.#holdings.collect()
      const movements = merge(spentBy(records), returned)
      this.#number++
      const result = await this.#apply({ number: this.#number, movements, records, freed, events, refusals })
      if (result === 'dead') {
        this.#isDead = true
        this.#refusals.unshift(...refusals)
        this.#events.onDead()
        await this.#settleLate(records)
        continue
      }
      if (this.#leftOut > 0) {
        this.#events.onWarning(`${this.#leftOut} rows of refused calls were left out of the log: the database was away`)
        this.#leftOut = 0
      }
      this.#holdings.applied(movements)
      for (const movement of returned) this.#events.onReturned(movement.limitId)
      const last = records.at(-1)
      if (last) this.#journal.applied(last.sequence)
      // Under load a batch follows the other; a trickle waits for company.
    } while (!this.#isAbandoned && (this.#records.length >= RECORDS_MAX || (!this.#isDead && this.#holdings.isAwaited)))
  }

  async #apply(batch: Batch): Promise<'applied' | 'repeated' | 'dead'> {
    for (;;) {
      try {
        const result = await settleBatch(this.#app, this.#processId, batch, this.#events.onWarning)
        this.failures = 0
        return result
      } catch (error) {
        // Whether it was applied before is for the next to find out.
        if (this.#isAbandoned) return 'repeated'
        await this.#pause('settlements wait for the database', error)
      }
    }
  }

  async #settleLate(records: readonly JournalRecord[]): Promise<void> {
    while (records.length > 0 && !this.#isAbandoned) {
      try {
        await settleLate(this.#app, this.#processId, records, this.#events.onWarning)
        this.#journal.applied(records.at(-1)!.sequence)
        this.failures = 0
        return
      } catch (error) {
        await this.#pause('late settlements wait for the database', error)
      }
    }
  }

  async #pause(what: string, error: unknown): Promise<void> {
    if (this.failures++ === 0) this.#events.onWarning(what, error)
    await sleep(Math.min(20 * 2 ** Math.min(this.failures, 6), 500))
  }
}

/** One movement per allotment: Postgres updates a row once in a statement. */
function merge(spent: readonly Movement[], returned: readonly Movement[]): Movement[] {
  const byAllotment = new Map(spent.map((movement) => [`${movement.limitId} ${movement.startsAt}`, movement]))
  for (const movement of returned) {
    const key = `${movement.limitId} ${movement.startsAt}`
    const known = byAllotment.get(key)
    byAllotment.set(key, known ? { ...known, returned: known.returned + movement.returned } : movement)
  }
  return [...byAllotment.values()]
}
