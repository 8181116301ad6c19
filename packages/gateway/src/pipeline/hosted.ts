import type { JsonObject } from '@nemo/codec/chat/request'
import { asksForTools, type HostedTool, hostedTools } from '@nemo/codec/hosted-tools'
import type { Surface } from '@nemo/codec/surface'
import { pricesTier, rateOf } from '@nemo/domain/pricing'
import type { Usage, UsageClass } from '@nemo/domain/usage'
import type { PlannedLink } from '../routing/plan.ts'
import type { Deployment } from '../snapshot/catalogue.ts'

/** What a deployment would do for a request on its provider's servers, and bill beside the tokens. */
export type Hosted = (deployment: Deployment) => readonly HostedTool[]

/** Null for a request that asks for none of that, as most. */
export function hostedOf(surface: Surface['name'], fields: JsonObject): Hosted | null {
  if (!asksForTools(fields)) return null
  return ({ upstream, upstreamModel }) => hostedTools(surface, fields, upstream.provider, upstreamModel)
}

/** Leaves out the deployments of which the request asks for what their price says nothing of: it would be billed, and nobody could be charged. */
export function withinPrices(
  links: readonly PlannedLink[],
  hosted: Hosted | null,
  fields: JsonObject,
  serviceTier: string | null,
): readonly PlannedLink[] {
  if (hosted === null && serviceTier === null) return links
  return links.map((link) => ({
    ...link,
    candidates: link.candidates.map((candidate) => {
      const { deployment, excluded } = candidate
      const param = excluded === null ? unpriced(deployment, hosted, fields, serviceTier) : null
      return param === null ? candidate : { ...candidate, excluded: `unpriced:${param}` as const }
    }),
  }))
}

/** The field that asks for what can't be charged; null where there is none. */
function unpriced(
  deployment: Deployment,
  hosted: Hosted | null,
  fields: JsonObject,
  serviceTier: string | null,
): string | null {
  const { upstream, price } = deployment
  const rates = price!.nanosPerMillion
  // Who says what it billed needs no price, and who costs nothing has one.
  if (upstream.provider.reportsCost || Object.values(rates).every((nanos) => nanos === 0n)) return null
  const isPriced = ({ bill }: HostedTool) => bill !== null && (rates[bill] !== undefined || rateOf(bill, rates) > 0n)
  const tool = hosted?.(deployment).find((one) => !isPriced(one))
  if (tool) return tool.param
  if (pricesTier(price!, serviceTier)) return null
  return fields.inference_geo != null ? 'inference_geo' : fields.speed != null ? 'speed' : 'service_tier'
}

/** What a search brings is read as input: a block of it from the web, of files up to twenty pieces of 800 tokens (https://platform.openai.com/docs/pricing, …/docs/guides/tools-file-search). */
const TOKENS_FOUND: { readonly [C in UsageClass]?: number } = {
  search: 8_000,
  searchPreview: 8_000,
  fileSearch: 16_000,
}

/** The most that the tools come to. */
export function usageOfTools(tools: readonly HostedTool[]): Usage {
  const most: { [C in UsageClass]?: number } = {}
  for (const { bill, most: times } of tools) {
    // Every request is counted once as it is.
    if (bill === null || bill === 'request') continue
    most[bill] = (most[bill] ?? 0) + times
    most.input = (most.input ?? 0) + times * (TOKENS_FOUND[bill] ?? 0)
  }
  return most
}
