import type { Usage } from '@nemo/domain/usage'
import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { annotationsOf } from './annotations.ts'
import { callId, createdAtOf, decodeError, logprobsOf } from './decode.ts'
import { blockedOf, finishOf, whyOf } from './finish.ts'
import { partsOf, readPart } from './parts.ts'
import { markSignature } from './signature.ts'
import { queriesOf, readGeminiUsage, searchesOf, serviceTierOf } from './usage.ts'

/** What has come of one candidate. */
class Candidate {
  text = ''
  isSpoken = false
  calls = 0
  thoughts = 0
  /** Whether the last thought is signed, or there is none; and whether nothing else has come since. */
  isSigned = true
  isThinking = false
  isFinished = false
  /** The same sources may be told again and again. */
  readonly cited = new Set<string>()
}

/**
 * https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent: each event is an answer of its own that goes on from the last. There is no event for the
 * end: a stream has ended when every candidate that was asked for, or that began, has a reason to, or when the prompt was refused.
 */
export class GeminiDecoder implements StreamDecoder {
  #started = false
  #id: string | null = null
  #model: string | null = null
  readonly #candidates = new Map<number, Candidate>()
  readonly #queries = new Set<string>()
  /** What the last event said of the usage that said anything. */
  #usage: unknown
  readonly #asked: number
  readonly #askedModel: string | undefined
  #isBlocked = false

  /** `asked` is for how many candidates the request asked: one that hasn't begun hasn't ended either. `model` is of whom. */
  constructor(asked = 1, model?: string) {
    this.#asked = asked
    this.#askedModel = model
  }

  get seen(): Usage {
    const search = this.#searches
    return search > 0 ? { search } : {}
  }

  get #searches(): number {
    return searchesOf(this.#queries, this.#model, this.#askedModel)
  }

  /** More may come behind the last reason: what was used. So whether it is whole is asked when no more bytes come. */
  get done(): boolean {
    return false
  }

  get isWhole(): boolean {
    if (this.#isBlocked) return true
    return (
      this.#candidates.size >= Math.max(this.#asked, 1) &&
      [...this.#candidates.values()].every(({ isFinished }) => isFinished)
    )
  }

  decode({ data }: WireEvent): readonly StreamPart[] {
    const chunk: unknown = JSON.parse(data)
    if (!isObject(chunk)) throw new SyntaxError('an event of the stream is no object')
    const error = decodeError(chunk)
    if (error) return [{ type: 'error', message: error.message, code: error.code }]
    const parts: StreamPart[] = []
    const known = this.#queries.size
    if (!this.#started) this.#start(chunk, parts)
    const blocked = blockedOf(chunk)
    if (blocked !== null) this.#block(blocked.why, parts)
    const candidates = Array.isArray(chunk.candidates) ? chunk.candidates.filter(isObject) : []
    candidates.forEach((candidate, i) => {
      this.#candidate(candidate, typeof candidate.index === 'number' ? candidate.index : i, parts)
    })
    if (isObject(chunk.usageMetadata)) this.#usage = chunk.usageMetadata
    if (isObject(chunk.usageMetadata) || this.#queries.size > known) {
      const usage = readGeminiUsage(this.#usage, this.#searches)
      if (usage) parts.push({ type: 'usage', usage, billedNanos: null, serviceTier: serviceTierOf(this.#usage) })
    }
    return parts
  }

  #start(chunk: JsonObject, parts: StreamPart[]): void {
    this.#started = true
    this.#id = textOrNull(chunk.responseId)
    this.#model = textOrNull(chunk.modelVersion)
    parts.push({ type: 'start', id: this.#id, model: this.#model, createdAt: createdAtOf(chunk) })
  }

  #block(why: string | null, parts: StreamPart[]): void {
    if (this.#isBlocked) return
    this.#isBlocked = true
    if (why !== null) parts.push({ type: 'refusal', choice: 0, text: why })
    this.#finish(this.#of(0), 0, 'content_filter', parts)
  }

  #of(choice: number): Candidate {
    const candidate = this.#candidates.get(choice) ?? new Candidate()
    this.#candidates.set(choice, candidate)
    return candidate
  }

  #candidate(wire: JsonObject, choice: number, parts: StreamPart[]): void {
    const candidate = this.#of(choice)
    for (const part of partsOf(wire)) this.#part(part, candidate, choice, parts)
    for (const query of queriesOf(wire)) this.#queries.add(query)
    const annotations = annotationsOf(wire, candidate.text).filter((one) => isNew(one, candidate.cited))
    if (annotations.length > 0) parts.push({ type: 'annotations', choice, annotations })
    const logprobs = logprobsOf(wire.logprobsResult)
    if (logprobs !== null) parts.push({ type: 'logprobs', choice, logprobs })
    if (typeof wire.finishReason !== 'string') return
    const why = whyOf(wire, candidate.text === '' && !candidate.isSpoken && candidate.calls === 0)
    if (why !== null && !candidate.isFinished) parts.push({ type: 'refusal', choice, text: why })
    this.#finish(candidate, choice, finishOf(wire.finishReason, candidate.calls > 0), parts)
  }

  #finish(
    candidate: Candidate,
    choice: number,
    reason: Extract<StreamPart, { type: 'finish' }>['reason'],
    parts: StreamPart[],
  ): void {
    if (candidate.isFinished) return
    candidate.isFinished = true
    parts.push({ type: 'finish', choice, reason, stopSequence: null })
  }

  #part(part: JsonObject, candidate: Candidate, choice: number, parts: StreamPart[]): void {
    const said = readPart(part, callId(this.#id, choice, candidate.calls))
    switch (said?.kind) {
      case 'thought':
        this.#thought(candidate, choice, said.text, said.signature, parts)
        break
      case 'text':
        candidate.text += said.text
        if (said.text !== '') {
          candidate.isThinking = false
          parts.push({ type: 'text', choice, text: said.text })
        }
        if (said.signature !== null) this.#thought(candidate, choice, null, said.signature, parts)
        break
      case 'call': {
        const { id, name, signature, arguments: json } = said.call
        const call = candidate.calls++
        // As in a plain answer: for clients whose API has no place for a call's signature.
        if (signature !== null) this.#thought(candidate, choice, null, signature, parts)
        candidate.isThinking = false
        parts.push({ type: 'tool-call', choice, call, id, name, signature })
        parts.push({ type: 'arguments', choice, call, json })
        break
      }
      case 'audio':
        candidate.isSpoken = true
        parts.push({ type: 'audio', choice, id: null, data: said.data, transcript: null, expiresAt: null })
    }
  }

  #thought(
    candidate: Candidate,
    choice: number,
    text: string | null,
    signature: string | null,
    parts: StreamPart[],
  ): void {
    if (candidate.isSigned || (text !== null && !candidate.isThinking)) candidate.thoughts++
    // A signature closes the thought that it signs, though other parts came since.
    candidate.isSigned = signature !== null
    candidate.isThinking ||= text !== null
    const block = candidate.thoughts - 1
    parts.push({ type: 'reasoning', choice, block, text, signature: markSignature(signature), encrypted: null })
  }
}

function isNew(annotation: JsonObject, seen: Set<string>): boolean {
  const key = JSON.stringify(annotation)
  if (seen.has(key)) return false
  seen.add(key)
  return true
}
