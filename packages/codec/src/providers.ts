/** A provider is data: a dialect, where it is, and how its users know it. */
export interface Provider {
  readonly name: string
  readonly dialect: 'openai'
  /** Null where every installation has its own, so that the credential must bring it. */
  readonly baseUrl: string | null
  /** The environment variable that its users keep the key in. */
  readonly apiKeyVariable: string | null
  /**
   * The field that caps the length of an answer. OpenAI's newer models refuse `max_tokens`; what calls itself compatible may know nothing else, and
   * both at once OpenAI refuses as well.
   */
  readonly outputCap: 'max_completion_tokens' | 'max_tokens'
  readonly documentation: string
}

export const PROVIDERS: readonly Provider[] = [
  {
    name: 'openai',
    dialect: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    apiKeyVariable: 'OPENAI_API_KEY',
    outputCap: 'max_completion_tokens',
    documentation: 'https://platform.openai.com/docs/api-reference',
  },
  {
    name: 'openai-compatible',
    dialect: 'openai',
    baseUrl: null,
    apiKeyVariable: null,
    outputCap: 'max_tokens',
    documentation: 'https://platform.openai.com/docs/api-reference',
  },
  {
    name: 'sandbox',
    dialect: 'openai',
    baseUrl: null,
    apiKeyVariable: null,
    outputCap: 'max_completion_tokens',
    documentation: 'packages/sandbox/README.md',
  },
]

export function findProvider(name: string): Provider | null {
  return PROVIDERS.find((provider) => provider.name === name) ?? null
}
