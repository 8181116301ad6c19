import { hash } from 'node:crypto'
import { type Answer, answerTokens, argumentsOf, composeAnswer } from '../answer.ts'
import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { type Choice, choiceTokens } from '../openai/choices.ts'
import { promptTokensOf } from '../prompt-tokens.ts'
import { queriesWith } from '../searches.ts'
import type { SandboxConfig } from '../settings.ts'
import { type GenerateRequest, readGenerateRequest } from './generate-request.ts'
import { contentChunks } from './generate-stream.ts'
import { imagePart, imageTokens } from './image.ts'
import { signatureOf } from './signature.ts'

/** All that an answer is made of. */
export type Content = {
  head: JsonObject
  /** Where calls have no ids. */
  isVertex: boolean
  request: GenerateRequest
  answer: Answer
  promptTokens: number
  /** What was searched for. */
  queries: string[]
}

/** https://ai.google.dev/api/generate-content: whole, as server-sent events (`alt=sse`), or as an array of what these would be. */
export function generateContent(model: string, streamed: boolean, isVertex: boolean, call: Call): Reply {
  const { body, bytes, query, settings } = call
  const request = readGenerateRequest(body, model, isVertex)
  const answer = composeAnswer(request, settings)
  const head = {
    modelVersion: model,
    ...(isVertex && { createTime: new Date(settings.created * 1000).toISOString() }),
    responseId: hash('sha1', bytes, 'base64url').slice(0, 22),
  }
  const content: Content = {
    ...{ head, isVertex, request, answer },
    promptTokens: promptTokens(body, request),
    queries: queriesWith(body.tools, isSearch, null, settings),
  }
  if (request.isImage) return generateImage(content, call, settings)
  const tokens = answerTokens(answer)
  if (streamed && !settings.not_a_stream) {
    const events = contentChunks(content, settings)
    if (query.get('alt') === 'sse') return { status: 200, content: { events } }
    return { status: 200, content: { json: `[${[...events].map(({ data }) => data).join(',')}]`, tokens } }
  }
  const usageMetadata = settings.refusal ? usageOf(content, settings, 0) : usageOf(content, settings)
  const json = JSON.stringify({
    ...(settings.refusal
      ? { promptFeedback: blocked }
      : { candidates: answer.choices.map((choice) => candidate(choice, content, settings)) }),
    ...(usageMetadata && { usageMetadata }),
    ...head,
  })
  return { status: 200, content: { json, tokens } }
}

/** A picture is one candidate, whole, and says nothing beside it. */
function generateImage(content: Content, { body }: Call, settings: SandboxConfig): Reply {
  const usage = usageOf(content, settings, imageTokens)
  const usageMetadata = usage && { ...usage, candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: imageTokens }] }
  const parts = [imagePart(JSON.stringify(body.contents))]
  const json = JSON.stringify({
    ...(settings.refusal
      ? { promptFeedback: blocked }
      : {
          candidates: [{ content: { parts, role: 'model' }, finishReason: settings.finish_reason ?? 'STOP', index: 0 }],
        }),
    ...(usageMetadata && { usageMetadata: settings.refusal ? usageOf(content, settings, 0) : usageMetadata }),
    ...content.head,
  })
  return { status: 200, content: { json, tokens: imageTokens } }
}

/** A refusal is one of the prompt: there are no candidates at all. */
export const blocked = { blockReason: 'PROHIBITED_CONTENT' }

function candidate(choice: Choice, content: Content, settings: SandboxConfig): JsonObject {
  const parts: JsonObject[] = []
  const { request, answer } = content
  if (request.showsThoughts && answer.thoughts.length > 0) parts.push({ text: answer.thoughts.join(''), thought: true })
  if (choice.pieces.length > 0) parts.push({ text: choice.pieces.join(''), ...signatureAfter(content) })
  parts.push(...callParts(choice, content))
  return {
    content: { parts, role: 'model' },
    finishReason: settings.finish_reason ?? finishReasonOf(choice),
    index: choice.index,
    ...groundingOf(content),
  }
}

function isSearch({ googleSearch, googleSearchRetrieval }: JsonObject): boolean {
  return googleSearch !== undefined || googleSearchRetrieval !== undefined
}

/** https://ai.google.dev/gemini-api/docs/google-search#understanding_the_grounding_response */
export function groundingOf({ queries }: Content): JsonObject {
  if (queries.length === 0) return {}
  const groundingChunks = queries.map((query, i) => ({ web: { uri: `https://example.com/${i}`, title: query } }))
  return { groundingMetadata: { webSearchQueries: queries, groundingChunks } }
}

/** Calls come whole; one that its cap cut off doesn't come. The first is signed. */
export function callParts({ toolCalls }: Choice, content: Content): JsonObject[] {
  return toolCalls
    .map(({ id, name, pieces }) => ({
      ...(!content.isVertex && { id: id.replace(/^call_/, '') }),
      ...{ name, args: argumentsOf(pieces) },
    }))
    .filter(({ args }) => args !== undefined)
    .map((functionCall, i) => ({ functionCall, ...(i === 0 && signatureAfter(content)) }))
}

/** What was thought is signed where something follows it; the models that insist on it sign always. */
export function signatureAfter({ request, answer, head }: Content): JsonObject {
  if (answer.thoughts.length === 0 && !request.signs) return {}
  return { thoughtSignature: signatureOf(`${String(head.responseId)} ${answer.thoughts.join('')}`) }
}

export function finishReasonOf({ finishReason }: Choice): string {
  return finishReason === 'length' ? 'MAX_TOKENS' : 'STOP'
}

/**
 * https://ai.google.dev/api/generate-content#UsageMetadata: the prompt includes what was cached, the candidates don't include thoughts. `said` is how much of the answer has
 * been told so far; undefined for all. A `usage` setting is reported as given, however absurd.
 */
export function usageOf(content: Content, settings: SandboxConfig, said?: number): JsonObject | undefined {
  if (settings.usage === 'missing') return undefined
  const { thoughts, choices } = content.answer
  const given = settings.usage ?? {}
  const prompt = given.prompt_tokens ?? content.promptTokens
  const thought = given.reasoning_tokens ?? thoughts.length * choices.length
  const candidates = given.completion_tokens ?? said ?? choices.reduce((sum, choice) => sum + choiceTokens(choice), 0)
  const cached = given.cached_tokens ?? Math.min(settings.cached_tokens, prompt)
  return {
    promptTokenCount: prompt,
    ...(candidates > 0 && { candidatesTokenCount: candidates }),
    totalTokenCount: prompt + candidates + thought,
    ...(cached > 0 && {
      cachedContentTokenCount: cached,
      cacheTokensDetails: [{ modality: 'TEXT', tokenCount: cached }],
    }),
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: prompt }],
    ...(thought > 0 && { thoughtsTokenCount: thought }),
    ...tierOf(content),
  }
}

/** Which tier served it: Vertex AI tells it as a kind of traffic. */
function tierOf({ isVertex, request: { serviceTier } }: Content): JsonObject {
  if (!isVertex) return { serviceTier }
  return { trafficType: serviceTier === 'standard' ? 'ON_DEMAND' : `ON_DEMAND_${serviceTier.toUpperCase()}` }
}

export function promptTokens(body: JsonObject, { turns }: Pick<GenerateRequest, 'turns'>): number {
  const system = body.systemInstruction as { parts: JsonObject[] } | undefined
  const parts = [...turns.flatMap((turn) => turn.parts), ...(system?.parts ?? [])]
  return promptTokensOf({
    texts: [
      body.tools,
      ...parts.flatMap(({ text, functionCall, functionResponse }) => [text, functionCall, functionResponse]),
    ],
    messages: turns.length + (system === undefined ? 0 : 1),
    parts: parts.filter(({ inlineData, fileData }) => inlineData !== undefined || fileData !== undefined).length,
  })
}
