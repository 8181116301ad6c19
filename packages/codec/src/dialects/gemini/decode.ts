import type { Audio, ChatAnswer, Choice } from '../../chat/answer.ts'
import type { JsonObject, ReasoningBlock, ToolCall } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import type { WireError } from '../openai.ts'
import { annotationsOf } from './annotations.ts'
import { blockedOf, finishOf, whyOf } from './finish.ts'
import { partsOf, readPart } from './parts.ts'
import { markSignature } from './signature.ts'
import { queriesOf, readGeminiUsage, searchesOf, serviceTierOf } from './usage.ts'

/** https://ai.google.dev/api/generate-content#generatecontentresponse */
export function decodeChat(answer: JsonObject): ChatAnswer {
  const candidates = Array.isArray(answer.candidates) ? answer.candidates.filter(isObject) : []
  const blocked = blockedOf(answer)
  if (candidates.length === 0 && blocked === null) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no candidates')
  }
  const [id, model] = [textOrNull(answer.responseId), textOrNull(answer.modelVersion)]
  return {
    id,
    model,
    createdAt: createdAtOf(answer),
    choices:
      candidates.length > 0
        ? candidates.map((candidate, i) => decodeCandidate(candidate, i, id))
        : [{ ...BLOCKED, refusal: blocked!.why }],
    usage: readGeminiUsage(answer.usageMetadata, searchesOf(new Set(candidates.flatMap(queriesOf)), model)),
    billedNanos: null,
    serviceTier: serviceTierOf(answer.usageMetadata),
    systemFingerprint: null,
  }
}

/** Seconds since 1970; Vertex AI tells it. */
export function createdAtOf({ createTime }: JsonObject): number | null {
  const milliseconds = Date.parse(textOrNull(createTime) ?? '')
  return Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000)
}

/** What a call is called that came without an id. */
export function callId(answerId: string | null, choice: number, call: number): string {
  return `${answerId ?? 'call'}_${choice}_${call}`
}

const BLOCKED: Choice = {
  index: 0,
  reasoning: [],
  text: null,
  refusal: null,
  audio: null,
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
  let audio: Audio | null = null
  for (const part of partsOf(candidate)) {
    const said = readPart(part, callId(id, index, toolCalls.length))
    switch (said?.kind) {
      case 'thought':
        think(reasoning, said.text, said.signature)
        break
      case 'text':
        if (said.text !== '') text = (text ?? '') + said.text
        if (said.signature !== null) think(reasoning, null, said.signature)
        break
      case 'call':
        // Clients whose API has no place for a call's signature bring it back as a thought's.
        if (toolCalls.length === 0 && said.call.signature !== null) think(reasoning, null, said.call.signature)
        toolCalls.push(said.call)
        break
      case 'audio':
        audio = { id: null, data: joined(audio, said.data), transcript: null, expiresAt: null }
    }
  }
  const annotations = annotationsOf(candidate, text ?? '')
  return {
    index,
    reasoning,
    text,
    refusal: whyOf(candidate, text === null && audio === null && toolCalls.length === 0),
    audio,
    toolCalls,
    finish: finishOf(candidate.finishReason, toolCalls.length > 0),
    stopSequence: null,
    logprobs: logprobsOf(candidate.logprobsResult),
    annotations: annotations.length > 0 ? annotations : null,
  }
}

/** Base64 can't be put behind base64: its end is padded. */
function joined(before: Audio | null, more: string): string {
  return before === null ? more : btoa(atob(before.data) + atob(more))
}

/** A thought goes on until it is signed; its signature may stand at the part that follows it. */
function think(reasoning: ReasoningBlock[], text: string | null, given: string | null): void {
  const signature = markSignature(given)
  const last = reasoning.at(-1)
  if (last === undefined || last.signature !== null) {
    reasoning.push({ text, signature, encrypted: null, id: null })
    return
  }
  const joined = text === null ? last.text : (last.text ?? '') + text
  reasoning[reasoning.length - 1] = { ...last, text: joined, signature }
}

/** https://ai.google.dev/api/generate-content#LogprobsResult */
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

/** google.rpc.Status, by itself or in an array (https://cloud.google.com/apis/design/errors). */
export function decodeError(answer: unknown): WireError | null {
  const given = Array.isArray(answer) ? answer[0] : answer
  const error = isObject(given) ? given.error : null
  if (!isObject(error)) return null
  return {
    message: textOrNull(error.message) ?? 'the provider gave no reason',
    param: null,
    code: isKeyRefused(error) ? 'invalid_api_key' : textOrNull(error.status),
  }
}

/** Google calls a key that isn't one an invalid argument, 400: only its details tell it from the caller's own mistakes (https://cloud.google.com/apis/design/errors#error_info). */
function isKeyRefused({ details }: JsonObject): boolean {
  return Array.isArray(details) && details.some((detail) => isObject(detail) && detail.reason === 'API_KEY_INVALID')
}
