import { costOf } from '@nemo/domain/pricing'
import type { Facts, Question } from './decide.ts'
import type { Candidate, PlannedLink } from './plan.ts'

/** How deployments stand just now, to whoever decides. */
export interface Conditions {
  /** Requests under way. */
  inFlight(deploymentId: string): number
  /** What was sent there in the last 60 seconds. */
  loadOf(deploymentId: string): { readonly requests: number; readonly tokens: number }
  latencyMs(deploymentId: string): number | null
  coolingOf(deploymentId: string): Facts['cooling']
}

/** Input and output tokens, as far as they can be foreseen. */
export type Expected = readonly [input: number, output: number]

/** All that the order follows from: the candidates that can serve, and how each stands. */
export function questionOf(
  links: readonly PlannedLink[],
  expected: Expected,
  conditions: Conditions,
  seed: number,
  sticky: string | null,
): Question {
  return {
    seed,
    sticky,
    links: links.map(({ strategy, candidates }) => ({
      strategy,
      facts: able(candidates).map((one) => factsOf(one, strategy === 'cost-based' ? expected : null, conditions)),
    })),
  }
}

/** Those that can serve, in the order in which a question has their facts. */
export function able(candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ excluded }) => excluded === null)
}

function factsOf({ deployment, weight }: Candidate, expected: Expected | null, conditions: Conditions): Facts {
  const { id, requestsPerMinute, tokensPerMinute, price } = deployment
  const isLimited = requestsPerMinute !== null || tokensPerMinute !== null
  const { requests, tokens } = isLimited ? conditions.loadOf(id) : NO_LOAD
  return {
    id,
    weight,
    inFlight: conditions.inFlight(id),
    requests,
    requestsMax: requestsPerMinute,
    tokens,
    tokensMax: tokensPerMinute,
    latencyMs: conditions.latencyMs(id),
    costNanos: expected && price ? Number(costOf({ input: expected[0], output: expected[1], request: 1 }, price)) : 0,
    cooling: conditions.coolingOf(id),
  }
}

/** What nothing depends on isn't counted. */
const NO_LOAD = { requests: 0, tokens: 0 }
