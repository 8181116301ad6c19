import type { Limit } from '@nemo/domain/limits'

/**
 * What this process holds of one limit, and spends in memory. A request takes from it, and later puts back what it didn't use.
 * Two kinds: a sum of money, and a share of a rate.
 */
export interface Allotment {
  readonly limit: Limit
  readonly organizationId: string
  /** The window it belongs to, as Postgres names it; for what has no windows the epoch. */
  readonly startsAt: string
  /** What Postgres believes that this process holds. */
  booked: bigint
  /** The bound as it was last heard of. */
  bound: bigint
  /** Until when others are waiting for what is idle here: it is given back as it comes free. Milliseconds of `performance.now()`. */
  contestedUntil: number
  /** Don't ask for a refill before: the last one brought nothing. */
  refillAfter: number
  refilling: boolean
  lastUsedAt: number

  /** What can be taken now. */
  room(now: number): bigint
  /** Takes the amount, which must not exceed the room. The mark is given back with it. */
  take(amount: bigint, now: number): number
  /** Ends a request's part: `amount` had been taken at `mark`, `actual` was used. */
  end(amount: bigint, actual: bigint, mark: number, now: number): void
  /** Adds what Postgres gave. */
  grow(amount: bigint): void
  /** What would be welcome in advance; 0 when there is enough. */
  refillWant(now: number): bigint
  /** Marks all that is idle as given back. */
  release(now: number): void
  /** The same, and what is in use follows as it comes free: the bound may have been lowered. What is grown later stays. */
  drain(now: number): void
  /** What is given back and Postgres hasn't been told of. Forgets it; `booked` follows when it is applied, as it does for what was spent. */
  collect(): bigint
  /** Whether something is given back and not told yet. */
  isDirty(now: number): boolean
}

/** For how long ahead an allotment should last: longer than a restart of Postgres takes. */
const AHEAD_MS = 30_000

/** A sum of money of one window: what is spent is gone, what a request didn't use is there for the next. */
export class Sum implements Allotment {
  readonly limit: Limit
  readonly organizationId: string
  readonly startsAt: string
  /** When the window ends, by the server's clock; null for what never does. */
  readonly endsAtMs: number | null
  booked = 0n
  /** What has been given back, and isn't in Postgres yet. */
  returning = 0n
  bound: bigint
  contestedUntil = 0
  refillAfter = 0
  refilling = false
  lastUsedAt: number
  #available = 0n
  #taken = 0n
  #returned = 0n
  /** How much of what is taken goes back rather than be there for the next. */
  #leaving = 0n
  /** What was taken since the last refill, and since when: how fast it goes. */
  #flow = 0n
  #flowSince: number

  constructor(limit: Limit, organizationId: string, startsAt: string, endsAtMs: number | null, now: number) {
    this.limit = limit
    this.organizationId = organizationId
    this.startsAt = startsAt
    this.endsAtMs = endsAtMs
    this.bound = limit.bound
    this.lastUsedAt = now
    this.#flowSince = now
  }

  room(): bigint {
    return this.#available
  }

  /** What requests under way hold. */
  get taken(): bigint {
    return this.#taken
  }

  take(amount: bigint, now: number): number {
    this.#available -= amount
    this.#taken += amount
    this.#flow += amount
    this.lastUsedAt = now
    return 0
  }

  end(amount: bigint, actual: bigint): void {
    const unused = amount - actual
    const leaving = least(unused, this.#leaving)
    this.#leaving -= least(amount, this.#leaving)
    this.#taken -= amount
    this.#returned += leaving
    this.returning += leaving
    this.#available += unused - leaving
    // What wasn't used after all isn't flow.
    this.#flow -= least(unused, this.#flow)
  }

  grow(amount: bigint): void {
    this.#available += amount
    this.booked += amount
  }

  refillWant(now: number): bigint {
    const elapsed = Math.max(now - this.#flowSince, 100)
    const ahead = (this.#flow * BigInt(AHEAD_MS)) / BigInt(Math.ceil(elapsed))
    if (this.#available * 2n > ahead) return 0n
    if (elapsed > AHEAD_MS) {
      this.#flow = 0n
      this.#flowSince = now
    }
    return ahead * 2n
  }

  release(): void {
    this.#returned += this.#available
    this.returning += this.#available
    this.#available = 0n
  }

  drain(): void {
    this.release()
    this.#leaving = this.#taken
  }

  collect(): bigint {
    const returned = this.#returned
    this.#returned = 0n
    return returned
  }

  isDirty(): boolean {
    return this.#returned > 0n
  }
}

/** How long an admission counts, in seconds. The second that began 60.x s ago counts in full: in no 60-second span more than the share. */
const COUNTED_SECONDS = 60

/**
 * A share of a rate: the right to admit so much in any 60 seconds (or, of parallel requests, at once), for as long as it is held. Kept as one
 * count per second, by this process's own monotonic clock.
 */
export class Share implements Allotment {
  readonly limit: Limit
  readonly organizationId: string
  readonly startsAt: string
  booked = 0n
  bound: bigint
  contestedUntil = 0
  refillAfter = 0
  refilling = false
  lastUsedAt: number
  #share = 0
  #returned = 0
  #counted = 0
  /** What was counted up to this second goes back with its share rather than become room again. */
  #leavesUntil = Number.NEGATIVE_INFINITY
  /** Of parallel requests: how many of those under way take their share with them. */
  #leaving = 0
  #seconds: number[] = []
  #counts: number[] = []
  #alertedMinute = -1
  #alertedPercent = 0
  readonly #rolls: boolean

  constructor(limit: Limit, organizationId: string, startsAt: string, now: number) {
    this.limit = limit
    this.organizationId = organizationId
    this.startsAt = startsAt
    this.bound = limit.bound
    this.lastUsedAt = now
    this.#rolls = limit.window === 'minute'
  }

  room(now: number): bigint {
    this.#forgetOld(now)
    return BigInt(Math.max(this.#share - this.#counted, 0))
  }

  take(amount: bigint, now: number): number {
    this.lastUsedAt = now
    return this.#count(Number(amount), now)
  }

  end(amount: bigint, actual: bigint, mark: number, now: number): void {
    if (!this.#rolls) {
      this.#counted -= Number(amount)
      const leaving = Math.min(Number(amount), this.#leaving)
      this.#leaving -= leaving
      this.#giveBack(leaving)
      return
    }
    const difference = Number(actual - amount)
    if (difference > 0) {
      // More than was expected has been used: it counts from now on, even beyond the share.
      this.#count(difference, now)
    } else if (difference < 0) {
      this.#forgetOld(now)
      const at = this.#seconds.lastIndexOf(mark)
      if (at < 0) return
      this.#counts[at]! += difference
      this.#counted += difference
      if (mark <= this.#leavesUntil) this.#giveBack(-difference)
    }
  }

  grow(amount: bigint): void {
    this.#share += Number(amount)
    this.booked += amount
  }

  /** More is asked for only when half is used: among several processes each has its part and there is rarely more to be had. */
  refillWant(now: number): bigint {
    this.#forgetOld(now)
    return this.#counted * 2 > this.#share && BigInt(this.#share) < this.bound ? 1n : 0n
  }

  release(now: number): void {
    this.#forgetOld(now)
    this.#giveBack(this.#share)
  }

  drain(now: number): void {
    this.release(now)
    if (this.#rolls) this.#leavesUntil = Math.floor(now / 1000)
    else this.#leaving = this.#counted
  }

  collect(): bigint {
    const returned = BigInt(this.#returned)
    this.#returned = 0
    return returned
  }

  isDirty(now: number): boolean {
    this.#forgetOld(now)
    return this.#returned > 0
  }

  /** The percentage of the share that has just been reached for the first time in this minute, or null. */
  crossed(now: number): 50 | 80 | 100 | null {
    if (this.#counted * 2 < this.#share || !this.#rolls) return null
    const minute = Math.floor(now / 60_000)
    const percent = this.#counted >= this.#share ? 100 : this.#counted * 5 >= this.#share * 4 ? 80 : 50
    if (this.#alertedMinute === minute && this.#alertedPercent >= percent) return null
    this.#alertedMinute = minute
    this.#alertedPercent = percent
    return percent
  }

  /** When the newest and the oldest of what is counted are free again, in milliseconds from now: when the whole is, and when the first of it. */
  standing(now: number): { newestFreeMs: number; oldestFreeMs: number } {
    this.#forgetOld(now)
    const freeMs = (second: number | undefined) =>
      second === undefined ? 0 : (second + COUNTED_SECONDS + 1) * 1000 - now
    return { newestFreeMs: freeMs(this.#seconds.at(-1)), oldestFreeMs: freeMs(this.#seconds[0]) }
  }

  /** In how many milliseconds so much of the share is free if nothing else comes; null when the share is smaller than that. */
  freeInMs(amount: bigint, now: number): number | null {
    this.#forgetOld(now)
    let missing = Number(amount) - Math.max(this.#share - this.#counted, 0)
    if (Number(amount) > this.#share) return null
    for (let i = 0; i < this.#seconds.length && missing > 0; i++) {
      missing -= this.#counts[i]!
      if (missing <= 0) return (this.#seconds[i]! + COUNTED_SECONDS + 1) * 1000 - now
    }
    return missing > 0 ? null : 0
  }

  /** So much of the share, as far as it isn't counted. */
  #giveBack(amount: number): void {
    const idle = Math.min(amount, Math.max(this.#share - this.#counted, 0))
    this.#share -= idle
    this.#returned += idle
  }

  #count(amount: number, now: number): number {
    this.#counted += amount
    if (!this.#rolls) return 0
    const second = Math.floor(now / 1000)
    const last = this.#seconds.length - 1
    if (last >= 0 && this.#seconds[last] === second) this.#counts[last]! += amount
    else {
      this.#seconds.push(second)
      this.#counts.push(amount)
    }
    return second
  }

  #forgetOld(now: number): void {
    const floor = Math.floor(now / 1000) - COUNTED_SECONDS
    let gone = 0
    for (; gone < this.#seconds.length && this.#seconds[gone]! < floor; gone++) {
      this.#counted -= this.#counts[gone]!
      if (this.#seconds[gone]! <= this.#leavesUntil) this.#giveBack(this.#counts[gone]!)
    }
    if (gone > 0) {
      this.#seconds.splice(0, gone)
      this.#counts.splice(0, gone)
    }
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
