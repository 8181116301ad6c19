import { ApiError } from '@nemo/domain/errors'
import type { Strategy } from '@nemo/domain/routing-settings'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Gateway } from '../gateway.ts'
import { decide, type Question } from '../routing/decide.ts'
import type { LoggedDecision } from '../routing/decision-log.ts'
import type { PlannedLink } from '../routing/plan.ts'
import { able, type Conditions, type Expected, questionOf } from '../routing/question.ts'
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
  const decision = consider(gateway, key, request)
  if (decision.order.length === 0) throw allCooling(decision.question)
  return decision
}

/** The same, with an order that may be empty. */
export function consider(gateway: Gateway, key: VirtualKey, request: ResolvedRequest): Decision {
  const { links } = request
  const now = performance.now()
  const expected = expectedOf(request)
  const sticky = gateway.conversations.deploymentOf(request.conversation, now)
  const seed = Math.floor(Math.random() * 2 ** 32)
  const question = questionOf(links, expected, conditionsOf(gateway, key, request, now), seed, sticky)
  const candidates = links.map((link) => able(link.candidates))
  const order = decide(question).map(({ link, at, lastResort }) => ({
    deployment: candidates[link]![at]!.deployment,
    link,
    lastResort,
  }))
  return { strategy: links[0]!.strategy, question, order, expected, links: links.map(describe) }
}

function expectedOf({ expectation: { inputTokens, tokensLikely } }: ResolvedRequest): Expected {
  return [inputTokens, tokensLikely - inputTokens]
}

function conditionsOf(
  { observed, health, loadOf }: Gateway,
  { organizationId }: VirtualKey,
  { streamed }: ResolvedRequest,
  now: number,
): Conditions {
  return {
    inFlight: (id) => observed.inFlight(id),
    loadOf,
    latencyMs: (id) => observed.latencyMs(id, streamed, now),
    coolingOf: (id) => health.coolingOf(organizationId, id, now),
  }
}

function describe({ group, candidates }: PlannedLink): LoggedDecision['links'][number] {
  const excluded = candidates.filter((candidate) => candidate.excluded !== null)
  return { group: group.name, excluded: excluded.map(({ deployment, excluded }) => [deployment.id, excluded!]) }
}

/** What a call is told for which nothing is left to try. */
export function allCooling({ links }: Question): ApiError {
  const waits = links.flatMap(({ facts }) => facts.map(({ cooling }) => cooling?.ms ?? 0))
  const soonestMs = Math.max(Math.min(...waits), 1)
  return new ApiError(
    503,
    'no_healthy_deployment',
    'Every provider that could serve this request has asked to be left alone for now.',
    { headers: { 'retry-after': String(Math.ceil(soonestMs / 1000)), 'retry-after-ms': String(soonestMs) } },
  )
}
