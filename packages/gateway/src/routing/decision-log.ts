import type { Strategy } from '@nemo/domain/routing-settings'
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

export interface WrittenDecision {
  readonly seed: number
  readonly sticky?: string
  readonly expected: readonly [number, number]
  readonly links: readonly WrittenLink[]
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

/** The decision as its log row keeps it. */
export function writeDecision({ question, expected, links }: LoggedDecision): WrittenDecision {
  const { seed, sticky } = question
  return {
    seed,
    ...(sticky !== null && { sticky }),
    expected,
    links: question.links.map(({ strategy, facts }, i) => {
      const { group, excluded } = links[i]!
      return { group, strategy, facts: facts.map(writeFacts), ...(excluded.length > 0 && { excluded }) }
    }),
  }
}

/** Reads it again; null of a row that this release can't read: one of another release, or of a call that never got so far. */
export function readDecision(written: unknown): LoggedDecision | null {
  const { seed, sticky = null, expected, links } = (written ?? {}) as Partial<WrittenDecision>
  if (typeof seed !== 'number' || !expected || !Array.isArray(links)) return null
  return {
    question: { seed, sticky, links: links.map(({ strategy, facts }) => ({ strategy, facts: facts.map(readFacts) })) },
    expected,
    links: links.map(({ group, excluded = [] }) => ({ group, excluded })),
  }
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
