import type { Price } from './pricing.ts'

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
  /** From which day on the provider serves it no more, `YYYY-MM-DD`, as far as it has said. */
  readonly deprecatesOn?: string | null
  /** What the provider says in public that it allows in 60 seconds. What it allows a credential is its deployment's. */
  readonly requestsPerMinute?: number | null
  readonly tokensPerMinute?: number | null
}

/** A model as an operator offers it: a catalogue entry with a name, a place and a price. */
export interface OfferedModel extends Model, Omit<Price, 'versionId'> {
  /** The model group that callers ask for. */
  readonly group: string
  /** What the provider calls it. */
  readonly upstreamModel: string
  /** Where the price is from: a page, or who said so. */
  readonly priceSource: string
}
