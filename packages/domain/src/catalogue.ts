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
