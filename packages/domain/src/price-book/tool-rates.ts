import type { OfferedModel } from '../catalogue.ts'
import { parseUsd } from '../money.ts'
import type { Rates } from '../pricing.ts'

interface Rule {
  readonly provider: string
  readonly name: RegExp
  /** USD for a thousand. */
  readonly perThousand: { readonly [C in keyof Rates]?: string }
}

/**
 * What tools cost that a provider runs itself, where the source of the prices doesn't say: every rule that fits a name holds, the first of them for a class. OpenAI's are the same for all of its models
 * (https://platform.openai.com/docs/pricing, "Built-in tools"), but for the older search of the web with models that don't reason; its models that search with every request are billed by
 * that. Google's are by the grounded prompt before Gemini 3, by the query from then on, without what is free in a month (https://ai.google.dev/gemini-api/docs/pricing). xAI:
 * https://docs.x.ai/developers/pricing. Read 2026-11.
 */
const RULES: readonly Rule[] = [
  { provider: 'openai', name: /search-preview/, perThousand: { request: '25' } },
  { provider: 'openai', name: /search-api/, perThousand: { request: '10' } },
  { provider: 'openai', name: /^gpt-4(?:o|\.1|\.5)/, perThousand: { searchPreview: '25' } },
  { provider: 'openai', name: /./, perThousand: { search: '10', fileSearch: '2.5' } },
  { provider: 'gemini', name: /^gemini-(?:1\.5|2)/, perThousand: { search: '35' } },
  { provider: 'gemini', name: /^gemini-(?:[3-9]|[a-z-]*latest$)/, perThousand: { search: '14' } },
  { provider: 'xai', name: /./, perThousand: { search: '5', searchPreview: '5', fileSearch: '2.5' } },
]

const THOUSANDS = 1_000n

/** The model with the rates of its provider's tools, where they are known. What the source says comes first. */
export function withToolRates<M extends OfferedModel>(model: M): M {
  if (model.endpoint !== 'chat') return model
  const known: Record<string, bigint> = {}
  for (const { provider, name, perThousand } of RULES) {
    if (provider !== model.provider || !name.test(model.upstreamModel)) continue
    for (const [usageClass, usd] of Object.entries(perThousand)) known[usageClass] ??= parseUsd(usd) * THOUSANDS
  }
  return { ...model, nanosPerMillion: { ...known, ...model.nanosPerMillion } }
}
