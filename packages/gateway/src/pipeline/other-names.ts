import { isOff, SWITCHES } from '@nemo/codec/hosted-tools'
import { invalidRequest } from '@nemo/domain/errors'
import type { Fields } from './extras.ts'

/** What bears on what a call may take, and what it is written as here. Keys are as `canonical` makes them: providers differ in names, and some parsers in how they tell them apart. */
const WRITTEN = new Map([
  ...['model', 'messages', 'stream', 'tools', 'service_tier', ...SWITCHES].map(
    (name) => [canonical(name), name] as const,
  ),
  // Other models than the one that is asked for: those of OpenRouter, of Anthropic, of Vertex AI.
  ...['models', 'fallbacks', 'fallbackcredittoken', 'routingconfig', 'modelselectionconfig'].map(
    (name) => [name, 'nemo_fallbacks'] as const,
  ),
  ...['n', 'candidatecount', 'bestof', 'numreturnsequences', 'numgenerations', 'samplecount', 'numberofimages'].map(
    (name) => [name, 'n'] as const,
  ),
  ...[
    ...['maxtokens', 'maxcompletiontokens', 'maxoutputtokens', 'maxnewtokens', 'maxtokenstosample', 'maxgenlen'],
    ...['numpredict'],
  ].map((name) => [name, 'max_tokens'] as const),
])
/** What asks for nothing where it is off, by whatever name. */
const WISHES = new Set(['nemo_fallbacks', ...SWITCHES])
/** Read under these names, by the API that the caller speaks. The first that an answer's length has is the one to write. */
const LENGTHS: Readonly<Record<string, readonly string[]>> = {
  chat: ['max_tokens', 'max_completion_tokens'],
  messages: ['max_tokens'],
  responses: ['max_output_tokens'],
}
const READ = new Set(['model', 'messages', 'stream', 'tools', 'service_tier', ...SWITCHES])
/** Where providers' own APIs have such fields: Gemini's, Bedrock's, Ollama's, Hugging Face's. */
const WITHIN = new Set([
  ...['generationconfig', 'inferenceconfig', 'additionalmodelrequestfields', 'options', 'parameters'],
  // Vercel's gateway takes other models there.
  ...['provideroptions', 'gateway'],
])

/**
 * Refuses fields that a provider would obey and we wouldn't count: what is held would be less than what it may bill. Throws a 400 that says how the field is written here.
 */
export function refuseOtherNames(fields: Fields, surface: string): void {
  for (const [name, value] of Object.entries(fields)) {
    if (READ.has(name) || (name === 'n' && surface === 'chat') || LENGTHS[surface]?.includes(name)) continue
    const plain = canonical(name)
    refuseOne(name, plain, value, surface)
    if (WITHIN.has(plain)) refuseWithin(name, value, surface)
  }
}

function refuseWithin(path: string, value: unknown, surface: string): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    const plain = canonical(name)
    // Claude's own tools stand there with Bedrock, which bills them by tokens.
    if (name !== 'tools') refuseOne(`${path}.${name}`, plain, inner, surface)
    if (WITHIN.has(plain)) refuseWithin(`${path}.${name}`, inner, surface)
  }
}

function refuseOne(param: string, plain: string, value: unknown, surface: string): void {
  const written = WRITTEN.get(plain)
  if (written === undefined || value == null || (written === 'n' && value === 1)) return
  if (WISHES.has(written) && isOff(written, value)) return
  const own = written === 'max_tokens' ? (LENGTHS[surface]?.[0] ?? written) : written
  const hint = own === 'n' && surface !== 'chat' ? 'this API has one answer to a call' : `write ${own}`
  throw invalidRequest(
    param,
    `What ${param} says bears on what the call may cost, and isn’t read under that name: ${hint}.`,
  )
}

/** As the most lenient of parsers reads a name: without regard to case, also where Unicode folds a letter into ASCII, nor to underscores. */
function canonical(name: string): string {
  return name.toUpperCase().toLowerCase().replaceAll('_', '')
}
