import type { AnswerPart, Audio, ChatAnswer, Choice } from '../../chat/answer.ts'
import { addText, byKind } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import type { WireError } from '../openai.ts'
import { annotationsOf } from './annotations.ts'
import { blockedOf, finishOf, whyOf } from './finish.ts'
import { partsOf, readPart } from './parts.ts'
import { markSignature } from './signature.ts'
import { queriesOf, readGeminiUsage, searchesOf, serviceTierOf } from './usage.ts'

/** https://ai.google.dev/api/generate-content#generatecontentresponse */
export function decodeChat(answer: JsonObject, asked?: string): ChatAnswer {
  const candidates = Array.isArray(answer.candidates) ? answer.candidates.filter(isObject) : []
  const blocked = blockedOf(answer)
  if (candidates.length === 0 && blocked === null) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no candidates')
  }
  const [id, model] = [textOrNull(answer.responseId), textOrNull(answer.modelVersion)]
  const search = searchesOf(new Set(candidates.flatMap(queriesOf)), model, asked)
  const usage = readGeminiUsage(answer.usageMetadata, search)
  return {
    id,
    model,
    createdAt: createdAtOf(answer),
    choices:
      candidates.length > 0
        ? candidates.map((candidate, i) => decodeCandidate(candidate, i, id))
        : [{ ...BLOCKED, content: refusalOf(blocked!.why) }],
    usage,
    ...(usage === null && search > 0 && { seen: { search } }),
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
  content: [],
  audio: null,
  finish: 'content_filter',
  stopSequence: null,
  logprobs: null,
  annotations: null,
}

function decodeCandidate(candidate: JsonObject, i: number, id: string | null): Choice {
  const index = typeof candidate.index === 'number' ? candidate.index : i
  const content: AnswerPart[] = []
  let calls = 0
  let audio: Audio | null = null
  for (const part of partsOf(candidate)) {
    const said = readPart(part, callId(id, index, calls))
    switch (said?.kind) {
      case 'thought':
        think(content, said.text, said.signature)
        break
      case 'text':
        if (said.text !== '') addText(content, said.text)
        if (said.signature !== null) think(content, null, said.signature)
        break
      case 'call':
        // Clients whose API has no place for a call's signature bring it back as a thought's.
        if (said.call.signature !== null) think(content, null, said.call.signature)
        content.push(said.call)
        calls++
        break
      case 'audio':
        audio = { id: null, data: joined(audio, said.data), transcript: null, expiresAt: null }
    }
  }
  const { text } = byKind(content)
  const annotations = annotationsOf(candidate, text ?? '')
  content.push(...refusalOf(whyOf(candidate, text === null && audio === null && calls === 0)))
  return {
    index,
    content,
    audio,
    finish: finishOf(candidate.finishReason, calls > 0),
    stopSequence: null,
    logprobs: logprobsOf(candidate.logprobsResult),
    annotations: annotations.length > 0 ? annotations : null,
  }
}

function refusalOf(why: string | null): AnswerPart[] {
  return why === null ? [] : [{ type: 'refusal', text: why }]
}

/** Base64 can't be put behind base64: its end is padded. */
function joined(before: Audio | null, more: string): string {
  return before === null ? more : btoa(atob(before.data) + atob(more))
}

/** A thought goes on until it is signed or something else comes. Its signature may stand at a part that follows it. */
function think(content: AnswerPart[], text: string | null, given: string | null): void {
  const signature = markSignature(given)
  const at = content.findLastIndex(({ type }) => type === 'reasoning')
  const last = content[at]
  const isLast = at === content.length - 1
  if (last?.type !== 'reasoning' || last.signature !== null || (text !== null && !isLast)) {
    content.push({ type: 'reasoning', text, signature, encrypted: null, id: null })
    return
  }
  content[at] = { ...last, text: text === null ? last.text : (last.text ?? '') + text, signature }
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
