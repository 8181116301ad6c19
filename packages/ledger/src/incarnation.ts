import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import type pg from 'pg'
import { beginEpoch } from './ask.ts'
import { Asker } from './asker.ts'
import { Flusher } from './flusher.ts'
import { Holdings } from './holdings.ts'
import { Journal, type JournalRecord } from './journal.ts'
import { isDefinite, isFenced } from './postgres-errors.ts'
import { type JournalOwner, signJournal } from './replay.ts'

const HEARTBEAT_MS = 2_000
/** After one that failed: two outages with little between them must not count as one. */
const HEARTBEAT_AGAIN_MS = 200
/** Without a heartbeat for so long nothing is admitted any more. Shorter than the grace after which others get its allotments. */
const LEASE_MS = 20_000

export interface IncarnationOptions {
  readonly app: pg.Pool
  readonly journalFolder: string
  readonly journalOwner: JournalOwner
  readonly journalBytesMax: number
  readonly journalSync: boolean
  readonly onWarning: (message: string, error?: unknown) => void
  /** It was declared dead: admit through another. What it began it ends. */
  readonly onDead: () => void
}

/**
 * A process in the eyes of the ledger: an id, its allotments, its journal, and a lease that heartbeats renew. A process that was taken for dead
 * goes on as another incarnation; requests that the first one admitted end with it.
 */
export class Incarnation {
  readonly id = uuidv7()
  readonly holdings = new Holdings()
  readonly asker: Asker
  readonly flusher: Flusher
  readonly journal: Journal
  /** Requests that hold something. */
  open = 0
  readonly #options: IncarnationOptions
  #epoch = 0
  #leaseUntil = 0
  #sequence = 0
  #isDead = false
  #isRecovering = false
  #journalFailed = false
  #timers: NodeJS.Timeout[] = []

  private constructor(options: IncarnationOptions) {
    this.#options = options
    this.journal = new Journal(join(options.journalFolder, this.id), {
      bytesMax: options.journalBytesMax,
      sync: options.journalSync,
    })
    signJournal(this.journal.folder, options.journalOwner, options.journalSync)
    this.asker = new Asker(
      options.app,
      this.holdings,
      () => {
        if (!this.canAsk) throw new Error('what Postgres gave is still being found out')
        return { id: this.id, epoch: this.#epoch }
      },
      (error) => this.lostAnswer(error),
    )
    this.flusher = new Flusher(options.app, this.id, this.holdings, this.journal, {
      onWarning: options.onWarning,
      onDead: () => this.#die('the database says so'),
      onReturned: (limitId) => this.asker.freed(limitId),
    })
  }

  /** Registers with Postgres. Throws when it can't be reached. */
  static async begin(options: IncarnationOptions): Promise<Incarnation> {
    const incarnation = new Incarnation(options)
    const sentAt = performance.now()
    try {
      await options.app.query('select register_process($1)', [incarnation.id])
    } catch (error) {
      incarnation.journal.close(false)
      throw error
    }
    incarnation.#leaseUntil = sentAt + LEASE_MS
    incarnation.#timers = [
      setInterval(() => void incarnation.#beat(), HEARTBEAT_MS),
      setInterval(() => incarnation.#tidy(), 1_000),
    ]
    for (const timer of incarnation.#timers) timer.unref()
    return incarnation
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Why nothing may be admitted at the moment, or null. */
  obstacle(now: number): string | null {
    if (this.#isDead) return 'the process was taken for dead'
    if (now > this.#leaseUntil) return 'the database has not been heard of for too long'
    if (this.journal.isFull) return 'the journal is full: the database has been away for too long'
    if (this.#journalFailed) return 'the journal can’t be written'
    return null
  }

  /** Whether Postgres can be asked now. After a lost answer it is first found out what was given. */
  get canAsk(): boolean {
    return !this.#isRecovering && !this.#isDead
  }

  /**
   * Keeps a record: resolves when it outlives the process. What is kept in one turn of the event loop goes into the journal with one write at its end, so that what waits for it
   * goes on in a row. Where the journal can't be written it resolves only once Postgres has it, and nothing more is admitted until the journal works again.
   */
  keep(spent: JournalRecord['spent'], log: string): Promise<void> {
    const record = { sequence: ++this.#sequence, spent, log }
    this.#unwritten.push(record)
    this.flusher.add(record)
    this.#writing ??= new Promise((resolve) => setImmediate(() => resolve(this.#write())))
    return this.#writing
  }
  #unwritten: JournalRecord[] = []
  #writing: Promise<void> | null = null

  #write(): Promise<void> | undefined {
    const records = this.#unwritten
    this.#unwritten = []
    this.#writing = null
    // They were abandoned.
    if (records.length === 0) return undefined
    try {
      this.journal.append(records)
      return undefined
    } catch (error) {
      if (!this.#journalFailed)
        this.#options.onWarning('the journal can’t be written; nothing more is admitted until it can', error)
      this.#journalFailed = true
      return this.flusher.flushed().then(() => {
        this.#journalFailed = false
      })
    }
  }

  /** Gives back everything that isn't in use, and ends. Every hold must have ended before. */
  end(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }
  #ending: Promise<void> | null = null

  async #end(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.asker.idle()
    this.holdings.releaseAll(performance.now())
    await Promise.all([this.flusher.flushed(), this.#writing])
    await this.#options.app.query('select bury($1)', [this.id])
    this.journal.close(false)
  }

  /** Stops as a kill would: gives nothing back, settles nothing. For tests of what comes after. */
  abandon(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#isDead = true
    this.#unwritten = []
    this.flusher.abandon()
    this.journal.close(true)
  }

  async #beat(): Promise<void> {
    const sentAt = performance.now()
    try {
      const { rows } = await this.#options.app.query('select heartbeat($1) as lives', [this.id])
      if (rows[0].lives) this.#leaseUntil = sentAt + LEASE_MS
      else this.#die('its heartbeat came too late')
    } catch (error) {
      if (performance.now() > this.#leaseUntil - LEASE_MS / 2) this.#options.onWarning('no heartbeat', error)
      this.#beatAgain ??= setTimeout(() => {
        this.#beatAgain = null
        if (!this.#isDead && !this.#ending) void this.#beat()
      }, HEARTBEAT_AGAIN_MS).unref()
    }
  }
  #beatAgain: NodeJS.Timeout | null = null

  #tidy(): void {
    this.holdings.tidy(performance.now())
    if (this.holdings.isDirty) this.flusher.soon()
  }

  #die(why: string): void {
    if (this.#isDead) return
    this.#isDead = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#options.onWarning(`this process was taken for dead (${why}); it goes on under another id`)
    this.#options.onDead()
  }

  /** It isn't known whether Postgres gave what was asked. Nothing more is asked until it is. */
  lostAnswer(error: unknown): void {
    if (isFenced(error)) {
      this.#die('the database refused it')
      return
    }
    if (!isDefinite(error) && !this.#isRecovering) void this.#recover(error)
  }

  async #recover(why: unknown): Promise<void> {
    this.#isRecovering = true
    this.#options.onWarning('an answer of the database was lost; finding out what it was', why)
    for (let wait = 20; !this.#isDead; wait = Math.min(wait * 2, 500)) {
      try {
        // What is on its way must have arrived, or it would be counted here and again when it does.
        await this.asker.idle()
        // A new epoch shuts out what the old connection may still do. Nothing is settled meanwhile, or the sums would differ by it.
        await this.flusher.exclusively(async () => {
          // This answer may be lost too: then that epoch has passed, and another is begun.
          const held = await beginEpoch(this.#options.app, this.id, ++this.#epoch)
          this.holdings.reconcile(held, performance.now())
        })
        break
      } catch (error) {
        if (isFenced(error)) this.#die('the database refused it')
        else await sleep(wait)
      }
    }
    this.#isRecovering = false
  }
}
