import { costOf } from '@nemo/domain/pricing'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Gateway } from '../gateway.ts'
import { decide, type Facts, type Strategy } from '../routing/decide.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { ResolvedRequest } from './resolve.ts'

/** In which order deployments are tried, and all that this followed from: it is logged, and decided again by `nemo replay`. */
export interface Decision {
  readonly strategy: Strategy
  readonly seed: number
  readonly facts: readonly Facts[]
  readonly order: readonly Deployment[]
}

/** Puts the deployments that can serve the request into the order of the strategy that the request asks for, or else the organization has. */
export function route(gateway: Gateway, key: VirtualKey, request: ResolvedRequest): Decision {
  const strategy = request.extras.strategy ?? key.strategy
  const seed = Math.floor(Math.random() * 2 ** 32)
  const facts = request.deployments.map((deployment) => factsOf(gateway, request, deployment))
  const order = decide(strategy, facts, seed).map((i) => request.deployments[i]!)
  return { strategy, seed, facts, order }
}

function factsOf(gateway: Gateway, request: ResolvedRequest, deployment: Deployment): Facts {
  const { id, weight, requestsPerMinute, tokensPerMinute, price } = deployment
  const { inputTokens, tokensLikely } = request.expectation
  const { requests, tokens } = gateway.loadOf(id)
  return {
    id,
    weight,
    inFlight: gateway.observed.inFlight(id),
    requests,
    requestsMax: requestsPerMinute,
    tokens,
    tokensMax: tokensPerMinute,
    latencyMs: gateway.observed.latencyMs(id, request.streamed, performance.now()),
    costNanos: Number(costOf({ input: inputTokens, output: tokensLikely - inputTokens, request: 1 }, price!)),
  }
}
