import { drawsFrom } from './draws.ts'

/** How an organization wants deployments to be picked. docs/routing.md has each one's formula. */
export const STRATEGIES = ['simple-shuffle', 'least-busy', 'usage-based', 'latency-based', 'cost-based'] as const
export type Strategy = (typeof STRATEGIES)[number]

/** What is known of a deployment at the time of a decision. All of it goes into the decision log, so that the decision can be made again. */
export interface Facts {
  readonly id: string
  readonly weight: number
  /** Requests under way. */
  readonly inFlight: number
  /** What was sent there in the last 60 seconds, of what the provider allows; null where that isn't known. */
  readonly requests: number
  readonly requestsMax: number | null
  readonly tokens: number
  readonly tokensMax: number | null
  /** Recent milliseconds to the first token, or for each output token of an answer that isn't streamed; null where there are none recent enough. */
  readonly latencyMs: number | null
  /** What this request would probably cost there, in nanodollars. */
  readonly costNanos: number
}

/** Of how many decisions by latency one is made without looking at it, so that a deployment that has recovered is noticed. */
const EXPLORE_ONE_IN = 20

/**
 * The order in which to try deployments, by their positions. Pure: the same facts and the same seed give the same order. What has no headroom at its provider comes
 * last whatever the strategy: it may still be better than nothing.
 */
export function decide(strategy: Strategy, facts: readonly Facts[], seed: number): number[] {
  const draw = drawsFrom(seed)
  const scores = scoresOf(strategy, facts, draw)
  const shuffled = shuffle(facts, draw)
  // Sorting is stable: what scores alike stays in the order of the shuffle.
  return shuffled.sort((a, b) => Number(isFull(facts[a]!)) - Number(isFull(facts[b]!)) || scores[a]! - scores[b]!)
}

/** What each deployment is worth to the strategy: the least is tried first. Written into the decision log beside the facts. */
export function scoresOf(strategy: Strategy, facts: readonly Facts[], draw: () => number): number[] {
  switch (strategy) {
    case 'simple-shuffle':
      return facts.map(() => 0)
    case 'least-busy':
      return facts.map(({ inFlight }) => inFlight)
    case 'usage-based':
      return facts.map((one) => -headroomOf(one))
    case 'cost-based':
      return facts.map(({ costNanos }) => costNanos)
    case 'latency-based': {
      if (draw() * EXPLORE_ONE_IN < 1) return facts.map(() => 0)
      // What hasn't been measured lately is worth a try.
      return facts.map(({ latencyMs }) => latencyMs ?? 0)
    }
  }
}

/** The part of the provider's limits that is left, of the one of which less is; 1 where none is known. */
export function headroomOf({ requests, requestsMax, tokens, tokensMax }: Facts): number {
  const ofRequests = requestsMax === null ? 1 : 1 - requests / requestsMax
  const ofTokens = tokensMax === null ? 1 : 1 - tokens / tokensMax
  return Math.min(ofRequests, ofTokens)
}

export function isFull({ requests, requestsMax, tokens, tokensMax }: Facts): boolean {
  return (requestsMax !== null && requests >= requestsMax) || (tokensMax !== null && tokens >= tokensMax)
}

/** An order in which each is first with a chance in proportion to its weight. */
function shuffle(facts: readonly Facts[], draw: () => number): number[] {
  const left = facts.map((_, i) => i)
  const order: number[] = []
  while (left.length > 1) {
    const total = left.reduce((sum, i) => sum + facts[i]!.weight, 0)
    let point = draw() * total
    let chosen = 0
    while (chosen < left.length - 1 && point >= facts[left[chosen]!]!.weight) point -= facts[left[chosen++]!]!.weight
    order.push(...left.splice(chosen, 1))
  }
  return order.concat(left)
}
