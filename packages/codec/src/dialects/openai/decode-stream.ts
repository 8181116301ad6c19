import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { readBilledNanos, readErrorAmid, readUsage, usageIn } from '../openai.ts'
import { argumentsOf, callId, finishReasonOf, readContent, signatureOf, textOrNull } from './dialect.ts'

/** https://platform.openai.com/docs/api-reference/chat-streaming */
export class OpenAiDecoder implements StreamDecoder {
  done = false
  #started = false
  #id: string | null = null
  /** How many calls each choice has begun, and which of its indexes was which: some servers count from 1, or not at all, or have 0 for each. */
  readonly #calls = new Map<string, { readonly call: number; readonly id: string | null }>()
  readonly #counts = new Map<number, number>()

  decode({ data }: WireEvent): readonly StreamPart[] {
    if (data.trim() === '[DONE]') {
      this.done = true
      return []
    }
    const chunk: unknown = JSON.parse(data)
    if (!isObject(chunk)) throw new SyntaxError('an event of the stream is no object')
    const parts: StreamPart[] = []
    const error = readErrorAmid(chunk)
    if (error) return [{ type: 'error', message: error.message, code: error.code }]
    // Azure tells first, under no name, what it thinks of the prompt (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-streaming).
    const isNamed = chunk.id !== '' || (Array.isArray(chunk.choices) && chunk.choices.length > 0)
    if (!this.#started && isNamed) {
      this.#started = true
      const createdAt = typeof chunk.created === 'number' ? chunk.created : null
      this.#id = textOrNull(chunk.id) || null
      parts.push({ type: 'start', id: this.#id, model: textOrNull(chunk.model) || null, createdAt })
    }
    if (Array.isArray(chunk.choices))
      for (const choice of chunk.choices) if (isObject(choice)) this.#choice(choice, parts)
    const usage = readUsage(usageIn(chunk))
    if (usage) {
      parts.push({
        type: 'usage',
        usage,
        billedNanos: readBilledNanos(usageIn(chunk)),
        serviceTier: textOrNull(chunk.service_tier),
      })
    }
    return parts
  }

  #choice(given: JsonObject, parts: StreamPart[]): void {
    const choice = typeof given.index === 'number' ? given.index : 0
    const delta = isObject(given.delta) ? given.delta : {}
    this.#reasoning(delta, choice, parts)
    if (typeof delta.content === 'string') {
      if (delta.content) parts.push({ type: 'text', choice, text: delta.content })
    } else {
      for (const part of readContent(delta.content)) {
        if (part.type === 'reasoning') parts.push(reasoning(choice, 0, part.text, null, null))
        else if (part.type === 'text' && part.text) parts.push({ type: 'text', choice, text: part.text })
      }
    }
    if (typeof delta.refusal === 'string' && delta.refusal) parts.push({ type: 'refusal', choice, text: delta.refusal })
    if (isObject(delta.audio)) {
      const { id, data, transcript, expires_at: until } = delta.audio
      const said = { id: textOrNull(id), data: textOrNull(data), transcript: textOrNull(transcript) }
      parts.push({ type: 'audio', choice, ...said, expiresAt: typeof until === 'number' ? until : null })
    }
    if (Array.isArray(delta.tool_calls)) {
      delta.tool_calls.forEach((call, i) => {
        if (isObject(call)) this.#toolCall(call, i, choice, parts)
      })
    }
    if (Array.isArray(delta.annotations) && delta.annotations.length > 0) {
      parts.push({ type: 'annotations', choice, annotations: delta.annotations })
    }
    if (isObject(given.logprobs)) parts.push({ type: 'logprobs', choice, logprobs: given.logprobs })
    if (typeof given.finish_reason === 'string') {
      const stopSequence = textOrNull(given.stop_sequence) ?? textOrNull(given.stop_reason)
      parts.push({ type: 'finish', choice, reason: finishReasonOf(given.finish_reason), stopSequence })
    }
  }

  #reasoning(delta: JsonObject, choice: number, parts: StreamPart[]): void {
    if (Array.isArray(delta.reasoning_details) && delta.reasoning_details.length > 0) {
      for (const detail of delta.reasoning_details.filter(isObject)) {
        const text = textOrNull(detail.text) ?? textOrNull(detail.summary)
        const block = typeof detail.index === 'number' ? detail.index : 0
        const [signature, encrypted] = [textOrNull(detail.signature), textOrNull(detail.data)]
        parts.push(reasoning(choice, block, text, signature, encrypted, textOrNull(detail.id)))
      }
      return
    }
    const text = textOrNull(delta.reasoning_content) ?? textOrNull(delta.reasoning)
    if (text) parts.push(reasoning(choice, 0, text, null, null))
  }

  #toolCall(given: JsonObject, position: number, choice: number, parts: StreamPart[]): void {
    const called = isObject(given.function) ? given.function : {}
    const key = `${choice} ${typeof given.index === 'number' ? given.index : position}`
    const begun = this.#calls.get(key)
    const [own, name] = [textOrNull(given.id) || null, textOrNull(called.name) ?? '']
    // Without an index each call comes whole, and a new id is a new call; so it is with a name where indexes are all the same (https://github.com/ollama/ollama/issues/15457).
    const isAnother = typeof given.index !== 'number' || (begun?.id !== null && begun?.id !== own && name !== '')
    let call = begun?.call
    if (call === undefined || (own !== null && isAnother)) {
      call = this.#counts.get(choice) ?? 0
      this.#calls.set(key, { call, id: own })
      this.#counts.set(choice, call + 1)
      const id = own ?? callId(this.#id, choice, call)
      parts.push({ type: 'tool-call', choice, call, id, name, signature: signatureOf(given) })
    }
    const json = argumentsOf(called.arguments)
    if (json !== '') parts.push({ type: 'arguments', choice, call, json })
  }
}

function reasoning(
  choice: number,
  block: number,
  text: string | null,
  signature: string | null,
  encrypted: string | null,
  id: string | null = null,
): StreamPart {
  return { type: 'reasoning', choice, block, text, signature, encrypted, ...(id !== null && { id }) }
}
