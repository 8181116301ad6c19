import type { ChatRequest, JsonObject } from './request.ts'

/** Values that ask for nothing: leaving them out changes no answer. */
const HARMLESS: Readonly<Record<string, (value: unknown) => boolean>> = {
  store: (value) => value === false,
  modalities: (value) => Array.isArray(value) && value.every((one) => one === 'text'),
  verbosity: (value) => value === 'medium',
  // What OpenAI keeps beside a stored completion, and for how long its cache does: neither bears on the answer.
  metadata: () => true,
  prompt_cache_retention: () => true,
}

/** Refuses what only OpenAI's dialect can say. */
export function refuseOpenAiOnly(
  { openAiOnly, messages }: Pick<ChatRequest, 'openAiOnly' | 'messages'>,
  unsupported: (param: string, why: string) => void,
): void {
  for (const [name, value] of Object.entries(openAiOnly)) {
    if (!HARMLESS[name]?.(value)) unsupported(name, `This provider has nothing like ${name}.`)
  }
  messages.forEach((message, i) => {
    if (message.role !== 'assistant' || message.audioId == null) return
    unsupported(`messages[${i}].audio`, 'What was said aloud is kept by the provider that said it.')
  })
}

/** Refuses what only Anthropic's servers can do for a request. */
export function refuseAnthropicOnly(
  { anthropicOnly = {} }: ChatRequest,
  unsupported: (param: string, why: string) => void,
): void {
  for (const name of Object.keys(anthropicOnly)) unsupported(name, `Only Anthropic’s models have ${name}.`)
}

/** What of `fields` isn't null is refused: name and value as the caller's API has them. */
export function refuseAll(
  fields: JsonObject,
  provider: string,
  unsupported: (param: string, why: string) => void,
): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) unsupported(name, `${provider} does not support ${name}.`)
  }
}

/** The values of fields that every dialect but OpenAI's lacks, null where they ask for nothing. */
export function wishes({ logitBias, minP, repetitionPenalty }: ChatRequest): JsonObject {
  return {
    logit_bias: logitBias !== null && Object.keys(logitBias).length > 0 ? logitBias : null,
    min_p: minP || null,
    repetition_penalty: repetitionPenalty === 1 ? null : repetitionPenalty,
  }
}

/** Without what is null. */
export function defined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined))
}
