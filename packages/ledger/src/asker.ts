import { setTimeout as sleep } from 'node:timers/promises'
import type { Limit } from '@nemo/domain/limits'
import type pg from 'pg'
import type { Allotment } from './allotment.ts'
import { type AllotAnswer, type AllotRequest, type Ask, allotBatch, type Refusal, type Standing } from './ask.ts'
import { GroupCommit } from './group-commit.ts'
import type { Holdings, Part } from './holdings.ts'
import { RecentRefusals } from './refusals.ts'

/** How long a request waits to hear of every other process that holds something of a limit before it is refused. */
const PATIENCE_MS = 1_000
/** A word may be lost: then it is asked again all the same. */
const ASK_AGAIN_MS = 33
/** How long it waits for what this process is giving back itself: as long as a batch on its way may take. */
const PATIENCE_RETURNING_MS = 5_000
/** How often a request asks again at once because something came free meanwhile. */
const TRIES = 3
const BATCH_MAX = 500
/** After a refill that brought nothing, the next is tried no sooner. */
const REFILL_PAUSE_MS = 250

export type Obtained =
  | { readonly kind: 'held'; readonly parts: Part[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'stale'; readonly limit: Limit }

interface Question {
  readonly organizationId: string
  readonly asks: readonly Ask[]
  /** What is there in memory already is used first; a refill has nothing to take. */
  readonly refill: Allotment | null
}

type Answer =
  | Exclude<Obtained, { kind: 'refused' }>
  /** `mayFit`: something of the limit was put back here while Postgres was asked. */
  | {
      readonly kind: 'refused'
      readonly refusal: Refusal
      readonly recalled: boolean
      readonly holders: readonly string[]
      readonly mayFit: boolean
    }

/** A request that waits for what others give back. */
interface Waiter {
  readonly limitId: string
  /** The processes that have given back, since it waits, all that was idle there. */
  readonly heard: Set<string>
  wake: () => void
}

/** Gets from Postgres what isn't held in memory: one round trip for all that ask at once, a second one where other processes must give back first. */
export class Asker {
  readonly refusals = new RecentRefusals()
  readonly #app: pg.Pool
  readonly #holdings: Holdings
  readonly #process: () => { id: string; epoch: number }
  readonly #onLostAnswer: (error: unknown) => void
  readonly #questions: GroupCommit<Question, Answer>
  readonly #waiting = new Map<string, Set<Waiter>>()
  /** What came free while the batch in flight was asking: it was refused what it might have got. */
  readonly #freedMeanwhile = new Set<string>()

  /** `process` throws when nothing may be asked now. `onLostAnswer` hears when it isn't known whether Postgres gave something. */
  constructor(
    app: pg.Pool,
    holdings: Holdings,
    process: () => { id: string; epoch: number },
    onLostAnswer: (error: unknown) => void,
  ) {
    this.#app = app
    this.#holdings = holdings
    this.#process = process
    this.#onLostAnswer = onLostAnswer
    this.#questions = new GroupCommit((questions) => this.#ask(questions), BATCH_MAX)
  }

  /**
   * Takes what the asks need, all or nothing. It is refused when every process that holds something of the limit has said that it gave back what
   * was idle, and it doesn't fit even so. Rejects when Postgres can't be asked.
   */
  async obtain(organizationId: string, asks: readonly Ask[]): Promise<Obtained> {
    let since = 0
    let waiter = null as Waiter | null
    try {
      for (let tries = 0; ; ) {
        const answer = await this.#questions.add({ organizationId, asks, refill: null })
        if (answer.kind !== 'refused') return answer
        const limitId = answer.refusal.limit.id
        const now = performance.now()
        // Waiting for one's turn to ask isn't patience.
        since ||= now
        // A word may come before an answer that it has outdated.
        if (answer.mayFit && tries++ < TRIES) continue
        if (!answer.recalled) return answer
        // What this process gives back itself is certain to come.
        const isReturning = this.#holdings.isReturning(limitId)
        const isCertain = !isReturning && waiter?.limitId === limitId && allOf(answer.holders, waiter.heard)
        if (isCertain || now - since >= (isReturning ? PATIENCE_RETURNING_MS : PATIENCE_MS)) {
          this.refusals.remember(answer.refusal, now)
          return answer
        }
        if (waiter?.limitId !== limitId) {
          if (waiter) this.#endWaiting(waiter)
          waiter = this.#beginWaiting(limitId)
        }
        await this.#aWord(waiter)
        tries = 0
      }
    } finally {
      if (waiter) this.#endWaiting(waiter)
    }
  }

  /** Tops an allotment up in the background, when it runs low and there is hope. */
  refill(allotment: Allotment, now: number): void {
    if (allotment.refilling || now < allotment.refillAfter || now < allotment.contestedUntil) return
    if (allotment.refillWant(now) === 0n) return
    allotment.refilling = true
    const before = allotment.booked
    this.#questions
      .add({ organizationId: allotment.organizationId, asks: [], refill: allotment })
      .catch(() => {})
      .finally(() => {
        allotment.refilling = false
        if (allotment.booked <= before) allotment.refillAfter = performance.now() + REFILL_PAUSE_MS
      })
  }

  /** Something of the limit has come free, here or in another process, which has given back all that is idle there. */
  freed(limitId: string, processId?: string): void {
    this.refusals.forget(limitId)
    if (this.#isAsking) this.#freedMeanwhile.add(limitId)
    for (const waiter of this.#waiting.get(limitId) ?? []) {
      if (processId) waiter.heard.add(processId)
      waiter.wake()
    }
  }

  /** Resolves when nothing is asked and nobody waits to ask. */
  async idle(): Promise<void> {
    await this.#questions.idle()
  }

  /** Resolves when what Postgres is giving at this moment has come. */
  async arrived(): Promise<void> {
    await this.#questions.arrived()
  }

  #beginWaiting(limitId: string): Waiter {
    const waiter: Waiter = { limitId, heard: new Set(), wake: () => {} }
    const waiting = this.#waiting.get(limitId) ?? new Set()
    this.#waiting.set(limitId, waiting.add(waiter))
    return waiter
  }

  #endWaiting(waiter: Waiter): void {
    const waiting = this.#waiting.get(waiter.limitId)!
    waiting.delete(waiter)
    if (waiting.size === 0) this.#waiting.delete(waiter.limitId)
  }

  /** Waits for the next word of the limit. */
  async #aWord(waiter: Waiter): Promise<void> {
    const word = new Promise<void>((resolve) => {
      waiter.wake = resolve
    })
    await Promise.race([word, sleep(ASK_AGAIN_MS, undefined, { ref: false })])
  }

  async #ask(questions: readonly Question[]): Promise<Answer[]> {
    this.#isAsking = true
    this.#freedMeanwhile.clear()
    try {
      return await this.#askOnce(questions)
    } finally {
      this.#isAsking = false
    }
  }
  #isAsking = false

  async #askOnce(questions: readonly Question[]): Promise<Answer[]> {
    const process = this.#process()
    const now = performance.now()
    // Of a storm, those that came before the first refusal are refused with it.
    const known = questions.map(({ asks }) => this.refusals.find(asks, now, (id) => this.#holdings.roomOf(id, now)))
    const prepared = questions.map(({ asks, refill }, i) =>
      refill || known[i] ? { parts: [], missing: [] } : this.#holdings.takeSome(asks, now),
    )
    const requests: AllotRequest[] = []
    const positions: (number | null)[] = questions.map(({ organizationId, refill }, i) => {
      const asks = refill
        ? [{ limit: refill.limit, need: 0n, want: refill.refillWant(now) }]
        : prepared[i]!.missing.map(({ limit, amount }) => ({
            limit,
            need: amount,
            want: this.#wantBeside(limit.id, amount, now),
          }))
      return asks.length === 0 ? null : requests.push({ organizationId, asks }) - 1
    })
    const unasked = (i: number): Answer =>
      known[i]
        ? { kind: 'refused', refusal: known[i], recalled: false, holders: [], mayFit: false }
        : { kind: 'held', parts: prepared[i]!.parts }
    if (requests.length === 0) return questions.map((_, i) => unasked(i))

    let result: { answers: AllotAnswer[]; standings: Map<string, Standing> }
    try {
      result = await allotBatch(this.#app, process, requests)
    } catch (error) {
      for (const { parts } of prepared) this.#holdings.undo(parts, performance.now())
      this.#onLostAnswer(error)
      throw error
    }
    const then = performance.now()
    const organizationOf = new Map(
      requests.flatMap(({ organizationId, asks }) => asks.map(({ limit }) => [limit.id, organizationId] as const)),
    )
    for (const standing of result.standings.values()) {
      if (standing.extra > 0n) this.#holdings.receive(standing, organizationOf.get(standing.limit.id)!, 0n, then)
    }
    // First all that was given is taken, so that nothing of it goes to another; then what was refused puts its parts back.
    const answers = questions.map(({ organizationId }, i): Answer => {
      const { parts, missing } = prepared[i]!
      const position = positions[i]
      if (typeof position !== 'number') return unasked(i)
      const answer = result.answers[position]!
      if (answer.kind === 'refused') {
        const { id } = answer.refusal.limit
        // This process, too, may hold what was missing by Postgres's account, and be giving it back.
        const recalled = answer.recalled || this.#holdings.isReturning(id)
        return { ...answer, recalled, mayFit: this.#freedMeanwhile.has(id) }
      }
      if (answer.kind === 'stale') return answer
      for (const { limit, amount } of missing) {
        const standing = { ...result.standings.get(limit.id)!, extra: 0n }
        parts.push(this.#holdings.receive(standing, organizationId, amount, then)!)
      }
      return { kind: 'held', parts }
    })
    const putBack = new Map<string, number>()
    answers.forEach((answer, i) => {
      if (answer.kind === 'held') return
      const { parts } = prepared[i]!
      this.#holdings.undo(parts, then)
      for (const { allotment } of parts) putBack.set(allotment.limit.id, (putBack.get(allotment.limit.id) ?? 0) + 1)
    })
    // Meanwhile requests may have ended here and put back what was missing, or a part of it.
    return answers.map((answer, i) => {
      if (answer.kind !== 'refused' || known[i]) return answer
      const { asks } = questions[i]!
      const taken = this.#holdings.takeAll(asks, then)
      if (taken) return { kind: 'held', parts: taken }
      const { refusal, recalled } = answer
      const ownParts = prepared[i]!.parts.some(({ allotment }) => allotment.limit.id === refusal.limit.id) ? 1 : 0
      const mayFit = answer.mayFit || (putBack.get(refusal.limit.id) ?? 0) > ownParts
      if (!recalled && !mayFit) this.refusals.remember(refusal, then)
      return { ...answer, mayFit }
    })
  }

  /** What to ask for in advance beside a need: as much as the flow says, or a few more of the kind when nothing is known yet. */
  #wantBeside(limitId: string, need: bigint, now: number): bigint {
    const allotment = this.#holdings.find(limitId)
    if (!allotment) return need * 8n
    if (allotment.contestedUntil > now) return 0n
    const want = allotment.refillWant(now)
    return want > need * 8n ? want : need * 8n
  }
}

/** Whether each of some is among others; false of none: somebody must have been heard. */
function allOf(some: readonly string[], others: ReadonlySet<string>): boolean {
  return some.length > 0 && some.every((one) => others.has(one))
}
