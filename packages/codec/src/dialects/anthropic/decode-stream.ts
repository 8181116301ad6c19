import type { Usage } from '@nemo/domain/usage'
import type { StreamPart } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { StreamDecoder, WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { finishOf, readCitation, refusalOf, textOf, textOrNull } from './decode-answer.ts'
import { decodeError } from './dialect.ts'
import { mergeUsage, readServiceTier, readUsage, searchesWith, seenOf } from './usage.ts'

/** What a block of the answer has become here. */
type Block =
  | { readonly type: 'text'; readonly start: number; readonly citations: JsonObject[] }
  | { readonly type: 'reasoning'; readonly block: number }
  | { readonly type: 'call'; readonly call: number }

/**
 * https://platform.claude.com/docs/en/build-with-claude/streaming: message_start, then of each block its start, its deltas and its stop, then message_delta with the reason
 * and the usage, then message_stop. Usage is told once, from message_delta on: what message_start says of the output is only its beginning. Bedrock wraps each event in a chunk of
 * base64 (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html).
 */
export class AnthropicDecoder implements StreamDecoder {
  done = false
  #started = false
  #usage: JsonObject = {}
  readonly #blocks = new Map<number, Block>()
  #thoughts = 0
  #calls = 0
  #searches = 0
  /** Where the text is, for citations. */
  #textLength = 0

  decode({ type, data }: WireEvent): readonly StreamPart[] {
    const event = readEvent(data)
    const parts: StreamPart[] = []
    switch (event.type ?? type) {
      case 'message_start':
        this.#start(isObject(event.message) ? event.message : {}, parts)
        break
      case 'content_block_start':
        this.#open(indexOf(event), isObject(event.content_block) ? event.content_block : {}, parts)
        break
      case 'content_block_delta':
        this.#delta(indexOf(event), isObject(event.delta) ? event.delta : {}, parts)
        break
      case 'message_delta':
        this.#finish(event, parts)
        break
      case 'message_stop':
        this.done = true
        break
      case 'content_block_stop':
        this.#close(indexOf(event), parts)
        break
      case 'ping':
        break
      default: {
        // An error by whatever name: `error` here, an exception's at Bedrock. New kinds of events may come, and are to be let pass.
        const error = decodeError(event)
        if (error) parts.push({ type: 'error', message: error.message, code: error.code ?? exceptionOf(type) })
      }
    }
    return parts
  }

  get seen(): Usage {
    return seenOf(this.#usage, this.#searches)
  }

  #start(message: JsonObject, parts: StreamPart[]): void {
    if (isObject(message.usage)) this.#usage = message.usage
    if (this.#started) return
    this.#started = true
    parts.push({ type: 'start', id: textOrNull(message.id), model: textOrNull(message.model), createdAt: null })
  }

  #open(index: number, content: JsonObject, parts: StreamPart[]): void {
    this.#searches += searchesWith(content)
    switch (content.type) {
      case 'text':
        this.#blocks.set(index, { type: 'text', start: this.#textLength, citations: [] })
        this.#text(textOf(content.text), parts)
        break
      case 'thinking': {
        const block = this.#thoughts++
        this.#blocks.set(index, { type: 'reasoning', block })
        const [text, signature] = [textOf(content.thinking), textOf(content.signature)]
        if (text || signature) parts.push(thought(block, text || null, signature || null, null))
        break
      }
      case 'redacted_thinking': {
        const block = this.#thoughts++
        this.#blocks.set(index, { type: 'reasoning', block })
        parts.push(thought(block, null, null, textOf(content.data)))
        break
      }
      case 'tool_use': {
        const call = this.#calls++
        this.#blocks.set(index, { type: 'call', call })
        parts.push({
          type: 'tool-call',
          choice: 0,
          call,
          id: textOf(content.id),
          name: textOf(content.name),
          signature: null,
        })
        // Its input comes in deltas; some that speak this dialect give it here, whole.
        if (isObject(content.input) && Object.keys(content.input).length > 0) {
          parts.push({ type: 'arguments', choice: 0, call, json: JSON.stringify(content.input) })
        }
      }
    }
  }

  /** Deltas of blocks that are Anthropic’s own affair, such as the queries of its web search, have no block here. */
  #delta(index: number, delta: JsonObject, parts: StreamPart[]): void {
    const block = this.#blocks.get(index)
    switch (block?.type) {
      case 'text':
        if (delta.type === 'citations_delta' && isObject(delta.citation)) {
          block.citations.push(delta.citation)
        } else this.#text(textOf(delta.text), parts)
        return
      case 'reasoning': {
        const [text, signature] = [textOf(delta.thinking), textOf(delta.signature)]
        if (text || signature) parts.push(thought(block.block, text || null, signature || null, null))
        return
      }
      case 'call': {
        const json = textOf(delta.partial_json)
        if (json) parts.push({ type: 'arguments', choice: 0, call: block.call, json })
      }
    }
  }

  /** Where the text that is cited for ends is known with the end of its block. */
  #close(index: number, parts: StreamPart[]): void {
    const block = this.#blocks.get(index)
    if (block?.type !== 'text' || block.citations.length === 0) return
    const place = { start: block.start, end: this.#textLength }
    const annotations = block.citations.splice(0).map((citation) => readCitation(citation, place))
    parts.push({ type: 'annotations', choice: 0, annotations })
  }

  #text(text: string, parts: StreamPart[]): void {
    if (text === '') return
    this.#textLength += text.length
    parts.push({ type: 'text', choice: 0, text })
  }

  #finish(event: JsonObject, parts: StreamPart[]): void {
    const delta = isObject(event.delta) ? event.delta : {}
    this.#usage = mergeUsage(this.#usage, event.usage)
    if (typeof delta.stop_reason === 'string') {
      const refusal = refusalOf(delta)
      if (refusal !== null) parts.push({ type: 'refusal', choice: 0, text: refusal })
      const stopSequence = textOrNull(delta.stop_sequence)
      parts.push({ type: 'finish', choice: 0, reason: finishOf(delta.stop_reason), stopSequence })
    }
    const usage = readUsage(this.#usage)
    if (usage) parts.push({ type: 'usage', usage, billedNanos: null, serviceTier: readServiceTier(this.#usage) })
  }
}

/** An event's data, out of the chunk that Bedrock wraps it in. Throws a SyntaxError on what is no object. */
export function readEvent(data: string): JsonObject {
  const event: unknown = JSON.parse(data)
  if (!isObject(event)) throw new SyntaxError('an event of the stream is no object')
  if (typeof event.bytes !== 'string' || event.type !== undefined) return event
  const inner = Uint8Array.from(atob(event.bytes), (char) => char.charCodeAt(0))
  return readEvent(new TextDecoder().decode(inner))
}

function indexOf(event: JsonObject): number {
  return typeof event.index === 'number' ? event.index : 0
}

function thought(block: number, text: string | null, signature: string | null, encrypted: string | null): StreamPart {
  return { type: 'reasoning', choice: 0, block, text, signature, encrypted }
}

function exceptionOf(type: string | null): string | null {
  return type?.startsWith('exception:') ? type.slice('exception:'.length) : null
}
