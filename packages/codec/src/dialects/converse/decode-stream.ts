import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { readCitation } from './citations.ts'
import { failureOf, finishOf, isCallersOwn, serviceTierOf, stopSequenceOf, textOrNull } from './decode-answer.ts'
import { decodeError } from './errors.ts'
import { readConverseUsage } from './usage.ts'

/**
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html: `messageStop` ends the answer, and `metadata` with the usage follows it. A body that ends
 * between them has brought all of the answer: it is whole, and its usage unknown.
 */
export class ConverseDecoder implements StreamDecoder {
  #started = false
  #stopped = false
  #measured = false
  readonly #calls = new Map<unknown, number | null>()
  readonly #thoughts = new Map<unknown, number>()
  /** Where the text of each block begins, for citations, and how far all of it has come. */
  readonly #starts = new Map<unknown, number>()
  #textLength = 0

  get done(): boolean {
    return this.#stopped && this.#measured
  }

  get isWhole(): boolean {
    return this.#stopped
  }

  decode({ type, data }: WireEvent): readonly StreamPart[] {
    const event: unknown = JSON.parse(data === '' ? '{}' : data)
    if (!isObject(event)) throw new SyntaxError('an event of the stream is no object')
    if (type?.startsWith('exception:')) {
      const message = decodeError(event)?.message ?? 'the provider gave no reason'
      return [{ type: 'error', message, code: type.slice('exception:'.length) || null }]
    }
    switch (type) {
      case 'messageStart':
        if (this.#started) return []
        this.#started = true
        return [{ type: 'start', id: null, model: null, createdAt: null }]
      case 'contentBlockStart':
        return this.#start(event)
      case 'contentBlockDelta':
        return isObject(event.delta) ? this.#delta(event.contentBlockIndex, event.delta) : []
      case 'messageStop':
        return this.#stop(event)
      case 'metadata': {
        this.#measured = true
        const usage = readConverseUsage(event.usage)
        return usage ? [{ type: 'usage', usage, billedNanos: null, serviceTier: serviceTierOf(event) }] : []
      }
      default:
        return []
    }
  }

  #stop(event: JsonObject): StreamPart[] {
    this.#stopped = true
    const isEmpty = this.#textLength === 0 && [...this.#calls.values()].every((call) => call === null)
    const failure = isEmpty ? failureOf(event.stopReason) : null
    return [
      ...(failure === null ? [] : [{ type: 'refusal', choice: 0, text: failure } as const]),
      { type: 'finish', choice: 0, reason: finishOf(event.stopReason), stopSequence: stopSequenceOf(event) },
    ]
  }

  #start({ contentBlockIndex, start }: JsonObject): StreamPart[] {
    if (!isObject(start) || !isObject(start.toolUse)) return []
    if (!isCallersOwn(start.toolUse)) {
      this.#calls.set(contentBlockIndex, null)
      return []
    }
    const call = [...this.#calls.values()].filter((one) => one !== null).length
    this.#calls.set(contentBlockIndex, call)
    const [id, name] = [textOrNull(start.toolUse.toolUseId) ?? '', textOrNull(start.toolUse.name) ?? '']
    return [{ type: 'tool-call', choice: 0, call, id, name, signature: null }]
  }

  #delta(index: unknown, delta: JsonObject): StreamPart[] {
    if (typeof delta.text === 'string') {
      if (!this.#starts.has(index)) this.#starts.set(index, this.#textLength)
      this.#textLength += delta.text.length
      return delta.text === '' ? [] : [{ type: 'text', choice: 0, text: delta.text }]
    }
    if (isObject(delta.toolUse)) return this.#arguments(index, textOrNull(delta.toolUse.input) ?? '')
    if (isObject(delta.reasoningContent)) return this.#thought(index, delta.reasoningContent)
    if (!isObject(delta.citation)) return []
    const place = { start: this.#starts.get(index) ?? this.#textLength, end: this.#textLength }
    return [{ type: 'annotations', choice: 0, annotations: [readCitation(delta.citation, place)] }]
  }

  #arguments(index: unknown, json: string): StreamPart[] {
    const call = this.#calls.get(index)
    if (call === undefined) throw new SyntaxError('arguments came of a call that never began')
    return call === null || json === '' ? [] : [{ type: 'arguments', choice: 0, call, json }]
  }

  #thought(index: unknown, { text, signature, redactedContent }: JsonObject): StreamPart[] {
    const block = this.#thoughts.get(index) ?? this.#thoughts.size
    this.#thoughts.set(index, block)
    const said = { text: textOrNull(text), signature: textOrNull(signature), encrypted: textOrNull(redactedContent) }
    return [{ type: 'reasoning', choice: 0, block, ...said }]
  }
}
