import type { Usage } from '@nemo/domain/usage'
import type { ChatAnswer, Choice, FinishReason } from '../../chat/answer.ts'
import type { JsonObject, ReasoningBlock, ToolCall } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { count, type WireError, withoutZeros } from '../openai.ts'

/** https://ai.google.dev/api/generate-content#generatecontentresponse */
export function decodeChat(answer: JsonObject): ChatAnswer {
  const candidates = Array.isArray(answer.candidates) ? answer.candidates.filter(isObject) : []
  const blocked = isObject(answer.promptFeedback) && typeof answer.promptFeedback.blockReason === 'string'
  if (candidates.length === 0 && !blocked) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no candidates')
  }
  const id = textOrNull(answer.responseId)
  return {
    id,
    model: textOrNull(answer.modelVersion),
    createdAt: null,
    choices: candidates.length > 0 ? candidates.map((candidate, i) => decodeCandidate(candidate, i, id)) : [BLOCKED],
    usage: readGeminiUsage(answer.usageMetadata),
    billedNanos: null,
    serviceTier: null,
    systemFingerprint: null,
  }
}

const BLOCKED: Choice = {
  index: 0,
  reasoning: [],
  text: null,
  refusal: null,
  toolCalls: [],
  finish: 'content_filter',
  stopSequence: null,
  logprobs: null,
  annotations: null,
}

function decodeCandidate(candidate: JsonObject, i: number, id: string | null): Choice {
  const index = typeof candidate.index === 'number' ? candidate.index : i
  const reasoning: ReasoningBlock[] = []
  const toolCalls: ToolCall[] = []
  let text: string | null = null
  for (const part of partsOf(candidate)) {
    const signature = textOrNull(part.thoughtSignature)
    if (isObject(part.functionCall)) toolCalls.push(toolCallOf(part, `${id ?? 'call'}_${index}_${toolCalls.length}`))
    else if (typeof part.text === 'string' && part.thought === true) {
      think(reasoning, part.text, signature)
    } else if (typeof part.text === 'string') {
      if (part.text !== '') text = (text ?? '') + part.text
      if (signature !== null) think(reasoning, null, signature)
    } else if (isObject(part.inlineData)) text = (text ?? '') + imageOf(part.inlineData)
  }
  const annotations = annotationsOf(candidate)
  return {
    index,
    reasoning,
    text,
    refusal: null,
    toolCalls,
    finish: finishOf(candidate.finishReason, toolCalls.length > 0),
    stopSequence: null,
    logprobs: logprobsOf(candidate.logprobsResult),
    annotations: annotations.length > 0 ? annotations : null,
  }
}

/** A thought goes on until it is signed; its signature may stand at the part that follows it. */
function think(reasoning: ReasoningBlock[], text: string | null, signature: string | null): void {
  const last = reasoning.at(-1)
  if (last === undefined || last.signature !== null) {
    reasoning.push({ text, signature, encrypted: null, id: null })
    return
  }
  const joined = text === null ? last.text : (last.text ?? '') + text
  reasoning[reasoning.length - 1] = { ...last, text: joined, signature }
}

export function partsOf(candidate: JsonObject): JsonObject[] {
  const { content } = candidate
  return isObject(content) && Array.isArray(content.parts) ? content.parts.filter(isObject) : []
}

/** A call has an id on some models only; where it has none, the answer's and its place make one. */
export function toolCallOf(part: JsonObject, otherwise: string): ToolCall {
  const call = part.functionCall as JsonObject
  return {
    id: textOrNull(call.id) ?? otherwise,
    name: textOrNull(call.name) ?? '',
    arguments: JSON.stringify(call.args ?? {}),
    signature: textOrNull(part.thoughtSignature),
  }
}

/** A picture in an answer of text: as Markdown has one. */
export function imageOf({ mimeType, data }: JsonObject): string {
  return `![](data:${textOrNull(mimeType) ?? 'image/png'};base64,${textOrNull(data) ?? ''})`
}

/** https://ai.google.dev/api/generate-content#FinishReason */
export function finishOf(reason: unknown, hasCalls: boolean): FinishReason {
  switch (reason) {
    case 'MAX_TOKENS':
      return 'length'
    case 'SAFETY':
    case 'RECITATION':
    case 'BLOCKLIST':
    case 'PROHIBITED_CONTENT':
    case 'SPII':
    case 'LANGUAGE':
    case 'IMAGE_SAFETY':
    case 'IMAGE_PROHIBITED_CONTENT':
    case 'IMAGE_RECITATION':
      return 'content_filter'
    default:
      return hasCalls ? 'tool_calls' : 'stop'
  }
}

/** Where a search backs what was said: https://ai.google.dev/gemini-api/docs/google-search */
export function annotationsOf({ groundingMetadata }: JsonObject): JsonObject[] {
  if (!isObject(groundingMetadata) || !Array.isArray(groundingMetadata.groundingChunks)) return []
  return groundingMetadata.groundingChunks.filter(isObject).flatMap(({ web }) =>
    isObject(web) && typeof web.uri === 'string'
      ? [
          {
            type: 'url_citation',
            url_citation: { url: web.uri, title: textOrNull(web.title) ?? '', start_index: 0, end_index: 0 },
          },
        ]
      : [],
  )
}

export function logprobsOf(result: unknown): unknown {
  if (!isObject(result) || !Array.isArray(result.chosenCandidates)) return null
  const tops = Array.isArray(result.topCandidates) ? result.topCandidates : []
  const of = (candidate: unknown) => {
    const { token, logProbability } = isObject(candidate) ? candidate : {}
    return { token: textOrNull(token) ?? '', logprob: logProbability ?? null, bytes: null }
  }
  const content = result.chosenCandidates.map((chosen, i) => {
    const top = isObject(tops[i]) && Array.isArray(tops[i].candidates) ? tops[i].candidates : []
    return { ...of(chosen), top_logprobs: top.map(of) }
  })
  return { content, refusal: null }
}

/**
 * `promptTokenCount` includes what was cached, and what tools put into the prompt is beside it; `candidatesTokenCount` doesn't include thoughts
 * (https://ai.google.dev/api/generate-content#UsageMetadata). Audio and pictures are told apart by modality.
 */
export function readGeminiUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const prompt = count(wire.promptTokenCount ?? 0)
  const tools = count(wire.toolUsePromptTokenCount ?? 0)
  const cached = count(wire.cachedContentTokenCount ?? 0)
  const output = count(wire.candidatesTokenCount ?? 0)
  const reasoning = count(wire.thoughtsTokenCount ?? 0)
  if (prompt === null || tools === null || cached === null || output === null || reasoning === null) return null
  if (prompt + tools + output + reasoning === 0) return null
  const cachedAll = Math.min(cached, prompt)
  const cachedAudioInput = Math.min(ofModality(wire.cacheTokensDetails, 'AUDIO'), cachedAll)
  const audioInput = Math.max(ofModality(wire.promptTokensDetails, 'AUDIO') - cachedAudioInput, 0)
  const fresh = prompt - cachedAll
  const audioOutput = Math.min(ofModality(wire.candidatesTokensDetails, 'AUDIO'), output)
  const imageOutput = Math.min(ofModality(wire.candidatesTokensDetails, 'IMAGE'), output - audioOutput)
  return withoutZeros({
    input: fresh - Math.min(audioInput, fresh) + tools,
    cachedInput: cachedAll - cachedAudioInput,
    cachedAudioInput,
    audioInput: Math.min(audioInput, fresh),
    output: output - audioOutput - imageOutput,
    reasoning,
    audioOutput,
    imageOutput,
  })
}

function ofModality(details: unknown, modality: string): number {
  if (!Array.isArray(details)) return 0
  const found = details.filter(isObject).find((detail) => detail.modality === modality)
  return count(found?.tokenCount ?? 0) ?? 0
}

/** google.rpc.Status, by itself or in an array (https://cloud.google.com/apis/design/errors). */
export function decodeError(answer: unknown): WireError | null {
  const given = Array.isArray(answer) ? answer[0] : answer
  const error = isObject(given) ? given.error : null
  if (!isObject(error)) return null
  return {
    message: textOrNull(error.message) ?? 'the provider gave no reason',
    param: null,
    code: textOrNull(error.status),
  }
}
