import type { OfferedModel } from '../catalogue.ts'
import { capabilitiesOf, endpointOf, outputTokensMaxOf } from './capabilities.ts'
import { withKnownFacts } from './known-facts.ts'
import type { SourceModel } from './read-source.ts'
import { withServiceTiers } from './service-tiers.ts'
import { withToolRates } from './tool-rates.ts'

/** Those whose own models go by their bare names; of all others the group is `provider/model`, so that no name means two things. */
const MAKERS = new Set([
  'openai',
  'anthropic',
  'gemini',
  'mistral',
  'cohere',
  'deepseek',
  'xai',
  'perplexity',
  'moonshot',
  'minimax',
  'zhipu',
  'voyage',
  'arcee',
])

/** A source's model as it is offered; none for what can't be called by any endpoint of ours. */
export function offer(model: SourceModel, source: string): OfferedModel[] {
  const { provider, name, contextTokens, nanosPerMillion, tiers } = model
  const endpoint = endpointOf(name)
  if (endpoint === null) return []
  // A model that charges for its output must say how much: what has no output price could only be free.
  if (endpoint !== 'embeddings' && nanosPerMillion.output === undefined) return []
  // Only Mistral says how long the sound was, and of its chat models no source has a price by the second.
  if (nanosPerMillion.second !== undefined) return []
  const outputTokensMax = endpoint === 'embeddings' ? null : outputTokensMaxOf(name)
  // Without it nobody could say what a picture costs at most.
  if (endpoint === 'images' && outputTokensMax === null) return []
  const id = `${provider}/${name}`
  return [
    complete({
      id,
      provider,
      endpoint,
      contextTokens,
      outputTokensMax,
      capabilities: endpoint === 'chat' ? capabilitiesOf(name, contextTokens) : [],
      group: MAKERS.has(provider) ? name : id,
      upstreamModel: name,
      nanosPerMillion,
      ...(tiers.length > 0 && { tiers }),
      priceSource: source,
    }),
  ]
}

/** With what our own lists say of it. */
export function complete(model: OfferedModel): OfferedModel {
  return withKnownFacts(withServiceTiers(withToolRates(model)))
}
