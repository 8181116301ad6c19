import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { decodeError, finishOf, readConverseUsage } from './dialect.ts'

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html: `metadata`, with the usage, comes after `messageStop` and ends the stream. */
export class ConverseDecoder implements StreamDecoder {
  done = false
  readonly #calls = new Map<unknown, number>()
  readonly #thoughts = new Map<unknown, number>()

  decode({ type, data }: WireEvent): readonly StreamPart[] {
    const event: unknown = JSON.parse(data === '' ? '{}' : data)
    if (!isObject(event)) throw new SyntaxError('an event of the stream is no object')
    if (type?.startsWith('exception:')) {
      const message = decodeError(event)?.message ?? 'the provider gave no reason'
      return [{ type: 'error', message, code: type.slice('exception:'.length) }]
    }
    switch (type) {
      case 'messageStart':
        return [{ type: 'start', id: null, model: null, createdAt: null }]
      case 'contentBlockStart':
        return this.#start(event)
      case 'contentBlockDelta':
        return isObject(event.delta) ? this.#delta(event.contentBlockIndex, event.delta) : []
      case 'messageStop':
        return [{ type: 'finish', choice: 0, reason: finishOf(event.stopReason), stopSequence: null }]
      case 'metadata': {
        this.done = true
        const usage = readConverseUsage(event.usage)
        const serviceTier = isObject(event.serviceTier) ? textOrNull(event.serviceTier.type) : null
        return usage ? [{ type: 'usage', usage, billedNanos: null, serviceTier }] : []
      }
      default:
        return []
    }
  }

  #start({ contentBlockIndex, start }: JsonObject): StreamPart[] {
    if (!isObject(start) || !isObject(start.toolUse)) return []
    const call = this.#calls.size
    this.#calls.set(contentBlockIndex, call)
    const { toolUseId, name } = start.toolUse
    return [
      {
        type: 'tool-call',
        choice: 0,
        call,
        id: textOrNull(toolUseId) ?? '',
        name: textOrNull(name) ?? '',
        signature: null,
      },
    ]
  }

  #delta(index: unknown, delta: JsonObject): StreamPart[] {
    if (typeof delta.text === 'string') return [{ type: 'text', choice: 0, text: delta.text }]
    if (isObject(delta.toolUse)) {
      const json = textOrNull(delta.toolUse.input)
      const call = this.#calls.get(index)
      return json && call !== undefined ? [{ type: 'arguments', choice: 0, call, json }] : []
    }
    if (!isObject(delta.reasoningContent)) return []
    const block = this.#thoughts.get(index) ?? this.#thoughts.size
    this.#thoughts.set(index, block)
    const { text, signature, redactedContent } = delta.reasoningContent
    return [
      {
        type: 'reasoning',
        choice: 0,
        block,
        text: textOrNull(text),
        signature: textOrNull(signature),
        encrypted: textOrNull(redactedContent),
      },
    ]
  }
}
