import type { FinishReason, StreamPart } from '../../chat/answer.ts'
import { AudioText } from '../../chat/audio.ts'
import type { JsonObject, ReasoningBlock } from '../../chat/request.ts'
import type { AnswerContext, StreamEnd, StreamWriter, SurfaceError } from '../../surface.ts'
import {
  callItem,
  type End,
  endOf,
  envelope,
  logprobsOf,
  messageItem,
  reasoningItem,
  textPart,
} from './write-answer.ts'

/** An item of the output while it grows. */
interface Growing {
  readonly key: string
  readonly index: number
  readonly id: string
  readonly kind: 'text' | 'refusal' | 'reasoning' | 'call'
  text: string
  readonly call: { readonly id: string; readonly name: string } | null
  block: ReasoningBlock
}

/**
 * https://platform.openai.com/docs/api-reference/responses-streaming: the response, its items one after the other, each with its parts and deltas, and the whole of it at the end. The
 * API has one choice.
 */
export class ResponsesStreamWriter implements StreamWriter {
  readonly mayBeShortened = false
  readonly #context: AnswerContext
  #sequence = 0
  #model: string
  #started = false
  #open: Growing | null = null
  readonly #output: JsonObject[] = []
  #finish: FinishReason = 'stop'
  #annotations: unknown[] = []
  readonly #logprobs: unknown[] = []
  readonly #audioText = new AudioText()

  constructor(context: AnswerContext) {
    this.#context = context
    this.#model = context.model
  }

  write(parts: readonly StreamPart[]): string {
    let text = ''
    for (const part of parts) text += this.#part(part)
    return text
  }

  end({ usage, early }: StreamEnd): string {
    const begun = this.#start(null) + this.#close()
    const end = endOf(early === null ? this.#finish : 'length')
    const response = { ...this.#envelope(end), usage: envelope(this.#context, this.#said(end, usage)).usage, ...early }
    return begun + this.#event(`response.${end.status}`, { response })
  }

  fail({ code, message }: SurfaceError): string {
    const end: End = { status: 'failed', reason: null, error: { code, message } }
    return this.#start(null) + this.#event('response.failed', { response: this.#envelope(end) })
  }

  #part(part: StreamPart): string {
    if ('choice' in part && part.choice > 0) return ''
    switch (part.type) {
      case 'start':
        return this.#start(part.model)
      case 'text':
        return this.#into('text', 'text', null) + this.#grow('response.output_text.delta', part.text, { logprobs: [] })
      case 'audio': {
        const text = this.#audioText.next(part)
        return text === '' ? this.#start(null) : this.#part({ type: 'text', choice: part.choice, text })
      }
      case 'refusal':
        return this.#into('refusal', 'refusal', null) + this.#grow('response.refusal.delta', part.text)
      case 'reasoning':
        return this.#reasoning(part)
      case 'tool-call':
        return this.#into(`call ${part.call}`, 'call', part)
      case 'arguments':
        return this.#grow('response.function_call_arguments.delta', part.json)
      case 'annotations':
        this.#annotations.push(...part.annotations)
        return ''
      // Told when the text is whole: they come behind the pieces that they are of.
      case 'logprobs':
        this.#logprobs.push(...logprobsOf(part.logprobs))
        return ''
      case 'finish':
        this.#finish = part.reason
        return ''
      default:
        return ''
    }
  }

  #reasoning({ block, text, signature, encrypted }: Extract<StreamPart, { type: 'reasoning' }>): string {
    const begun = this.#into(`thought ${block}`, 'reasoning', null)
    const item = this.#open!
    item.block = {
      ...item.block,
      signature: signature === null ? item.block.signature : (item.block.signature ?? '') + signature,
      encrypted: encrypted ?? item.block.encrypted,
    }
    if (!text) return begun
    const place = { item_id: item.id, output_index: item.index, summary_index: 0 }
    const added =
      item.text === ''
        ? this.#event('response.reasoning_summary_part.added', { ...place, part: { type: 'summary_text', text: '' } })
        : ''
    item.text += text
    return begun + added + this.#event('response.reasoning_summary_text.delta', { ...place, delta: text })
  }

  #start(model: string | null): string {
    if (this.#started) return ''
    this.#started = true
    if (model !== null) this.#model = model
    const response = this.#envelope({ status: 'in_progress', reason: null, error: null })
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response })
  }

  /** Opens the item of that key, and closes the one before it. */
  #into(key: string, kind: Growing['kind'], call: Growing['call']): string {
    let text = this.#start(null)
    if (this.#open?.key === key) return text
    text += this.#close()
    const index = this.#output.length
    const prefix = kind === 'reasoning' ? 'rs' : kind === 'call' ? 'fc' : 'msg'
    const block = { text: null, signature: null, encrypted: null, id: null }
    this.#open = { key, index, id: `${prefix}_${this.#context.id}${index}`, kind, text: '', call, block }
    text += this.#event('response.output_item.added', { output_index: index, item: this.#item('in_progress', []) })
    if (kind === 'text' || kind === 'refusal') {
      text += this.#event('response.content_part.added', { ...this.#place(), part: this.#content('') })
    }
    return text
  }

  #grow(type: string, delta: string, more: JsonObject = {}): string {
    this.#open!.text += delta
    const { content_index, ...place } = this.#place()
    const isCall = this.#open!.kind === 'call'
    return this.#event(type, { ...place, ...(!isCall && { content_index }), delta, ...more })
  }

  #close(): string {
    const item = this.#open
    if (item === null) return ''
    const place = this.#place()
    let text = ''
    switch (item.kind) {
      case 'text':
        text += this.#event('response.output_text.done', { ...place, text: item.text, logprobs: this.#logprobs })
        text += this.#event('response.content_part.done', { ...place, part: this.#content(item.text) })
        break
      case 'refusal':
        text += this.#event('response.refusal.done', { ...place, refusal: item.text })
        text += this.#event('response.content_part.done', { ...place, part: this.#content(item.text) })
        break
      case 'call': {
        const { item_id, output_index } = place
        const done = { item_id, output_index, name: item.call!.name, arguments: item.text }
        text += this.#event('response.function_call_arguments.done', done)
        break
      }
      case 'reasoning':
        if (item.text !== '') {
          const summary = { item_id: item.id, output_index: item.index, summary_index: 0 }
          const part = { type: 'summary_text', text: item.text }
          text += this.#event('response.reasoning_summary_text.done', { ...summary, text: item.text })
          text += this.#event('response.reasoning_summary_part.done', { ...summary, part })
        }
    }
    const whole = this.#item('completed', [this.#content(item.text)])
    this.#output.push(whole)
    this.#open = null
    return text + this.#event('response.output_item.done', { output_index: item.index, item: whole })
  }

  #place(): { item_id: string; output_index: number; content_index: number } {
    return { item_id: this.#open!.id, output_index: this.#open!.index, content_index: 0 }
  }

  #content(text: string): JsonObject {
    return this.#open!.kind === 'refusal'
      ? { type: 'refusal', refusal: text }
      : textPart(text, this.#annotations, this.#logprobs)
  }

  #item(status: string, content: readonly JsonObject[]): JsonObject {
    const { kind, id, call, text, block } = this.#open!
    if (kind === 'call')
      return callItem(id, { id: call!.id, name: call!.name, arguments: text, signature: null }, status)
    if (kind === 'reasoning') return reasoningItem(id, { ...block, text })
    return messageItem(id, content, status)
  }

  #said(end: End, usage: StreamEnd['usage'] | null) {
    return { model: this.#model, output: this.#output, usage, end }
  }

  #envelope(end: End): JsonObject {
    return envelope(this.#context, this.#said(end, null))
  }

  #event(type: string, data: JsonObject): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...data })}\n\n`
  }
}
