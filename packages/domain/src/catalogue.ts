import type { ContextTier, Rates } from './pricing.ts'

/** What a model is called through. */
export type Endpoint = 'chat' | 'embeddings' | 'images'

/** An entry of the catalogue. */
export interface Model {
  /** `provider/name`, unique. */
  readonly id: string
  readonly provider: string
  readonly endpoint: Endpoint
  /** Null where the provider doesn't say. */
  readonly contextTokens: number | null
  readonly outputTokensMax: number | null
  /** Capability tags: `vision`, `function-calling`, `json-schema`, `reasoning`, … */
  readonly capabilities: readonly string[]
}

/** A model as an operator offers it: a catalogue entry with a name, a place and a price. */
export interface OfferedModel extends Model {
  /** The model group that callers ask for. */
  readonly group: string
  /** What the provider calls it. */
  readonly upstreamModel: string
  readonly nanosPerMillion: Rates
  readonly tiers?: readonly ContextTier[]
  readonly serviceTiers?: Readonly<Record<string, Rates>>
  /** Where the price is from: a page, or who said so. */
  readonly priceSource: string
}
