import { uuidv7 } from '@nemo/domain/ids'
import type { RequestLog } from '@nemo/postgres/request-logs'
import pg from 'pg'
import { GroupCommit } from './group-commit.ts'
import { type Hold, type Reservation, type ReserveRequest, reserveBatch } from './reserve.ts'
import { type Charge, type Settlement, settleBatch } from './settle.ts'

const BATCH_MAX = 500
const HEARTBEAT_MS = 5_000
const EXPIRY_MS = 10_000
/** A process that hasn't been heard of for so long is dead, and its holds are given back. */
const GRACE = '30 seconds'
/** Settlements that may wait for Postgres before nothing more is admitted. */
const WAITING_MAX = 50_000

export interface LedgerEvents {
  onWarning?(message: string, error?: unknown): void
}

/** Thrown when Postgres can't say whether a request fits. Money fails closed: the request must not be called. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable'
}

/**
 * The in-process half of the ledger. Counters and holds live in Postgres, where every process meets; this batches what goes there,
 * keeps what could not be delivered until it is, and says that the process lives.
 */
export class Ledger {
  readonly processId = uuidv7()
  readonly #app: pg.Pool
  readonly #events: LedgerEvents
  readonly #reserves: GroupCommit<ReserveRequest, Reservation>
  readonly #settlements: GroupCommit<Settlement, Charge | null>
  readonly #open = new Set<string>()
  #timers: NodeJS.Timeout[] = []
  #lostAnswerAt: Date | null = null
  #closed = false

  constructor(app: pg.Pool, events: LedgerEvents = {}) {
    this.#app = app
    this.#events = events
    this.#reserves = new GroupCommit((requests) => reserveBatch(app, this.processId, requests), BATCH_MAX)
    this.#settlements = new GroupCommit((settlements) => this.#deliver(settlements), BATCH_MAX)
  }

  /** Registers the process. Nothing may be reserved before. */
  async start(): Promise<void> {
    await this.#app.query('select heartbeat($1)', [this.processId])
    this.#timers = [
      setInterval(() => this.#background('heartbeat', () => this.#beat()), HEARTBEAT_MS),
      setInterval(() => this.#background('expiry of dead holds', () => this.expire()), EXPIRY_MS),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  /** Reserves against all limits of the request or none. Throws LedgerUnavailable when that can't be known. */
  async reserve(request: ReserveRequest): Promise<Reservation> {
    if (this.#settlements.pending > WAITING_MAX)
      throw new LedgerUnavailable('too many settlements wait for the database')
    this.#open.add(request.id)
    try {
      const reservation = await this.#reserves.add(request)
      if (reservation.kind !== 'held') this.#open.delete(request.id)
      return reservation
    } catch (error) {
      // Whether the reservation stands is unknown, so it is looked for once the database answers again.
      this.#open.delete(request.id)
      this.#lostAnswerAt = new Date()
      throw new LedgerUnavailable('the reservation could not be made', { cause: error })
    }
  }

  /**
   * Ends a hold with what it came to. Resolves once that is committed, and keeps trying until it is: a charge is never dropped.
   * Settling a hold that has ended does nothing and answers null.
   */
  async settle(settlement: Settlement): Promise<Charge | null> {
    const charge = await this.#settlements.add(settlement)
    if (settlement.holdId) this.#open.delete(settlement.holdId)
    return charge
  }

  /** Ends a hold as though the request had never been. */
  async release(hold: Hold): Promise<void> {
    await this.settle({ holdId: hold.id, costNanos: 0n, tokens: 0, requests: 0, log: null })
  }

  /** Records a call that was refused before it held anything. */
  async record(log: RequestLog): Promise<void> {
    await this.settle({ holdId: null, costNanos: 0n, tokens: 0, requests: 0, log })
  }

  /** Gives back what dead processes held. Answers with the number of holds that expired. */
  async expire(): Promise<number> {
    const { rows } = await this.#app.query('select expire_holds($1::interval) as expired', [GRACE])
    if (rows[0].expired > 0) this.#events.onWarning?.(`gave back ${rows[0].expired} holds of processes that died`)
    return rows[0].expired
  }

  /** Waits until everything given to `settle` is committed. */
  async flush(): Promise<void> {
    await this.#reserves.idle()
    await this.#settlements.idle()
  }

  /** Flushes and says goodbye. Every hold must have been ended before. */
  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.flush()
    await this.#app.query('select goodbye($1)', [this.processId]).catch(() => {})
  }

  async #deliver(settlements: readonly Settlement[]): Promise<readonly (Charge | null)[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await settleBatch(this.#app, settlements)
      } catch (error) {
        if (isDataError(error)) return this.#deliverSingly(settlements, error)
        if (attempt === 0) this.#events.onWarning?.('settlements wait for the database', error)
        if (this.#closed && attempt > 20) throw error
        await new Promise((resolve) => setTimeout(resolve, Math.min(50 * 2 ** attempt, 1_000)))
      }
    }
  }

  /** One row that Postgres can't read must not hold up the charges beside it, nor its own: it is charged without what it said. */
  async #deliverSingly(settlements: readonly Settlement[], error: unknown): Promise<readonly (Charge | null)[]> {
    if (settlements.length > 1) {
      const charges: (Charge | null)[] = []
      for (const settlement of settlements) charges.push(...(await this.#deliver([settlement])))
      return charges
    }
    const [settlement] = settlements
    this.#events.onWarning?.('a request log could not be written as it was', error)
    const log = settlement!.log
    if (!log || log.error_detail === UNREADABLE) throw error
    const plain: RequestLog = {
      ...log,
      attempts: [],
      error_detail: UNREADABLE,
      model_group: null,
      model: null,
      consumer: null,
      session_id: null,
      tags: null,
    }
    return this.#deliver([{ ...settlement!, log: plain }])
  }

  async #beat(): Promise<void> {
    const { rows } = await this.#app.query('select heartbeat($1) as known', [this.processId])
    if (!rows[0].known) this.#events.onWarning?.('this process was taken for dead: its holds were given back')
    if (this.#lostAnswerAt) await this.#releaseUnknownHolds(this.#lostAnswerAt)
  }

  /** Holds that stand in Postgres but that nobody here knows: their answer was lost on its way. */
  async #releaseUnknownHolds(lostAt: Date): Promise<void> {
    // A statement that outlived its connection has ended after the statement timeout, so that what it made is visible then.
    if (Date.now() - lostAt.getTime() < 15_000) return
    const { rows } = await this.#app.query('select holds_of($1) as id', [this.processId])
    for (const { id } of rows) {
      if (!this.#open.has(id)) await this.settle({ holdId: id, costNanos: 0n, tokens: 0, requests: 0, log: null })
    }
    if (this.#lostAnswerAt === lostAt) this.#lostAnswerAt = null
  }

  #background(what: string, act: () => Promise<unknown>): void {
    act().catch((error) => this.#events.onWarning?.(`${what} failed`, error))
  }
}

const UNREADABLE = 'what this row said could not be stored'

/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation): trying again can't help. */
function isDataError(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? '')
}
