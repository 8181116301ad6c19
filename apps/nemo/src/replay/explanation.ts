import { requestIdOf } from '@nemo/domain/ids'
import { headroomOf, isFull } from '@nemo/gateway/routing/decide'
import { type ReadDecision, readDecision } from '@nemo/gateway/routing/decision-log'
import type { DeploymentName } from '@nemo/postgres/replay-logs'
import type { RequestLogRow } from '@nemo/postgres/request-logs'
import { Failure } from '../failure.ts'
import { orderOf, scoresByLink } from './order.ts'
import { retrace } from './retrace.ts'

/** A logged decision that was made again, as a program reads it. */
export interface Explanation {
  readonly request_id: string
  readonly started_at: Date
  readonly organization: string
  readonly model_group: string | null
  readonly status: number
  readonly strategy: string | null
  readonly seed: number
  readonly sticky: string | null
  readonly expected: { readonly input_tokens: number; readonly output_tokens: number }
  readonly links: readonly ExplainedLink[]
  readonly order: readonly (Named & { readonly group: string; readonly last_resort: boolean })[]
  readonly passed_over: readonly (Named & { readonly param: string })[]
  /** What came to be left out since the decision, and so to be tried last. */
  readonly postponed: readonly (Named & { readonly after_attempts: number })[]
  readonly attempts: RequestLogRow['attempts']
  readonly answered_by: string | null
  /** What of the attempts doesn't follow from the decision, in sentences. */
  readonly differences: readonly string[]
  readonly the_same: boolean
}

interface Named {
  readonly deployment_id: string
  /** Null where the deployment is gone and was never called. */
  readonly provider: string | null
  readonly model: string | null
}

interface ExplainedLink {
  readonly group: string
  readonly strategy: string
  readonly candidates: readonly ExplainedCandidate[]
}

export interface ExplainedCandidate extends Named {
  /** Its place in the order, from 1 on; null where it wasn't to be tried. */
  readonly position: number | null
  /** Why it wasn't to be tried, or only as the last resort. */
  readonly excluded: string | null
  /** What it was worth to the strategy: the least is first. */
  readonly score: number | null
  readonly facts: {
    readonly weight: number
    readonly in_flight: number
    readonly requests: number
    readonly requests_max: number | null
    readonly tokens: number
    readonly tokens_max: number | null
    readonly headroom: number
    readonly full: boolean
    readonly latency_ms: number | null
    readonly cost_nanos: number
    readonly cooling: { readonly by: string; readonly asked: boolean; readonly ms: number } | null
  } | null
}

/** Makes the decision of a log row again. Throws when the row has none, or one that this release can't read. */
export function explain(row: RequestLogRow, deployments: readonly DeploymentName[]): Explanation {
  const decision = decisionOf(row)
  const { question, expected, passedOver, postponed } = decision
  const named = namesOf(row, deployments)
  const order = orderOf(question, passedOver)
  const attempts = row.attempts as Parameters<typeof retrace>[1]
  const differences = retrace(order, attempts, postponed)
  return {
    request_id: requestIdOf(row.id),
    started_at: row.started_at,
    organization: row.organization,
    model_group: row.model_group,
    status: row.status,
    strategy: row.strategy,
    seed: question.seed,
    sticky: question.sticky,
    expected: { input_tokens: expected[0], output_tokens: expected[1] },
    links: linksOf(decision, order, named),
    order: order.map(({ deploymentId, link, lastResort }) => ({
      ...named(deploymentId),
      group: decision.links[link]!.group,
      last_resort: lastResort,
    })),
    passed_over: passedOver.map(([id, param]) => ({ ...named(id), param })),
    postponed: postponed.map(([id, attempts]) => ({ ...named(id), after_attempts: attempts })),
    attempts: row.attempts,
    answered_by: row.deployment_id,
    differences,
    the_same: differences.length === 0,
  }
}

function decisionOf({ id, decision, status, error_code }: RequestLogRow): ReadDecision {
  if (decision === null) {
    throw new Failure(
      `${requestIdOf(id)} was refused before it was routed (${status}${error_code ? ` ${error_code}` : ''}): there is no decision to replay.`,
    )
  }
  const read = readDecision(decision)
  if (read) return read
  throw new Failure(`The decision of ${requestIdOf(id)} was logged by another release, and this one can't read it.`)
}

/** Names as they are today, or else as the attempts have them. */
function namesOf(row: RequestLogRow, deployments: readonly DeploymentName[]): (id: string) => Named {
  const names = new Map<string, Named>()
  for (const { deployment_id: id, provider, model } of row.attempts as readonly (Named & { deployment_id: string })[])
    names.set(id, { deployment_id: id, provider, model })
  for (const { id, provider, model } of deployments) names.set(id, { deployment_id: id, provider, model })
  return (id) => names.get(id) ?? { deployment_id: id, provider: null, model: null }
}

function linksOf(
  { question, links, passedOver }: ReadDecision,
  order: ReturnType<typeof orderOf>,
  named: (id: string) => Named,
): ExplainedLink[] {
  const scores = scoresByLink(question)
  return question.links.map(({ strategy, facts }, link) => {
    const { group, excluded } = links[link]!
    const able = facts.map((one, at): ExplainedCandidate => {
      const i = order.findIndex((turn) => turn.link === link && turn.deploymentId === one.id)
      const param = passedOver.find(([id]) => id === one.id)?.[1]
      return {
        ...named(one.id),
        position: i < 0 ? null : i + 1,
        excluded: param === undefined ? coolingOf(one.cooling) : `has nothing like ${param}`,
        score: scores[link]![at]!,
        facts: {
          weight: one.weight,
          in_flight: one.inFlight,
          requests: one.requests,
          requests_max: one.requestsMax,
          tokens: one.tokens,
          tokens_max: one.tokensMax,
          headroom: headroomOf(one),
          full: isFull(one),
          latency_ms: one.latencyMs,
          cost_nanos: one.costNanos,
          cooling: one.cooling,
        },
      }
    })
    const unable = excluded.map(
      ([id, why]): ExplainedCandidate => ({ ...named(id), position: null, excluded: why, score: null, facts: null }),
    )
    const byPosition = able.toSorted((a, b) => (a.position ?? Infinity) - (b.position ?? Infinity))
    return { group, strategy, candidates: [...byPosition, ...unable] }
  })
}

function coolingOf(cooling: { by: string; asked: boolean; ms: number } | null): string | null {
  if (cooling === null) return null
  const whose = cooling.by === 'platform' ? 'for everyone' : 'for the organization'
  const asked = cooling.asked ? ', as the provider asked' : ''
  return cooling.ms === 0 ? `half open ${whose}` : `cooling ${whose}${asked}, ${cooling.ms} ms more`
}
