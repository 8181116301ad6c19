import type { Nanos } from '@nemo/domain/money'
import { costOf } from '@nemo/domain/pricing'
import { type LoggedDecision, type ReadDecision, readDecision } from '@nemo/gateway/routing/decision-log'
import type { RoutedCall } from '@nemo/postgres/replay-logs'
import { isCallersOwn, type Measured, type Pace, paceOf } from './measures.ts'
import { courseOf, isSameOrder, orderOf, type Turn } from './order.ts'
import { expectedCost, type Groups, type Policy, type Prices, questionUnder } from './policy.ts'
import { retrace } from './retrace.ts'

/** What an estimate has to know of the world. */
export interface World extends Prices, Groups {
  pace(deploymentId: string, pace: Pace): Measured | null
  failureRate(deploymentId: string, at: Date): number
}

/** Under the policy that there was, and under the other. */
export interface Pair<T> {
  actual: T
  other: T
}

export interface Latencies {
  /** Calls that could be estimated under both policies. */
  calls: number
  /** Milliseconds of all of them together: as they were measured, and as the method estimates them. */
  measuredMs: number
  estimatedMs: Pair<number>
}

export interface Share {
  /** Calls whose first choice it was. */
  first: Pair<number>
  answered: Pair<number>
  costNanos: Pair<Nanos>
}

const EXAMPLES_MAX = 10

/**
 * What logged calls came to, and what they would have come to under another policy, call by call. Pure: the same calls and the same world give the same numbers. What it holds grows with the
 * deployments, not with the calls. A call that would have gone through its deployments in the same order has come out as it did.
 */
export class Comparison {
  /** Calls that were decided again, and are in all numbers. */
  calls = 0
  /** Calls that were refused before they were routed: no policy has a part in them. */
  refused = 0
  /** Calls whose decision can't be read, or in which a deployment took part whose price isn't known any more; in none of the numbers. */
  unreadable = 0
  unpriced = 0
  /** Calls whose logged attempts don't follow from their logged decision, with the ids of some. */
  astray = 0
  readonly astrayIds: string[] = []
  /** Calls that would have gone elsewhere first, and calls that another deployment would have answered. */
  movedFirst = 0
  movedAnswer = 0
  readonly costNanos: Pair<Nanos> = { actual: 0n, other: 0n }
  /** The part of it that is of calls which another deployment would have answered. */
  readonly movedNanos: Pair<Nanos> = { actual: 0n, other: 0n }
  /** Calls that failed and wouldn't have: they are priced at what they were expected to take. */
  rescued = 0
  /** Calls of which a provider was to answer: those that failed, and those that were to, by the rates of failure. */
  called = 0
  failed = 0
  readonly failures: Pair<number> = { actual: 0, other: 0 }
  readonly latencies: Readonly<Record<Pace, Latencies>> = {
    'first-token': noLatencies(),
    'output-token': noLatencies(),
    answer: noLatencies(),
  }
  /** Answered calls that would go where no such call was measured. */
  unmeasured = 0
  readonly shares = new Map<string, Share>()
  readonly #policy: Policy
  readonly #world: World

  constructor(policy: Policy, world: World) {
    this.#policy = policy
    this.#world = world
  }

  add(call: RoutedCall): void {
    if (call.decision === null) {
      this.refused += call.repeats
      return
    }
    const decision = readDecision(call.decision)
    if (!decision) {
      this.unreadable++
      return
    }
    const fate = fateOf(call, decision, this.#policy, this.#world)
    if (fate === null) {
      this.unpriced++
      return
    }
    this.calls++
    if (fate.isAstray) this.#stray(call.id)
    this.#count(fate)
    this.#price(fate)
    if (fate.end === 'answered' || fate.end === 'failed') this.#fail(call, fate)
    if (fate.end === 'answered' && fate.answerer.other !== null) this.#time(call, fate.answerer.other)
  }

  #stray(id: string): void {
    this.astray++
    if (this.astrayIds.length < EXAMPLES_MAX) this.astrayIds.push(id)
  }

  #count({ order, answerer }: Fate): void {
    const first = { actual: order.actual[0]?.deploymentId ?? null, other: order.other[0]?.deploymentId ?? null }
    if (first.actual !== first.other) this.movedFirst++
    if (answerer.actual !== answerer.other) this.movedAnswer++
    for (const side of SIDES) {
      if (first[side] !== null) this.#share(first[side]).first[side]++
      if (answerer[side] !== null) this.#share(answerer[side]).answered[side]++
    }
  }

  #price({ answerer, costNanos, isRescued }: Fate): void {
    if (isRescued) this.rescued++
    for (const side of SIDES) {
      this.costNanos[side] += costNanos[side]
      if (answerer.actual !== answerer.other) this.movedNanos[side] += costNanos[side]
      if (answerer[side] !== null) this.#share(answerer[side]).costNanos[side] += costNanos[side]
    }
  }

  #fail({ startedAt }: RoutedCall, { end, order }: Fate): void {
    this.called++
    if (end === 'failed') this.failed++
    for (const side of SIDES) {
      this.failures[side] += order[side].reduce(
        (all, { deploymentId }) => all * this.#world.failureRate(deploymentId, startedAt),
        1,
      )
    }
  }

  #time({ streamed, outputTokens, deploymentId, attempts }: RoutedCall, other: string): void {
    const pace = paceOf(streamed, outputTokens)
    const there = this.#world.pace(other, pace)
    const here = deploymentId === null ? null : this.#world.pace(deploymentId, pace)
    if (!there || !here) {
      this.unmeasured++
      return
    }
    const units = pace === 'output-token' ? outputTokens! : 1
    const sums = this.latencies[pace]
    sums.calls++
    sums.measuredMs += attempts.at(-1)!.took_ms
    sums.estimatedMs.actual += here.ms * units
    sums.estimatedMs.other += there.ms * units
  }

  #share(deploymentId: string): Share {
    const known = this.shares.get(deploymentId)
    if (known) return known
    const none = {
      first: { actual: 0, other: 0 },
      answered: { actual: 0, other: 0 },
      costNanos: { actual: 0n, other: 0n },
    }
    this.shares.set(deploymentId, none)
    return none
  }
}

const SIDES = ['actual', 'other'] as const

function noLatencies(): Latencies {
  return { calls: 0, measuredMs: 0, estimatedMs: { actual: 0, other: 0 } }
}

/** How a call ended: no policy changes that a client goes away, that it asks what can't be answered, or that nobody was called. */
type End = 'answered' | 'failed' | 'callers-own' | 'hung-up' | 'uncalled'

/** What became of a call, and would have. */
interface Fate {
  readonly end: End
  readonly isAstray: boolean
  readonly order: Readonly<Pair<readonly Turn[]>>
  /** Who answered, and who would have; null when nobody. */
  readonly answerer: Readonly<Pair<string | null>>
  readonly costNanos: Readonly<Pair<Nanos>>
  /** It failed, and another would have answered. */
  readonly isRescued: boolean
}

/** Null when it depends on a price that isn't known any more. */
function fateOf(call: RoutedCall, decision: ReadDecision, policy: Policy, world: World): Fate | null {
  const question = questionUnder(policy, call, decision, world)
  if (question === null) return null
  const { passedOver, postponed } = decision
  const decided = orderOf(decision.question, passedOver)
  const order = {
    actual: courseOf(decided, postponed),
    other: courseOf(orderOf(question, passedOver), postponed),
  }
  const end = endOf(call)
  const actual = end === 'answered' ? call.deploymentId : null
  const other = isSameOrder(order.actual, order.other) ? actual : answererUnder(order.other, call, end)
  const otherNanos = costUnder(other, end, call, decision, world)
  if (otherNanos === null) return null
  return {
    end,
    isAstray: retrace(decided, call.attempts, postponed).length > 0,
    order,
    answerer: { actual, other },
    costNanos: { actual: call.costNanos, other: otherNanos },
    isRescued: actual === null && other !== null,
  }
}

function endOf({ attempts, status }: RoutedCall): End {
  const last = attempts.at(-1)
  if (!last) return 'uncalled'
  if (last.outcome === '200') return 'answered'
  if (last.outcome === 'hung-up' || status === CLIENT_GONE) return 'hung-up'
  return isCallersOwn(last.outcome) ? 'callers-own' : 'failed'
}

const CLIENT_GONE = 499

/** The first of the order that isn't known to have failed this very call. */
function answererUnder(order: readonly Turn[], { attempts, deploymentId }: RoutedCall, end: End): string | null {
  if (end !== 'answered' && end !== 'failed') return null
  const answered = end === 'answered' ? deploymentId : null
  const failed = new Set(attempts.map(({ deployment_id: id }) => id).filter((id) => id !== answered))
  return order.find((turn) => !failed.has(turn.deploymentId))?.deploymentId ?? null
}

/** What the call's usage costs where it would have been answered. Null when no price is known there. */
function costUnder(
  answerer: string | null,
  end: End,
  { deploymentId, usage, costNanos, startedAt }: RoutedCall,
  { expected }: LoggedDecision,
  world: Prices,
): Nanos | null {
  if (answerer === null) return end === 'answered' ? 0n : costNanos
  if (answerer === deploymentId && !world.isRepriced(answerer)) return costNanos
  const price = world.priceOf(answerer, startedAt)
  if (!price) return null
  return usage ? costOf(usage, price) : expectedCost(expected, price)
}
