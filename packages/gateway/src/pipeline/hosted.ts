import type { JsonObject } from '@nemo/codec/chat/request'
import { type HostedTool, hostedTools, mayHost } from '@nemo/codec/hosted-tools'
import type { Surface } from '@nemo/codec/surface'
import type { Nanos } from '@nemo/domain/money'
import { pricesTier, rateOf } from '@nemo/domain/pricing'
import type { Usage, UsageClass } from '@nemo/domain/usage'
import type { PlannedLink } from '../routing/plan.ts'
import type { Deployment } from '../snapshot/catalogue.ts'

/** What a deployment's provider would do for a request on its own servers. */
export type Hosted = (deployment: Deployment) => readonly HostedTool[]

/** Null for a request that asks for none of that, as most. What it answers with throws a 400 on a most that is none. */
export function hostedOf(surface: Surface['name'], fields: JsonObject): Hosted | null {
  if (!mayHost(fields)) return null
  const known = new Map<Deployment, readonly HostedTool[]>()
  return (deployment) => {
    const { upstream, upstreamModel } = deployment
    const tools = known.get(deployment) ?? hostedTools(surface, fields, upstream.provider, upstreamModel)
    known.set(deployment, tools)
    return tools
  }
}

/** The fields of a request that ask a deployment for what can't be charged. */
export type Unpriced = (deployment: Deployment) => readonly string[]

/** Null for a request that asks for nothing that bears on the price. `maxCost` is what the caller wants the call to come to at most. */
export function unpricedOf(
  fields: JsonObject,
  hosted: Hosted | null,
  serviceTier: string | null,
  maxCost: Nanos | null,
): Unpriced | null {
  if (hosted === null && serviceTier === null) return null
  return (deployment) => {
    const tools = hosted?.(deployment) ?? []
    const params = tools.filter((tool) => !isPriced(tool, deployment, maxCost)).map(({ param }) => param)
    return isTierPriced(deployment, serviceTier) ? params : [...params, tierField(fields)]
  }
}

/** Who says what it billed needs no price, as long as nobody asks what it will be; and what costs nothing has one. Another model is never what was asked for. */
function isPriced({ bill }: HostedTool, deployment: Deployment, maxCost: Nanos | null): boolean {
  const rates = deployment.price!.nanosPerMillion
  if (bill === 'tokens') return true
  if (bill === 'model') return false
  if ((deployment.upstream.provider.reportsCost && maxCost === null) || isFree(deployment)) return true
  return bill !== null && (rates[bill] !== undefined || rateOf(bill, rates) > 0n)
}

function isTierPriced(deployment: Deployment, serviceTier: string | null): boolean {
  return deployment.upstream.provider.reportsCost || isFree(deployment) || pricesTier(deployment.price!, serviceTier)
}

function isFree({ price }: Deployment): boolean {
  return Object.values(price!.nanosPerMillion).every((nanos) => nanos === 0n)
}

function tierField({ inference_geo: place, speed }: JsonObject): string {
  return place != null ? 'inference_geo' : speed != null ? 'speed' : 'service_tier'
}

/** Marks the deployments of which the request asks for what can't be charged. */
export function withinPrices(links: readonly PlannedLink[], unpriced: Unpriced | null): readonly PlannedLink[] {
  if (unpriced === null) return links
  return links.map((link) => ({
    ...link,
    candidates: link.candidates.map((candidate) => {
      const [param] = candidate.excluded === null ? unpriced(candidate.deployment) : []
      return param === undefined ? candidate : { ...candidate, excluded: `unpriced:${param}` as const }
    }),
  }))
}

/** The most that a provider's tools come to, where so much is put in and the model takes so much. */
export function usageOfTools(tools: readonly HostedTool[], input: number, contextTokens: number): Usage {
  const most: { [C in UsageClass]?: number } = { input }
  for (const { bill, most: times, brings, rereads } of tools) {
    if (bill === null || bill === 'model') continue
    most.input! += input * rereads + (brings === 'context' ? contextTokens : brings * times)
    // Every request is counted once as it is.
    if (bill !== 'tokens' && bill !== 'request') most[bill] = (most[bill] ?? 0) + times
  }
  return most
}
