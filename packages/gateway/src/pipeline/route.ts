import { ApiError } from '@nemo/domain/errors'
import { costOf } from '@nemo/domain/pricing'
import type { Strategy } from '@nemo/domain/routing-settings'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Gateway } from '../gateway.ts'
import { decide, type Facts, type Question } from '../routing/decide.ts'
import type { LoggedDecision } from '../routing/decision-log.ts'
import type { Candidate, PlannedLink } from '../routing/plan.ts'
import type { Place } from '../routing/tries.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { ResolvedRequest } from './resolve.ts'

/** In which order deployments are tried, and all that this followed from: it is logged, and decided again by `nemo replay`. */
export interface Decision extends LoggedDecision {
  /** That of the group that was asked for. */
  readonly strategy: Strategy
  readonly order: readonly Place<Deployment>[]
}

/**
 * Puts the deployments that can serve the request into the order of the strategy that the request asks for, or else the organization has; those of the chain after them. Throws a 503 when each
 * of them asked to be left alone, with the time when the first may be called again.
 */
export function route(gateway: Gateway, key: VirtualKey, request: ResolvedRequest): Decision {
  const { links, expectation } = request
  const now = performance.now()
  const able = links.map(({ candidates }) => candidates.filter(({ excluded }) => excluded === null))
  const question: Question = {
    seed: Math.floor(Math.random() * 2 ** 32),
    sticky: gateway.conversations.deploymentOf(request.conversation, now),
    links: links.map(({ strategy }, i) => ({
      strategy,
      facts: able[i]!.map((candidate) => factsOf(gateway, key, request, candidate, strategy === 'cost-based', now)),
    })),
  }
  const order = decide(question).map(({ link, at, lastResort }) => ({
    deployment: able[link]![at]!.deployment,
    link,
    lastResort,
  }))
  if (order.length === 0) throw allCooling(question)
  const { inputTokens, tokensLikely } = expectation
  return {
    strategy: links[0]!.strategy,
    question,
    order,
    expected: [inputTokens, tokensLikely - inputTokens],
    links: links.map(describe),
  }
}

function describe({ group, candidates }: PlannedLink): LoggedDecision['links'][number] {
  const excluded = candidates.filter((candidate) => candidate.excluded !== null)
  return { group: group.name, excluded: excluded.map(({ deployment, excluded }) => [deployment.id, excluded!]) }
}

function factsOf(
  gateway: Gateway,
  key: VirtualKey,
  { expectation, streamed }: ResolvedRequest,
  { deployment, weight }: Candidate,
  isByCost: boolean,
  now: number,
): Facts {
  const { id, requestsPerMinute, tokensPerMinute, price } = deployment
  const isLimited = requestsPerMinute !== null || tokensPerMinute !== null
  const { requests, tokens } = isLimited ? gateway.loadOf(id) : UNKNOWN_LOAD
  return {
    id,
    weight,
    inFlight: gateway.observed.inFlight(id),
    requests,
    requestsMax: requestsPerMinute,
    tokens,
    tokensMax: tokensPerMinute,
    latencyMs: gateway.observed.latencyMs(id, streamed, now),
    costNanos: isByCost ? Number(costOf(likelyUsage(expectation), price!)) : 0,
    cooling: gateway.health.coolingOf(key.organizationId, id, now),
  }
}

const UNKNOWN_LOAD = { requests: 0, tokens: 0 }

function likelyUsage({ inputTokens, tokensLikely }: ResolvedRequest['expectation']) {
  return { input: inputTokens, output: tokensLikely - inputTokens, request: 1 }
}

function allCooling({ links }: Question): ApiError {
  const waits = links.flatMap(({ facts }) => facts.map(({ cooling }) => cooling?.ms ?? 0))
  const soonestMs = Math.max(Math.min(...waits), 1)
  return new ApiError(
    503,
    'no_healthy_deployment',
    'Every provider that could serve this request has asked to be left alone for now.',
    { headers: { 'retry-after': String(Math.ceil(soonestMs / 1000)), 'retry-after-ms': String(soonestMs) } },
  )
}
