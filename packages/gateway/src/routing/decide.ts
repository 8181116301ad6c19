import type { Strategy } from '@nemo/domain/routing-settings'
import { drawsFrom } from './draws.ts'

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
  /** What this request would probably cost there, in nanodollars; 0 where nothing depends on it. */
  readonly costNanos: number
  /** Why it is to be left alone for now, or null. */
  readonly cooling: Cooling | null
}

/** For whom a deployment cools: this organization, whose calls failed there, or everyone. `asked`: the provider itself said when to come back. */
export interface Cooling {
  readonly by: 'organization' | 'platform'
  readonly asked: boolean
  readonly ms: number
}

/** All that the order of a call's deployments follows from. */
export interface Question {
  readonly seed: number
  /** The deployment that holds the cache of this conversation; it comes first while it is well. */
  readonly sticky: string | null
  /** The group that was asked for, and those of its chain. */
  readonly links: readonly Link[]
}

export interface Link {
  readonly strategy: Strategy
  readonly facts: readonly Facts[]
}

/** Where to try: by the positions of the link and of the deployment in it. */
export interface Hop {
  readonly link: number
  readonly at: number
  /** Cooling: it is tried because nothing else is left. */
  readonly lastResort: boolean
}

/** What is called after a while in which it wasn't counts as this slow until it has answered, milliseconds: else all would follow to where nobody knows whether anything comes. */
const AWAITED_MS = 3_600_000

/** Of how many decisions by latency one is made without looking at it, so that a deployment that has recovered is noticed. */
const EXPLORE_ONE_IN = 20

/**
 * The order in which to try deployments. Pure: the same question has the same answer. Link after link, each by its strategy, and what has no headroom at its provider last within it: it
 * may still be better than nothing. So may be what is cooling, after all others; not, though, what a provider asked to be left alone.
 */
export function decide({ seed, sticky, links }: Question): Hop[] {
  const draw = drawsFrom(seed)
  const well: Hop[] = []
  const cooling: Hop[] = []
  links.forEach(({ strategy, facts }, link) => {
    for (const at of orderOf(strategy, facts, draw)) {
      const { cooling: cools } = facts[at]!
      if (cools === null) well.push({ link, at, lastResort: false })
      else if (!cools.asked) cooling.push({ link, at, lastResort: true })
    }
  })
  return [...withFirst(well, sticky, links), ...cooling]
}

/** The order of one group's deployments, by their positions. */
function orderOf(strategy: Strategy, facts: readonly Facts[], draw: () => number): number[] {
  if (facts.length === 1) return [0]
  const scores = scoresOf(strategy, facts, draw)
  const full = facts.map((one) => (isFull(one) ? 1 : 0))
  const shuffled = shuffle(facts, draw)
  // Sorting is stable: what scores alike stays in the order of the shuffle.
  return shuffled.sort((a, b) => full[a]! - full[b]! || scores[a]! - scores[b]!)
}

/** Of the first group only: a conversation isn't worth another model than the one asked for. */
function withFirst(hops: readonly Hop[], sticky: string | null, links: readonly Link[]): readonly Hop[] {
  if (sticky === null) return hops
  const i = hops.findIndex(({ link, at }) => {
    const facts = links[link]!.facts[at]!
    return link === 0 && facts.id === sticky && !isFull(facts)
  })
  return i <= 0 ? hops : [hops[i]!, ...hops.slice(0, i), ...hops.slice(i + 1)]
}

/** What each deployment is worth to the strategy: the least is tried first. */
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
      // What hasn't been measured lately is worth a try, and one at a time.
      return facts.map(({ latencyMs, inFlight }) => latencyMs ?? (inFlight === 0 ? 0 : AWAITED_MS))
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
  const order = facts.map((_, i) => i)
  const last = order.length - 1
  let total = facts.reduce((sum, { weight }) => sum + weight, 0)
  for (let turn = 0; turn < last; turn++) {
    let point = draw() * total
    let at = turn
    while (at < last && point >= facts[order[at]!]!.weight) point -= facts[order[at++]!]!.weight
    const chosen = order[at]!
    for (let i = at; i > turn; i--) order[i] = order[i - 1]!
    order[turn] = chosen
    total -= facts[chosen]!.weight
  }
  return order
}
