import { Share, Sum } from './allotment.ts'
import type { Ask, Refusal } from './ask.ts'
import type { Incarnation } from './incarnation.ts'

/**
 * A refusal as the caller is told it: what was asked in all, and what requests and other processes hold; what lies idle here is neither, and what was
 * charged here is used even if Postgres doesn't know yet. Of a rate
 * Postgres knows who holds which share, but not what has been used of it; and only the share's holder knows when that is free again.
 * What others hold may take its full minute.
 */
export function withOwnView(refusal: Refusal, asks: readonly Ask[], { holdings }: Incarnation): Refusal {
  const { limit, bound } = refusal
  const now = performance.now()
  const allotment = holdings.find(limit.id)
  const sum = allotment instanceof Sum ? allotment : null
  const idle = min((allotment?.room(now) ?? 0n) + (sum?.returning ?? 0n), refusal.held)
  const needed = asks.find((ask) => ask.limit.id === limit.id)?.amount ?? refusal.needed
  const held = refusal.held - idle
  if (limit.resource === 'cost') {
    const taken = min(sum?.taken ?? 0n, held)
    const charged = held - refusal.elsewhere - taken > 0n ? held - refusal.elsewhere - taken : 0n
    const freeInMs = needed > bound ? null : refusal.freeInMs
    // What Postgres had here, and is here no more, may have been given back since.
    const gone = refusal.held - refusal.elsewhere - (sum?.booked ?? 0n)
    const elsewhere = refusal.elsewhere + (gone > 0n ? gone : 0n)
    return { ...refusal, used: refusal.used + charged, held: held - charged, needed, elsewhere, freeInMs }
  }
  const freeInMs =
    limit.window !== 'minute' || needed > bound
      ? null
      : allotment instanceof Share
        ? (allotment.freeInMs(needed, now) ?? 61_000)
        : 61_000
  return { ...refusal, used: held, held: 0n, needed, freeInMs }
}

/** What is short when only this process can be asked: the limit of which it has least. */
export function inMemory(asks: readonly Ask[], incarnation: Incarnation): Refusal {
  const now = performance.now()
  const rooms = asks.map(({ limit }) => roomOf(incarnation, limit.id, now))
  const least = rooms.reduce((most, room, i) => (room < rooms[most]! ? i : most), 0)
  const { limit, amount } = asks[least]!
  const used = limit.bound > rooms[least]! ? limit.bound - rooms[least]! : 0n
  return { limit, bound: used + rooms[least]!, used, held: 0n, needed: amount, elsewhere: 0n, freeInMs: null }
}

export function roomOf({ holdings }: Incarnation, limitId: string, now: number): bigint {
  return holdings.find(limitId)?.room(now) ?? 0n
}

/** Whether a refusal's own numbers say that the request doesn't fit. */
export function refuses({ used, held, needed, bound }: Refusal): boolean {
  return used + held + needed > bound
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
