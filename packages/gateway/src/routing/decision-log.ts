import { STRATEGIES, type Strategy } from '@nemo/domain/routing-settings'
import type { Cooling, Facts, Question } from './decide.ts'

/** A decision as a log row has it. */
export interface LoggedDecision {
  readonly question: Question
  /** Input and output tokens, as they were expected. */
  readonly expected: readonly [input: number, output: number]
  /** By link: the name of the group, and what couldn't serve, with the reason. */
  readonly links: readonly {
    readonly group: string
    readonly excluded: readonly (readonly [id: string, why: string])[]
  }[]
}

/** What became of the order while it was carried out, beside the attempts. */
export interface CarriedOut {
  /** Deployments that weren't called, since they have nothing like this field of the request. */
  readonly passedOver: readonly (readonly [id: string, param: string])[]
  /** Deployments that came to be left out since the decision, and so to be tried last; after how many attempts. */
  readonly postponed: readonly (readonly [id: string, attempts: number])[]
}

export type ReadDecision = LoggedDecision & CarriedOut

/** Counts up with every change of what follows from a question: the same facts must not be taken to have led elsewhere. */
const DECISION_VERSION = 1

export interface WrittenDecision {
  readonly version: number
  readonly seed: number
  readonly sticky?: string
  readonly expected: readonly [number, number]
  readonly links: readonly WrittenLink[]
  readonly passedOver?: CarriedOut['passedOver']
  readonly postponed?: CarriedOut['postponed']
}

interface WrittenLink {
  readonly group: string
  readonly strategy: Strategy
  readonly facts: readonly WrittenFacts[]
  readonly excluded?: readonly (readonly [id: string, why: string])[]
}

/** Rows rather than objects, since there is one for each candidate of each call. */
type WrittenFacts = readonly [
  id: string,
  weight: number,
  inFlight: number,
  requests: number,
  requestsMax: number | null,
  tokens: number,
  tokensMax: number | null,
  latencyMs: number | null,
  costNanos: number,
  cooling?: Cooling,
]

/** The decision as its log row keeps it, with what became of it. */
export function writeDecision(
  { question, expected, links }: LoggedDecision,
  { passedOver, postponed }: CarriedOut = AS_DECIDED,
): WrittenDecision {
  const { seed, sticky } = question
  return {
    version: DECISION_VERSION,
    seed,
    ...(sticky !== null && { sticky }),
    expected,
    links: question.links.map(({ strategy, facts }, i) => {
      const { group, excluded } = links[i]!
      return { group, strategy, facts: facts.map(writeFacts), ...(excluded.length > 0 && { excluded }) }
    }),
    ...(passedOver.length > 0 && { passedOver }),
    ...(postponed.length > 0 && { postponed }),
  }
}

const AS_DECIDED: CarriedOut = { passedOver: [], postponed: [] }

/** Reads it again; null of what this release can't read: that of another release, or of a call that never got so far. */
export function readDecision(written: unknown): ReadDecision | null {
  if (!isWritten(written)) return null
  const { seed, sticky = null, expected, links, passedOver = [], postponed = [] } = written
  return {
    question: { seed, sticky, links: links.map(({ strategy, facts }) => ({ strategy, facts: facts.map(readFacts) })) },
    expected,
    links: links.map(({ group, excluded = [] }) => ({ group, excluded })),
    passedOver,
    postponed,
  }
}

function isWritten(written: unknown): written is WrittenDecision {
  const { version, seed, sticky, expected, links, passedOver, postponed } = (written ?? {}) as Partial<
    Record<string, unknown>
  >
  return (
    version === DECISION_VERSION &&
    typeof seed === 'number' &&
    (sticky === undefined || typeof sticky === 'string') &&
    isNumbers(expected, 2) &&
    Array.isArray(links) &&
    links.every(isLink) &&
    (passedOver === undefined || isPairs(passedOver)) &&
    (postponed === undefined || isPairs(postponed))
  )
}

function isLink(link: unknown): boolean {
  const { group, strategy, facts, excluded } = (link ?? {}) as Partial<Record<string, unknown>>
  return (
    typeof group === 'string' &&
    STRATEGIES.includes(strategy as Strategy) &&
    Array.isArray(facts) &&
    facts.every(isFacts) &&
    (excluded === undefined || isPairs(excluded))
  )
}

function isFacts(row: unknown): boolean {
  if (!Array.isArray(row) || row.length < 9 || row.length > 10) return false
  const [id, weight, inFlight, requests, requestsMax, tokens, tokensMax, latencyMs, costNanos, cooling] = row
  const isCooling =
    cooling === undefined ||
    ((cooling?.by === 'organization' || cooling?.by === 'platform') &&
      typeof cooling.asked === 'boolean' &&
      typeof cooling.ms === 'number')
  return (
    typeof id === 'string' &&
    isNumbers([weight, inFlight, requests, tokens, costNanos], 5) &&
    isNumbers([requestsMax ?? 0, tokensMax ?? 0, latencyMs ?? 0], 3) &&
    isCooling
  )
}

function isNumbers(list: unknown, count: number): boolean {
  return Array.isArray(list) && list.length === count && list.every((one) => typeof one === 'number')
}

function isPairs(list: unknown): boolean {
  return Array.isArray(list) && list.every((pair) => Array.isArray(pair) && typeof pair[0] === 'string')
}

function writeFacts(facts: Facts): WrittenFacts {
  const { id, weight, inFlight, requests, requestsMax, tokens, tokensMax, latencyMs, costNanos, cooling } = facts
  const row = [id, weight, inFlight, requests, requestsMax, tokens, tokensMax, latencyMs, costNanos] as const
  return cooling === null ? row : [...row, cooling]
}

function readFacts(row: WrittenFacts): Facts {
  const [id, weight, inFlight, requests, requestsMax, tokens, tokensMax, latencyMs, costNanos, cooling = null] = row
  return { id, weight, inFlight, requests, requestsMax, tokens, tokensMax, latencyMs, costNanos, cooling }
}
