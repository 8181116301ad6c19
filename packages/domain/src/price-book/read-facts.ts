import type { ModelFacts } from './known-facts.ts'

/** Our providers by the names that LiteLLM has for them. */
const PROVIDERS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  gemini: 'gemini',
  bedrock: 'bedrock',
  bedrock_converse: 'bedrock',
  azure: 'azure',
  mistral: 'mistral',
  cohere: 'cohere',
  cohere_chat: 'cohere',
  deepseek: 'deepseek',
  xai: 'xai',
  groq: 'groq',
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  perplexity: 'perplexity',
  openrouter: 'openrouter',
  cerebras: 'cerebras',
  moonshot: 'moonshot',
  minimax: 'minimax',
  zai: 'zhipu',
  voyage: 'voyage',
}

const TAGS: Readonly<Record<string, string>> = {
  supports_vision: 'vision',
  supports_function_calling: 'function-calling',
  supports_response_schema: 'json-schema',
  supports_reasoning: 'reasoning',
  supports_audio_input: 'audio-input',
}

/** Beyond this no provider advertises. */
const LIMIT_MAX = 1_000_000_000_000
const OUTPUT_MAX = 10_000_000

/**
 * Reads what LiteLLM publishes of models (https://github.com/BerriAI/litellm, model_prices_and_context_window.json): when they end, what is advertised of them, what they can do. Its prices
 * aren't read. By our ids; what is malformed is left out. Throws a TypeError on what isn't such data at all.
 */
export function readFacts(data: unknown): Map<string, ModelFacts> {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new TypeError('the facts are no object')
  const facts = new Map<string, ModelFacts>()
  for (const [key, given] of Object.entries(data)) {
    if (typeof given !== 'object' || given === null) continue
    const { litellm_provider: theirs } = given as { litellm_provider?: unknown }
    const provider = typeof theirs === 'string' && Object.hasOwn(PROVIDERS, theirs) ? PROVIDERS[theirs] : undefined
    if (provider === undefined) continue
    const name = key.startsWith(`${String(theirs)}/`) ? key.slice(String(theirs).length + 1) : key
    const read = factsOf(given as Record<string, unknown>)
    if (Object.keys(read).length > 0) facts.set(`${provider}/${name}`, read)
  }
  return facts
}

function factsOf(given: Record<string, unknown>): ModelFacts {
  const deprecatesOn = dateOf(given.deprecation_date)
  const requestsPerMinute = countOf(given.rpm, LIMIT_MAX)
  const tokensPerMinute = countOf(given.tpm, LIMIT_MAX)
  const outputTokensMax = countOf(given.max_output_tokens, OUTPUT_MAX)
  const capabilities = Object.entries(TAGS).flatMap(([field, tag]) => (given[field] === true ? [tag] : []))
  return {
    ...(deprecatesOn !== null && { deprecatesOn }),
    ...(requestsPerMinute !== null && { requestsPerMinute }),
    ...(tokensPerMinute !== null && { tokensPerMinute }),
    ...(outputTokensMax !== null && { outputTokensMax }),
    ...(capabilities.length > 0 && { capabilities }),
  }
}

/** A day that there is, `YYYY-MM-DD`; null where it is none. */
export function dateOf(text: unknown): string | null {
  if (typeof text !== 'string' || !/^20\d\d-\d\d-\d\d$/.test(text)) return null
  const date = new Date(`${text}T00:00:00Z`)
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text ? null : text
}

function countOf(value: unknown, max: number): number | null {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= max ? (value as number) : null
}
