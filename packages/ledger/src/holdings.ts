import type { Limit } from '@nemo/domain/limits'
import { type Allotment, Share, Sum } from './allotment.ts'
import type { Movement, RateEvent } from './apply.ts'
import type { Ask, Standing } from './ask.ts'

/** What a request has taken of one allotment. */
export interface Part {
  readonly allotment: Allotment
  readonly amount: bigint
  readonly mark: number
}

/** How long what others asked for is given back as it comes free. */
const CONTESTED_MS = 1_000
/** An allotment that nobody used for so long goes back. */
const IDLE_MS = 5 * 60_000
/** No answer of Postgres takes longer: statements are cancelled before. */
const ANSWER_MS = 30_000
/** With so many looked at a second, half a million are seen to within a few minutes, and none costs anything noticeable. */
const TIDIED_AT_ONCE = 5_000

/** A batch of so many takes Postgres a fraction of a second. More come at once when an organization's limits change, or a process ends. */
const RETURNED_AT_ONCE = 2_000

/** All allotments of a process, by limit. Everything here is synchronous: between two awaits nobody else takes or gives. */
export class Holdings {
  readonly #current = new Map<string, Allotment>()
  /** Sums of windows that have ended, until their requests have. */
  readonly #ended = new Map<string, Sum>()
  readonly #dirty = new Set<Allotment>()
  readonly #contested = new Set<Allotment>()
  readonly #freed = new Set<string>()
  /** Limits of which something that is given back is on its way to Postgres. */
  readonly #returning = new Set<string>()
  #events: RateEvent[] = []
  #tidying: MapIterator<Allotment> = this.#current.values()
  /** Organizations whose limits changed, and when, by the server's clock. */
  readonly #recalledAt = new Map<string, number>()
  /** What to add to `performance.now()` to get the server's clock: late by what an answer takes, never early. */
  #serverAheadMs = 0

  get size(): number {
    return this.#current.size
  }

  /** Takes all that is asked, or nothing: null when an allotment is missing or short. */
  takeAll(asks: readonly Ask[], now: number): Part[] | null {
    for (const { limit, amount } of asks) {
      const allotment = this.#of(limit, now)
      if (allotment === null || allotment.room(now) < amount) return null
    }
    return asks.map(({ limit, amount }) => this.#take(this.#current.get(limit.id)!, amount, now))
  }

  /** Takes what there is of each, and says what is missing. */
  takeSome(asks: readonly Ask[], now: number): { parts: Part[]; missing: Ask[] } {
    const parts: Part[] = []
    const missing: Ask[] = []
    for (const { limit, amount } of asks) {
      const allotment = this.#of(limit, now)
      const room = allotment?.room(now) ?? 0n
      const here = room < amount ? room : amount
      if (allotment && here > 0n) parts.push(this.#take(allotment, here, now))
      if (here < amount) missing.push({ limit, amount: amount - here })
    }
    return { parts, missing }
  }

  /** Adds what Postgres gave of a limit: in advance, and for one request's need, which is taken at once. */
  receive(standing: Standing, organizationId: string, need: bigint, now: number): Part | null {
    this.#serverAheadMs = standing.serverTimeMs - now
    const allotment = this.#open(standing, organizationId, now)
    allotment.bound = standing.bound
    allotment.grow(standing.extra + need)
    const part = need > 0n ? this.#take(allotment, need, now) : null
    if (this.#isOfThePast(allotment)) this.#giveBack(allotment, now)
    // Given before the recall, and heard of after it.
    if (standing.serverTimeMs <= (this.#recalledAt.get(organizationId) ?? Number.NEGATIVE_INFINITY))
      this.#drain(allotment, now)
    return part
  }

  /** Ends what a request took. `actualOf` says what it really used of a limit, of all parts together. */
  end(parts: readonly Part[], actualOf: (limit: Limit) => bigint, now: number): void {
    const left = new Map<string, bigint>()
    for (let i = 0; i < parts.length; i++) {
      const { allotment: taken, amount, mark } = parts[i]!
      const { limit } = taken
      // A share all of whose minute has passed may have been given back and come anew while the request was under way.
      const allotment = (taken instanceof Share && this.#current.get(limit.id)) || taken
      const actual = left.get(limit.id) ?? actualOf(limit)
      const isLast =
        limit.resource !== 'cost' || !parts.slice(i + 1).some((part) => part.allotment.limit.id === limit.id)
      const here = isLast || actual < amount ? actual : amount
      left.set(limit.id, actual - here)
      allotment.end(amount, here, mark, now)
      if (allotment.contestedUntil > now || this.#isOfThePast(allotment)) this.#giveBack(allotment, now)
      if (allotment.isDirty(now)) this.#dirty.add(allotment)
    }
  }

  /** Puts everything back as though it had not been taken. */
  undo(parts: readonly Part[], now: number): void {
    this.end(parts, () => 0n, now)
  }

  /** Others need of this limit: what is idle goes back at once, the rest as it comes free. */
  recall(limitId: string, now: number): void {
    // Also that there is nothing is an answer: who asked needn't wait any longer.
    this.#freed.add(limitId)
    const allotment = this.#current.get(limitId)
    if (!allotment) return
    allotment.contestedUntil = now + CONTESTED_MS
    this.#contested.add(allotment)
    this.#giveBack(allotment, now)
  }

  /** Gives back what is held of an organization, whose limits may have changed: what is idle at once, the rest as it comes free. */
  recallOrganization(organizationId: string, now: number): void {
    this.#recalledAt.set(organizationId, now + this.#serverAheadMs)
    for (const allotment of this.#current.values())
      if (allotment.organizationId === organizationId) this.#drain(allotment, now)
  }

  /**
   * Gives back what is contested and has come free, and, a part of all at a time, what hasn't been used for minutes or is of a window that has
   * ended. Called once a second.
   */
  tidy(now: number): void {
    for (const [organizationId, at] of this.#recalledAt)
      if (now + this.#serverAheadMs - at > ANSWER_MS) this.#recalledAt.delete(organizationId)
    for (const allotment of this.#contested) {
      if (allotment.contestedUntil > now) this.#giveBack(allotment, now)
      else this.#contested.delete(allotment)
    }
    for (let looked = 0; looked < TIDIED_AT_ONCE; looked++) {
      const next = this.#tidying.next()
      if (next.done) {
        this.#tidying = this.#current.values()
        return
      }
      const allotment = next.value
      if (allotment instanceof Sum && this.#hasEnded(allotment, now)) this.#retire(allotment, now)
      else if (now - allotment.lastUsedAt > IDLE_MS) this.#giveBack(allotment, now)
      else if (allotment.isDirty(now)) this.#dirty.add(allotment)
      this.#dropIfEmpty(allotment)
    }
  }

  /** Gives back all that can be given back. */
  releaseAll(now: number): void {
    for (const allotment of [...this.#current.values(), ...this.#ended.values()]) this.#giveBack(allotment, now)
  }

  /** What is given back and Postgres hasn't been told of, with what goes with it. */
  collect(): { returned: Movement[]; freed: string[]; events: RateEvent[] } {
    const returned: Movement[] = []
    for (const allotment of this.#mostUrgent()) {
      this.#dirty.delete(allotment)
      this.#returning.add(allotment.limit.id)
      returned.push({
        limitId: allotment.limit.id,
        startsAt: allotment.startsAt,
        spent: 0n,
        returned: allotment.collect(),
      })
    }
    const freed = [...this.#freed]
    this.#freed.clear()
    const events = this.#events
    this.#events = []
    return { returned, freed, events }
  }

  /** Postgres knows now what was spent and given back. */
  applied(movements: readonly Movement[]): void {
    for (const { limitId, startsAt, spent, returned } of movements) {
      if (returned > 0n) this.#returning.delete(limitId)
      const allotment = this.#find(limitId, startsAt)
      if (!allotment) continue
      allotment.booked -= spent + returned
      if (allotment instanceof Sum) allotment.returning -= returned
      this.#dropIfEmpty(allotment)
    }
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  /** Whether others wait for something that is to be told. */
  get isAwaited(): boolean {
    return this.#freed.size > 0
  }

  /** What this process holds by its own account, against what Postgres says after an answer was lost: the difference was given and never heard of. */
  reconcile(rows: readonly (Standing & { organizationId: string })[], now: number): void {
    for (const { organizationId, extra: amount, ...standing } of rows) {
      const booked = this.#find(standing.limit.id, standing.startsAt)?.booked ?? 0n
      if (amount > booked) this.receive({ ...standing, extra: amount - booked }, organizationId, 0n, now)
    }
  }

  /** Whether something of a limit was given back that Postgres doesn't know of yet. */
  isReturning(limitId: string): boolean {
    const allotment = this.#current.get(limitId)
    return this.#returning.has(limitId) || (allotment !== undefined && this.#dirty.has(allotment))
  }

  /** What of a limit is there without asking. */
  roomOf(limitId: string, now: number): bigint {
    return this.#current.get(limitId)?.room(now) ?? 0n
  }

  find(limitId: string): Allotment | null {
    return this.#current.get(limitId) ?? null
  }

  /** What to tell Postgres of next: as much as a batch takes, and whatever else others wait for. */
  #mostUrgent(): Allotment[] {
    const urgent: Allotment[] = []
    for (const allotment of this.#dirty) {
      if (urgent.length < RETURNED_AT_ONCE || this.#freed.has(allotment.limit.id)) urgent.push(allotment)
      else if (this.#freed.size === 0) break
    }
    return urgent
  }

  #find(limitId: string, startsAt: string): Allotment | null {
    const current = this.#current.get(limitId)
    if (current?.startsAt === startsAt) return current
    return this.#ended.get(endedKey(limitId, startsAt)) ?? null
  }

  /** The allotment of the limit's present window, or null. */
  #of(limit: Limit, now: number): Allotment | null {
    const allotment = this.#current.get(limit.id)
    if (!allotment) return null
    if (allotment instanceof Sum && this.#hasEnded(allotment, now)) {
      this.#retire(allotment, now)
      return null
    }
    // The caller knows of a lower bound. Credits are only ever lowered by what nobody holds.
    if (limit.bound < allotment.bound && limit.window !== 'lifetime') {
      allotment.bound = limit.bound
      this.#drain(allotment, now)
    }
    return allotment
  }

  #take(allotment: Allotment, amount: bigint, now: number): Part {
    const mark = allotment.take(amount, now)
    if (allotment instanceof Share) {
      const percent = allotment.crossed(now)
      if (percent !== null) this.#events.push({ limit_id: allotment.limit.id, percent })
    }
    return { allotment, amount, mark }
  }

  #open(standing: Standing, organizationId: string, now: number): Allotment {
    const { limit, startsAt, endsAtMs } = standing
    // Never two of one limit and window, whatever the clocks said: Postgres has one.
    const same = this.#find(limit.id, startsAt)
    if (same && (this.#current.has(limit.id) || !(same instanceof Sum))) return same
    if (same) {
      this.#ended.delete(endedKey(limit.id, startsAt))
      this.#current.set(limit.id, same)
      return same
    }
    const known = this.#current.get(limit.id)
    if (known instanceof Sum) this.#retire(known, now)
    const isRate = limit.window === 'minute' || limit.window === 'now'
    const opened = isRate
      ? new Share(limit, organizationId, startsAt, now)
      : new Sum(limit, organizationId, startsAt, endsAtMs, now)
    this.#current.set(limit.id, opened)
    return opened
  }

  #isOfThePast(allotment: Allotment): boolean {
    return this.#ended.size > 0 && this.#ended.get(endedKey(allotment.limit.id, allotment.startsAt)) === allotment
  }

  #hasEnded(sum: Sum, now: number): boolean {
    return sum.endsAtMs !== null && now + this.#serverAheadMs >= sum.endsAtMs
  }

  #retire(sum: Sum, now: number): void {
    this.#current.delete(sum.limit.id)
    if (sum.booked > 0n) this.#ended.set(endedKey(sum.limit.id, sum.startsAt), sum)
    this.#giveBack(sum, now)
  }

  #drain(allotment: Allotment, now: number): void {
    allotment.drain(now)
    if (allotment.isDirty(now)) this.#dirty.add(allotment)
  }

  /** Forgets what nothing is left of, neither here nor in Postgres. */
  #dropIfEmpty(allotment: Allotment): void {
    if (allotment.booked > 0n || this.#dirty.has(allotment) || allotment.refilling) return
    if (this.#current.get(allotment.limit.id) === allotment) this.#current.delete(allotment.limit.id)
    else if (this.#isOfThePast(allotment)) this.#ended.delete(endedKey(allotment.limit.id, allotment.startsAt))
  }

  #giveBack(allotment: Allotment, now: number): void {
    allotment.release(now)
    if (!allotment.isDirty(now)) return
    this.#dirty.add(allotment)
    if (allotment.contestedUntil > now) this.#freed.add(allotment.limit.id)
  }
}

function endedKey(limitId: string, startsAt: string): string {
  return `${limitId} ${startsAt}`
}
