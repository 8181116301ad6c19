import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { count, withoutZeros } from '../openai.ts'
import { generationOf } from './models.ts'

/**
 * `promptTokenCount` includes what was cached, and what tools put into the prompt is beside it; `candidatesTokenCount` doesn't include thoughts
 * (https://ai.google.dev/api/generate-content#UsageMetadata). Audio and pictures are told apart by modality; video and documents are billed as text. Null when it is missing, isn't made of
 * counts, or says that nothing was used.
 */
export function readGeminiUsage(wire: unknown, searches = 0): Usage | null {
  if (!isObject(wire)) return null
  const prompt = count(wire.promptTokenCount ?? 0)
  const tools = count(wire.toolUsePromptTokenCount ?? 0)
  const cached = count(wire.cachedContentTokenCount ?? 0)
  const candidates = count(wire.candidatesTokenCount ?? 0)
  const reasoning = count(wire.thoughtsTokenCount ?? 0)
  if (prompt === null || tools === null || cached === null || candidates === null || reasoning === null) return null
  if (prompt + tools + candidates + reasoning === 0) return null
  // Some models count thoughts among the candidates, against the documentation: their total shows it.
  const isInclusive = candidates >= reasoning && wire.totalTokenCount === prompt + tools + candidates
  const output = isInclusive ? candidates - reasoning : candidates
  const cachedAll = Math.min(cached, prompt)
  const fresh = prompt - cachedAll
  const cachedAudioInput = Math.min(ofModality(wire.cacheTokensDetails, 'AUDIO'), cachedAll)
  const audioInput = within(ofModality(wire.promptTokensDetails, 'AUDIO') - cachedAudioInput, fresh)
  const images = ofModality(wire.promptTokensDetails, 'IMAGE') - ofModality(wire.cacheTokensDetails, 'IMAGE')
  const imageInput = within(images, fresh - audioInput)
  const audioOutput = within(ofModality(wire.candidatesTokensDetails, 'AUDIO'), output)
  const imageOutput = within(ofModality(wire.candidatesTokensDetails, 'IMAGE'), output - audioOutput)
  return withoutZeros({
    input: fresh - audioInput - imageInput + tools,
    cachedInput: cachedAll - cachedAudioInput,
    cachedAudioInput,
    audioInput,
    imageInput,
    output: output - audioOutput - imageOutput,
    reasoning,
    audioOutput,
    imageOutput,
    search: searches,
  })
}

/** What an older model bills a grounded prompt at in queries of the newer ones, rounded up: $35 a thousand against $14. */
const QUERIES_PER_PROMPT = 3

/**
 * How many searches are billed: each query from Gemini 3 on, before that the request that had any (https://ai.google.dev/gemini-api/docs/pricing). `queries` are the answer's different ones,
 * `served` is who says that it answered, which not every answer does, and `asked` who was asked. The price is that of who was asked: of a name that means the newest model a query's, so where an older
 * one answers to it its prompt counts as so many queries.
 */
export function searchesOf(queries: ReadonlySet<string>, served: string | null, asked = ''): number {
  const generation = generationOf(served ?? '') ?? generationOf(asked) ?? 0
  if (generation >= 3) return queries.size
  return queries.size === 0 ? 0 : generationOf(asked) === Number.POSITIVE_INFINITY ? QUERIES_PER_PROMPT : 1
}

/** What was searched for, for pages and for pictures. Google leaves empty queries out of the bill (https://ai.google.dev/gemini-api/docs/google-search). */
export function queriesOf({ groundingMetadata }: JsonObject): string[] {
  if (!isObject(groundingMetadata)) return []
  const { webSearchQueries: pages, imageSearchQueries: pictures } = groundingMetadata
  return [pages, pictures].flat().filter((query): query is string => typeof query === 'string' && query !== '')
}

/** What served it: AI Studio says it in the usage, Vertex AI by the kind of traffic (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse). */
export function serviceTierOf(wire: unknown): string | null {
  const { serviceTier, trafficType } = isObject(wire) ? wire : {}
  if (serviceTier === 'flex' || trafficType === 'ON_DEMAND_FLEX') return 'flex'
  if (serviceTier === 'priority' || trafficType === 'ON_DEMAND_PRIORITY') return 'priority'
  return serviceTier === 'standard' || trafficType === 'ON_DEMAND' ? 'default' : null
}

function ofModality(details: unknown, modality: string): number {
  if (!Array.isArray(details)) return 0
  const found = details.filter(isObject).find((detail) => detail.modality === modality)
  return count(found?.tokenCount ?? 0) ?? 0
}

function within(tokens: number, most: number): number {
  return Math.min(Math.max(tokens, 0), most)
}
