import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { annotationOf, finishOf, isFailure, logprobsOf, readCohereUsage, toolCallOf } from './dialect.ts'

/** https://docs.cohere.com/v2/docs/streaming: `message-end`, with the reason and the usage, ends the stream. */
export class CohereDecoder implements StreamDecoder {
  done = false
  readonly #calls = new Map<unknown, number>()
  readonly #thoughts = new Map<unknown, number>()

  decode({ data }: WireEvent): readonly StreamPart[] {
    if (data.trim() === '[DONE]') return []
    const event: unknown = JSON.parse(data)
    if (!isObject(event)) throw new SyntaxError('an event of the stream is no object')
    const delta = isObject(event.delta) ? event.delta : {}
    const message = isObject(delta.message) ? delta.message : {}
    switch (event.type) {
      case 'message-start':
        return [{ type: 'start', id: textOrNull(event.id), model: null, createdAt: null }]
      case 'content-start':
      case 'content-delta':
        return [
          ...this.#content(event.index, isObject(message.content) ? message.content : {}),
          ...(isObject(event.logprobs)
            ? [{ type: 'logprobs', choice: 0, logprobs: logprobsOf([event.logprobs]) } as const]
            : []),
        ]
      case 'tool-plan-delta':
        return this.#thought('plan', textOrNull(message.tool_plan))
      case 'tool-call-start':
        return this.#call(event.index, isObject(message.tool_calls) ? message.tool_calls : {})
      case 'tool-call-delta': {
        const calls = isObject(message.tool_calls) ? message.tool_calls : {}
        const json = isObject(calls.function) ? textOrNull(calls.function.arguments) : null
        const call = this.#calls.get(event.index)
        return json && call !== undefined ? [{ type: 'arguments', choice: 0, call, json }] : []
      }
      case 'citation-start':
        return isObject(message.citations)
          ? [{ type: 'annotations', choice: 0, annotations: [annotationOf(message.citations)] }]
          : []
      case 'message-end':
        return this.#end(delta)
      default:
        return []
    }
  }

  #content(index: unknown, { thinking, text }: JsonObject): StreamPart[] {
    const said = textOrNull(text)
    return [
      ...this.#thought(index, textOrNull(thinking)),
      ...(said ? [{ type: 'text', choice: 0, text: said } as const] : []),
    ]
  }

  /** Each part of what was thought is a block, and what is planned another. */
  #thought(kind: unknown, text: string | null): StreamPart[] {
    if (!text) return []
    const block = this.#thoughts.get(kind) ?? this.#thoughts.size
    this.#thoughts.set(kind, block)
    return [{ type: 'reasoning', choice: 0, block, text, signature: null, encrypted: null }]
  }

  #call(index: unknown, given: JsonObject): StreamPart[] {
    const call = this.#calls.size
    this.#calls.set(index, call)
    const { id, name, arguments: json } = toolCallOf(given)
    const begun: StreamPart = { type: 'tool-call', choice: 0, call, id, name, signature: null }
    return json === '' ? [begun] : [begun, { type: 'arguments', choice: 0, call, json }]
  }

  #end(delta: JsonObject): StreamPart[] {
    if (isFailure(delta.finish_reason)) {
      const message = textOrNull(delta.error) ?? 'the provider gave no reason'
      return [{ type: 'error', message, code: textOrNull(delta.finish_reason) }]
    }
    this.done = true
    const usage = readCohereUsage(delta.usage)
    const finish: StreamPart = { type: 'finish', choice: 0, reason: finishOf(delta.finish_reason), stopSequence: null }
    return usage ? [finish, { type: 'usage', usage, billedNanos: null, serviceTier: null }] : [finish]
  }
}
