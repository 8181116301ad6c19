import type { Usage } from '@nemo/domain/usage'
import type { StreamPart } from '../../chat/answer.ts'
import { AudioText } from '../../chat/audio.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { AnswerContext, StreamEnd, StreamWriter, SurfaceError } from '../../surface.ts'
import { messageId, stopReason, writeServiceTier, writeUsage } from './write-answer.ts'
import { writeError } from './write-error.ts'

type Finish = Extract<StreamPart, { type: 'finish' }>
type Call = Extract<StreamPart, { type: 'tool-call' }>

/** The block that is being written. Blocks come one after another: each is stopped before the next one starts. */
type Open =
  | { readonly kind: 'text' }
  | { readonly kind: 'thinking'; readonly block: number }
  | { readonly kind: 'tool_use'; readonly call: number; json: string }

/**
 * https://platform.claude.com/docs/en/build-with-claude/streaming: message_start, the blocks, message_delta with the reason and the usage, message_stop. The last two are
 * written once the call is settled. Of several choices only the first is told: nobody can ask for more here.
 */
export class MessagesStreamWriter implements StreamWriter {
  readonly mayBeShortened = false
  readonly #context: AnswerContext
  #started = false
  #index = 0
  #open: Open | null = null
  /** Calls that began while an earlier one wasn't whole: some providers send the arguments of several by turns. */
  readonly #waiting = new Map<number, { readonly call: Call; json: string }>()
  #finish: Finish | null = null
  #isRefused = false
  #hasCalls = false
  #serviceTier: string | null = null
  readonly #audioText = new AudioText()

  constructor(context: AnswerContext) {
    this.#context = context
  }

  write(parts: readonly StreamPart[]): string {
    let text = ''
    for (const part of parts) {
      if ('choice' in part && part.choice !== 0) continue
      if (part.type === 'start') text += this.#start(part, parts.find((one) => one.type === 'usage')?.usage)
      else text += this.#part(part)
    }
    return text
  }

  end({ usage, cost, early }: StreamEnd): string {
    const blocks = this.#begin() + this.#stopAll()
    const stopSequence = early === null ? (this.#finish?.stopSequence ?? null) : null
    const reason = early === null ? (this.#finish?.reason ?? 'stop') : 'length'
    const delta = {
      stop_reason: stopReason(reason, stopSequence, this.#isRefused, this.#hasCalls),
      stop_sequence: stopSequence,
    }
    const counted = { ...writeUsage(usage), ...(cost !== null && { cost }) }
    return `${blocks}${event('message_delta', { delta, usage: counted, ...early })}${event('message_stop', {})}`
  }

  fail(error: SurfaceError): string {
    return event('error', writeError(error))
  }

  #start(part: Extract<StreamPart, { type: 'start' }>, usage: Usage = {}): string {
    if (this.#started) return ''
    this.#started = true
    const message = {
      id: messageId(part.id, this.#context),
      type: 'message',
      role: 'assistant',
      model: part.model ?? this.#context.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...writeUsage(usage), service_tier: writeServiceTier(this.#serviceTier) },
    }
    return event('message_start', { message })
  }

  /** A stream may begin without saying so. */
  #begin(): string {
    return this.#started ? '' : this.#start({ type: 'start', id: null, model: null, createdAt: null })
  }

  #part(part: Exclude<StreamPart, { type: 'start' }>): string {
    const begun = this.#begin()
    switch (part.type) {
      case 'text':
        return begun + this.#text(part.text)
      case 'refusal':
        this.#isRefused = true
        return begun + this.#text(part.text)
      case 'audio':
        return begun + this.#text(this.#audioText.next(part))
      case 'reasoning':
        return begun + this.#reasoning(part)
      case 'tool-call':
        return begun + this.#call(part)
      case 'arguments':
        return begun + this.#arguments(part.call, part.json)
      case 'finish':
        this.#finish = part
        return begun + this.#stopAll()
      case 'usage':
        this.#serviceTier = part.serviceTier
        return begun
      // Told by whoever ends the stream, or nothing that this API has.
      case 'error':
      case 'logprobs':
      case 'annotations':
        return begun
    }
  }

  #text(text: string): string {
    if (text === '') return ''
    const opened =
      this.#open?.kind === 'text'
        ? ''
        : this.#stopAll() + this.#openBlock({ kind: 'text' }, { type: 'text', text: '', citations: null })
    return opened + this.#delta({ type: 'text_delta', text })
  }

  #reasoning({ block, text, signature, encrypted }: Extract<StreamPart, { type: 'reasoning' }>): string {
    if (encrypted !== null) {
      const opened =
        this.#stopAll() + this.#openBlock({ kind: 'thinking', block }, { type: 'redacted_thinking', data: encrypted })
      return opened + this.#stopBlock()
    }
    const goesOn = this.#open?.kind === 'thinking' && this.#open.block === block
    const opened = goesOn
      ? ''
      : this.#stopAll() +
        this.#openBlock({ kind: 'thinking', block }, { type: 'thinking', thinking: '', signature: '' })
    return (
      opened +
      (text ? this.#delta({ type: 'thinking_delta', thinking: text }) : '') +
      (signature ? this.#delta({ type: 'signature_delta', signature }) : '')
    )
  }

  #call(call: Call): string {
    this.#hasCalls = true
    if (this.#open?.kind === 'tool_use' && (this.#waiting.size > 0 || !isWhole(this.#open.json))) {
      this.#waiting.set(call.call, { call, json: '' })
      return ''
    }
    return this.#stopAll() + this.#openCall(call)
  }

  #openCall({ call, id, name }: Call): string {
    return this.#openBlock({ kind: 'tool_use', call, json: '' }, { type: 'tool_use', id, name, input: {} })
  }

  #arguments(call: number, json: string): string {
    const waiting = this.#waiting.get(call)
    if (waiting) {
      waiting.json += json
      // So that a caller hears something meanwhile.
      return event('ping', {})
    }
    if (this.#open?.kind !== 'tool_use' || this.#open.call !== call) return ''
    this.#open.json += json
    return this.#delta({ type: 'input_json_delta', partial_json: json })
  }

  #openBlock(open: Open, content: JsonObject): string {
    this.#open = open
    return event('content_block_start', { index: this.#index, content_block: content })
  }

  #delta(delta: JsonObject): string {
    return event('content_block_delta', { index: this.#index, delta })
  }

  #stopBlock(): string {
    if (this.#open === null) return ''
    this.#open = null
    return event('content_block_stop', { index: this.#index++ })
  }

  /** Ends the block, and the calls that waited for it. */
  #stopAll(): string {
    let text = this.#stopBlock()
    for (const { call, json } of this.#waiting.values()) {
      text += this.#openCall(call)
      if (json !== '') text += this.#delta({ type: 'input_json_delta', partial_json: json })
      text += this.#stopBlock()
    }
    this.#waiting.clear()
    return text
  }
}

function event(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
}

function isWhole(json: string): boolean {
  try {
    JSON.parse(json)
    return true
  } catch {
    return false
  }
}
