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
export function refuseOpenAiOnly({ openAiOnly }: ChatRequest, unsupported: (param: string, why: string) => void): void {
  for (const [name, value] of Object.entries(openAiOnly)) {
    if (!HARMLESS[name]?.(value)) unsupported(name, `This provider has nothing like ${name}.`)
  }
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

/** Without what is null. */
export function defined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined))
}
