import { setTimeout as sleep } from 'node:timers/promises'
import type { Limit } from '@nemo/domain/limits'
import type { Nanos } from '@nemo/domain/money'
import { type Listener, listen } from '@nemo/postgres/listen'
import type { RequestLog } from '@nemo/postgres/request-logs'
import { findVirtualKeys, type VirtualKey } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'
import { Share } from './allotment.ts'
import type { Ask, Refusal } from './ask.ts'
import { GroupCommit } from './group-commit.ts'
import { type Hold, reservedOf, spentOf } from './hold.ts'
import type { Part } from './holdings.ts'
import { Incarnation } from './incarnation.ts'
import { chargedLog } from './log-row.ts'
import { inMemory, refuses, roomOf, withOwnView } from './own-view.ts'
import { RefusalLog } from './refusal-log.ts'
import { type JournalOwner, replayJournals } from './replay.ts'

/** A process that hasn't been heard of for so long is dead, and its money is given back. */
const GRACE = '30 seconds'
const BURY_MS = 2_000
const KEYS_AT_ONCE = 200
/** How often a request is asked for whose refusal was outdated when it came. */
const TRIES = 4

export interface LedgerOptions {
  readonly app: pg.Pool
  readonly databaseUrl: string
  /** Where journals are kept: a folder that outlives the process. Processes on one machine may share it. */
  readonly journalFolder: string
  readonly journalOwner: JournalOwner
  readonly journalBytesMax?: number
  /** Whether each record is forced to the disk: then it survives the machine too, at the price of a disk write, which calls that end at once share. */
  readonly journalSync?: boolean
  readonly onWarning?: (message: string, error?: unknown) => void
}

export interface ReserveRequest {
  readonly organizationId: string
  readonly asks: readonly Ask[]
}

export type Reservation =
  | { readonly kind: 'held'; readonly hold: Hold }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** A limit that was asked of is gone: the caller's picture of the key is out of date. */
  | { readonly kind: 'stale' }

/** What was charged. `charged + loss = cost`: the loss is what the platform bears of a bill that outgrew every limit. */
export interface Charge {
  readonly chargedNanos: Nanos
  readonly lossNanos: Nanos
}

export interface Settlement {
  /** Null where nothing is to be charged: the row then has no cost, which isn't the same as a cost of zero. */
  readonly costNanos: Nanos | null
  readonly tokens: number
  readonly log: RequestLog
}

/** Thrown when it can't be known whether a request fits. Money fails closed: the request must not be called. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable'
}

/**
 * Admits requests against limits, and charges them. Counters live in Postgres, where every process meets; each process holds allotments of them and
 * spends these in memory, so that a request with headroom costs no I/O: a subtraction to reserve, an addition and a line in a file to settle.
 */
export class Ledger {
  readonly #options: LedgerOptions
  readonly #warn: (message: string, error?: unknown) => void
  readonly #refusalLog: RefusalLog
  readonly #keys: GroupCommit<Buffer, VirtualKey | null>
  #present!: Incarnation
  /** Taken for dead while requests were under way: they end here. */
  readonly #retiring = new Set<Incarnation>()
  #listener: Listener | null = null
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(options: LedgerOptions) {
    this.#options = options
    this.#warn = options.onWarning ?? (() => {})
    this.#refusalLog = new RefusalLog((log) => this.#present.flusher.addRefusal(log))
    this.#keys = new GroupCommit((hashes) => this.#findKeys(hashes), KEYS_AT_ONCE)
  }

  /** Replays what dead processes left in the journal folder, and registers. Throws when Postgres can't be reached. */
  static async start(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options)
    await replayJournals(options.app, options.journalFolder, options.journalOwner, ledger.#warn)
    ledger.#present = await ledger.#begin()
    ledger.#listener = listen(options.databaseUrl, ['ledger'], (_, message) => ledger.#hear(message))
    ledger.#timer = setInterval(
      () => void ledger.buryTheDead().catch((error) => ledger.#warn('the dead could not be buried', error)),
      BURY_MS,
    )
    ledger.#timer.unref()
    return ledger
  }

  get processId(): string {
    return this.#present.id
  }

  /** What a first allotment is asked for with. */
  get process(): { id: string; epoch: number } {
    return { id: this.#present.id, epoch: this.#present.epoch }
  }

  /**
   * Looks a key up, with first allotments on its limits in the same round trip; null when there is none. Keys that are asked for at once share one: first sights
   * come in crowds, after a restart and when an organization's limits change.
   */
  findKey(hash: Buffer): Promise<VirtualKey | null> {
    return this.#keys.add(hash)
  }

  /** Requests that hold something. */
  get open(): number {
    return this.#incarnations.reduce((sum, incarnation) => sum + incarnation.open, 0)
  }

  /** Bytes of charges that aren't in Postgres yet, give or take a segment of the journal. */
  get journalBytes(): number {
    return this.#present.journal.bytes
  }

  /** Charges that aren't in Postgres yet. */
  get pending(): number {
    return this.#incarnations.reduce((sum, { flusher }) => sum + flusher.pending, 0)
  }

  /** How many limits this process holds something of. */
  get allotments(): number {
    return this.#present.holdings.size
  }

  /**
   * Reserves all that is asked, or nothing: at once where this process holds enough, else by asking Postgres. A refusal names its limit. Throws, or
   * rejects with, LedgerUnavailable when that can't be known.
   */
  reserve(request: ReserveRequest): Reservation | Promise<Reservation> {
    const now = performance.now()
    const incarnation = this.#present
    const obstacle = this.#isClosed ? 'the ledger is closed' : incarnation.obstacle(now)
    if (obstacle) throw new LedgerUnavailable(obstacle)
    const parts = incarnation.holdings.takeAll(request.asks, now)
    if (!parts) return this.#obtain(incarnation, request, now)
    for (const { allotment } of parts) incarnation.asker.refill(allotment, now)
    return this.#held(incarnation, request, parts)
  }

  /**
   * Adds to a hold, all or nothing; answers with the refusal, or null when it has been added. Rejects with LedgerUnavailable when that can't be known.
   * A hold that has ended meanwhile gets nothing.
   */
  async extend(hold: Hold, asks: readonly Ask[]): Promise<Refusal | null> {
    const obstacle = hold.incarnation.obstacle(performance.now())
    if (obstacle) throw new LedgerUnavailable(obstacle)
    const more = hold.ended ? [] : await this.#more(hold, asks)
    if (!Array.isArray(more)) return more
    if (hold.ended) hold.incarnation.holdings.undo(more, performance.now())
    else hold.parts.push(...more)
    return null
  }

  /**
   * Ends a hold with what it came to. When this resolves, the charge is recorded where it outlives the process. A cost beyond the hold is
   * taken as far as every limit has room; the rest is the platform's loss. Settling again does nothing and answers null.
   */
  settle(hold: Hold, settlement: Settlement): Promise<Charge | null> | null {
    if (hold.ended) return null
    const cost = settlement.costNanos ?? 0n
    const reserved = reservedOf(hold)
    return cost > reserved
      ? this.#settleBeyond(hold, settlement, cost - reserved)
      : this.#record(hold, settlement, cost)
  }

  /** Ends a hold as though the request had never been. */
  release(hold: Hold): void {
    if (hold.ended) return
    hold.ended = true
    hold.incarnation.open--
    hold.incarnation.holdings.undo(hold.parts, performance.now())
    this.#afterEnd(hold)
  }

  /** Records a call that was refused. Those of one kind within a second become one row with a count. */
  refuse(log: RequestLog, limitId: string | null): void {
    this.#refusalLog.add(log, limitId)
  }

  /** The limits of an organization may have changed: what is held idle of them goes back, and refusals are forgotten. */
  forget(organizationId: string | null): void {
    const { holdings, asker, flusher } = this.#present
    asker.refusals.forgetAll()
    if (organizationId === null) return
    holdings.recallOrganization(organizationId, performance.now())
    if (holdings.isDirty) flusher.soon()
  }

  /** The share of a rate that this process holds, and what is left of it. */
  rate(limit: Limit): { limit: bigint; remaining: bigint; resetMs: number } | null {
    const now = performance.now()
    const share = this.#present.holdings.find(limit.id)
    if (!(share instanceof Share)) return null
    return { limit: share.bound, remaining: share.room(now), resetMs: share.standing(now).newestFreeMs }
  }

  /** Gives back what dead processes held. Answers with their number. */
  async buryTheDead(): Promise<number> {
    let buried = 0
    while ((await this.#options.app.query('select bury_one_dead($1::interval) as id', [GRACE])).rows[0].id) buried++
    if (buried > 0) this.#warn(`gave back what ${buried} dead processes held`)
    await this.#options.app.query('select free_shares()')
    return buried
  }

  /** Waits until everything that was settled is in Postgres. */
  async flush(): Promise<void> {
    this.#refusalLog.flush()
    await Promise.all(this.#incarnations.map(({ flusher }) => flusher.flushed()))
  }

  /** Flushes, gives everything back and ends. Every hold must have been ended before. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#listener?.close()
    this.#refusalLog.close()
    await Promise.all(this.#incarnations.map((incarnation) => incarnation.end()))
  }

  /** Ends as a kill would. For tests of what comes after. */
  async abandon(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#listener?.close()
    for (const incarnation of this.#incarnations) incarnation.abandon()
  }

  get #incarnations(): Incarnation[] {
    return [...new Set([this.#present, ...this.#retiring])]
  }

  async #findKeys(hashes: readonly Buffer[]): Promise<readonly (VirtualKey | null)[]> {
    const incarnation = this.#present
    const { process } = this
    const { keys, allotted } = await findVirtualKeys(this.#options.app, hashes, process).catch((error) => {
      incarnation.lostAnswer(error)
      throw error
    })
    // What came in an epoch that has passed was counted when the present one began.
    if (incarnation === this.#present && incarnation.epoch === process.epoch) {
      const now = performance.now()
      for (const { limit, organizationId, bound, extra, startsAt, endsAt, serverTime } of allotted) {
        const standing = { limit, bound, extra, startsAt: startsAt.toISOString(), endsAtMs: endsAt?.getTime() ?? null }
        incarnation.holdings.receive({ ...standing, serverTimeMs: serverTime.getTime() }, organizationId, 0n, now)
      }
    }
    return keys
  }

  async #obtain(incarnation: Incarnation, request: ReserveRequest, now: number): Promise<Reservation> {
    const remembered = incarnation.asker.refusals.find(request.asks, now, (id) => roomOf(incarnation, id, now))
    if (remembered) {
      const refusal = withOwnView(remembered, request.asks, incarnation)
      if (refuses(refusal)) return { kind: 'refused', refusal }
    }
    if (!incarnation.canAsk) throw new LedgerUnavailable('the database does not answer')
    try {
      for (let tries = 1; ; tries++) {
        const obtained = await incarnation.asker.obtain(request.organizationId, request.asks)
        if (obtained.kind === 'held') return this.#held(incarnation, request, obtained.parts)
        if (obtained.kind === 'stale') return obtained
        const refusal = withOwnView(obtained.refusal, request.asks, incarnation)
        // Something came free here while the answer was on its way: a refusal must not say of itself that the request fits.
        if (refuses(refusal)) return { kind: 'refused', refusal }
        // Every time it was gone again by then: it is refused with what Postgres saw.
        if (tries === TRIES) return { kind: 'refused', refusal: obtained.refusal }
      }
    } catch (error) {
      throw new LedgerUnavailable('the database does not answer', { cause: error })
    }
  }

  /** More for a hold: from memory, or from Postgres. Of a limit that has been lifted meanwhile nothing is needed any more. */
  async #more(hold: Hold, asks: readonly Ask[]): Promise<Part[] | Refusal> {
    const { organizationId, incarnation } = hold
    const now = performance.now()
    const parts = incarnation.holdings.takeAll(asks, now)
    if (parts) {
      for (const { allotment } of parts) incarnation.asker.refill(allotment, now)
      return parts
    }
    if (!incarnation.canAsk) throw new LedgerUnavailable('the database does not answer')
    const obtained = await incarnation.asker.obtain(organizationId, asks).catch((cause) => {
      throw new LedgerUnavailable('the database does not answer', { cause })
    })
    if (obtained.kind === 'held') return obtained.parts
    if (obtained.kind === 'refused') return withOwnView(obtained.refusal, asks, incarnation)
    const binding = ({ limit }: Ask) => limit.id !== obtained.limit.id
    hold.asks = hold.asks.filter(binding)
    return this.#more(hold, asks.filter(binding))
  }

  #held(incarnation: Incarnation, request: ReserveRequest, parts: Part[]): Reservation {
    incarnation.open++
    return {
      kind: 'held',
      hold: { organizationId: request.organizationId, asks: request.asks, parts, incarnation, ended: false },
    }
  }

  /** The bill is larger than the hold: takes what more there is of it, the whole or what every limit has room for. */
  async #settleBeyond(hold: Hold, settlement: Settlement, beyond: bigint): Promise<Charge | null> {
    // It ends here, whoever else would end it while more is asked for.
    hold.ended = true
    for (let tries = hold.asks.length + 3; beyond > 0n && tries > 0; tries--) {
      const asks = hold.asks
        .filter(({ limit }) => limit.resource === 'cost')
        .map(({ limit }) => ({ limit, amount: beyond }))
      const more = await this.#more(hold, asks).catch(() => inMemory(asks, hold.incarnation))
      if (Array.isArray(more)) {
        hold.parts.push(...more)
        break
      }
      beyond = min(beyond - 1n, more.bound - more.used - more.held)
    }
    return this.#record(hold, settlement, min(settlement.costNanos!, reservedOf(hold)))
  }

  #record(hold: Hold, settlement: Settlement, chargedNanos: bigint): Promise<Charge> {
    const { incarnation, parts } = hold
    hold.ended = true
    const lossNanos = (settlement.costNanos ?? 0n) - chargedNanos
    const log = chargedLog(settlement.log, settlement.costNanos === null ? null : chargedNanos, lossNanos)
    const kept = incarnation.keep(spentOf(parts, chargedNanos), log)
    const tokens = BigInt(settlement.tokens)
    incarnation.holdings.end(
      parts,
      (limit) =>
        limit.resource === 'cost'
          ? chargedNanos
          : limit.resource === 'tokens'
            ? tokens
            : limit.resource === 'requests'
              ? 1n
              : 0n,
      performance.now(),
    )
    incarnation.open--
    this.#afterEnd(hold)
    return kept.then(() => ({ chargedNanos, lossNanos }))
  }

  #afterEnd({ incarnation, parts }: Hold): void {
    for (const { allotment } of parts) incarnation.asker.freed(allotment.limit.id)
    if (incarnation.holdings.isAwaited) incarnation.flusher.now()
    else if (incarnation.holdings.isDirty) incarnation.flusher.soon()
    if (incarnation !== this.#present && incarnation.open === 0) void this.#bid(incarnation)
  }

  #hear(message: string | null): void {
    const { asker, id } = this.#present
    if (message === null) {
      asker.refusals.forgetAll()
      return
    }
    const [what, limitId, processId] = message.split(' ')
    if (processId === id || !limitId) return
    if (what === 'freed') asker.freed(limitId, processId)
    else if (what === 'recall') void this.#giveBack(limitId)
  }

  /** Another process needs of a limit. What this one was given before counts as idle too: it may be on its way. */
  async #giveBack(limitId: string): Promise<void> {
    const { holdings, asker, flusher } = this.#present
    await Promise.all([asker.arrived(), this.#keys.arrived()])
    holdings.recall(limitId, performance.now())
    flusher.now()
  }

  #begin(): Promise<Incarnation> {
    const { app, journalFolder, journalOwner, journalBytesMax = 256 * 1024 * 1024, journalSync = false } = this.#options
    return Incarnation.begin({
      app,
      journalFolder,
      journalOwner,
      journalBytesMax,
      journalSync,
      onWarning: this.#warn,
      onDead: () => void this.#beginAgain(),
    })
  }

  /** The process was taken for dead. What is under way ends with the old incarnation; what comes is admitted by a new one. */
  async #beginAgain(): Promise<void> {
    const old = this.#present
    this.#retiring.add(old)
    while (!this.#isClosed && this.#present === old) {
      try {
        const next = await this.#begin()
        if (this.#isClosed) await next.end()
        else this.#present = next
      } catch {
        await sleep(250, undefined, { ref: false })
      }
    }
    for (const log of old.flusher.takeRefusals()) this.#present.flusher.addRefusal(log)
    if (old.open === 0 && !this.#isClosed) await this.#bid(old)
  }

  async #bid(incarnation: Incarnation): Promise<void> {
    await incarnation.end().catch((error) => this.#warn('a past incarnation did not end well', error))
    this.#retiring.delete(incarnation)
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
