import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import {
  annotationsOf,
  decodeError,
  finishOf,
  imageOf,
  logprobsOf,
  partsOf,
  readGeminiUsage,
  toolCallOf,
} from './decode.ts'

/**
 * https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent: each event is an answer of its own that goes on from the last. There is no event for the
 * end: a stream has ended when every candidate that began has a reason to.
 */
export class GeminiDecoder implements StreamDecoder {
  #started = false
  #id: string | null = null
  #isBlocked = false
  readonly #begun = new Set<number>()
  readonly #finished = new Set<number>()
  readonly #calls = new Map<number, number>()
  /** How many thoughts a candidate has had, and whether the last is still going on. */
  readonly #thoughts = new Map<number, { count: number; open: boolean }>()

  /** More may come behind the last reason: what was used. So this is asked when no more bytes come. */
  get done(): boolean {
    return false
  }

  get isWhole(): boolean {
    return this.#isBlocked || (this.#begun.size > 0 && this.#begun.size === this.#finished.size)
  }

  decode({ data }: WireEvent): readonly StreamPart[] {
    const chunk: unknown = JSON.parse(data)
    if (!isObject(chunk)) throw new SyntaxError('an event of the stream is no object')
    const error = decodeError(chunk)
    if (error) return [{ type: 'error', message: error.message, code: error.code }]
    const parts: StreamPart[] = []
    if (!this.#started) {
      this.#started = true
      this.#id = textOrNull(chunk.responseId)
      parts.push({ type: 'start', id: this.#id, model: textOrNull(chunk.modelVersion), createdAt: null })
    }
    if (isObject(chunk.promptFeedback) && typeof chunk.promptFeedback.blockReason === 'string') {
      this.#isBlocked = true
      parts.push({ type: 'finish', choice: 0, reason: 'content_filter', stopSequence: null })
    }
    const candidates = Array.isArray(chunk.candidates) ? chunk.candidates.filter(isObject) : []
    candidates.forEach((candidate, i) => {
      this.#candidate(candidate, typeof candidate.index === 'number' ? candidate.index : i, parts)
    })
    const usage = readGeminiUsage(chunk.usageMetadata)
    if (usage) parts.push({ type: 'usage', usage, billedNanos: null, serviceTier: null })
    return parts
  }

  #candidate(candidate: JsonObject, choice: number, parts: StreamPart[]): void {
    this.#begun.add(choice)
    for (const part of partsOf(candidate)) this.#part(part, choice, parts)
    const annotations = annotationsOf(candidate)
    if (annotations.length > 0) parts.push({ type: 'annotations', choice, annotations })
    const logprobs = logprobsOf(candidate.logprobsResult)
    if (logprobs !== null) parts.push({ type: 'logprobs', choice, logprobs })
    if (typeof candidate.finishReason !== 'string' || this.#finished.has(choice)) return
    this.#finished.add(choice)
    const reason = finishOf(candidate.finishReason, this.#calls.has(choice))
    parts.push({ type: 'finish', choice, reason, stopSequence: null })
  }

  #part(part: JsonObject, choice: number, parts: StreamPart[]): void {
    const signature = textOrNull(part.thoughtSignature)
    if (isObject(part.functionCall)) {
      const call = this.#calls.get(choice) ?? 0
      this.#calls.set(choice, call + 1)
      const { id, name, arguments: json } = toolCallOf(part, `${this.#id ?? 'call'}_${choice}_${call}`)
      parts.push({ type: 'tool-call', choice, call, id, name, signature })
      parts.push({ type: 'arguments', choice, call, json })
    } else if (typeof part.text === 'string') {
      if (part.thought === true) this.#thought(choice, part.text, signature, parts)
      else {
        if (part.text !== '') parts.push({ type: 'text', choice, text: part.text })
        if (signature !== null) this.#thought(choice, null, signature, parts)
      }
    } else if (isObject(part.inlineData)) parts.push({ type: 'text', choice, text: imageOf(part.inlineData) })
  }

  #thought(choice: number, text: string | null, signature: string | null, parts: StreamPart[]): void {
    const thoughts = this.#thoughts.get(choice) ?? { count: 0, open: false }
    this.#thoughts.set(choice, thoughts)
    if (!thoughts.open) thoughts.count++
    // A signature closes the thought that it signs.
    thoughts.open = signature === null
    parts.push({ type: 'reasoning', choice, block: thoughts.count - 1, text, signature, encrypted: null })
  }
}
