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
  writeUsage,
} from './write-answer.ts'

/** An item of the output while it grows. */
interface Growing {
  readonly key: string
  readonly index: number
  readonly id: string
  readonly kind: 'text' | 'refusal' | 'reasoning' | 'call'
  text: string
  /** How much was said before it, for the places of citations. */
  readonly start: number
  readonly call: { readonly id: string; readonly name: string } | null
  block: Omit<ReasoningBlock, 'type'>
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
  /** One item, or calls whose arguments come by turns. */
  #open: Growing[] = []
  #items = 0
  /** The whole items, each at its index. */
  readonly #output: JsonObject[] = []
  #finish: FinishReason = 'stop'
  #textLength = 0
  /** Of the text that is open. */
  #annotations: unknown[] = []
  #logprobs: unknown[] = []
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

  end({ usage, cost, early }: StreamEnd): string {
    const begun = this.#start(null) + this.#closeAll()
    const end = endOf(early === null ? this.#finish : 'length')
    const counted = { ...writeUsage(usage), ...(cost !== null && { cost }) }
    const response = { ...this.#envelope(end), usage: counted, ...early }
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
        return this.#text(part.text)
      case 'audio': {
        const text = this.#audioText.next(part)
        return text === '' ? this.#start(null) : this.#part({ type: 'text', choice: part.choice, text })
      }
      case 'refusal':
        return this.#into('refusal', 'refusal', null) + this.#grow(this.#open[0]!, 'refusal', part.text)
      case 'reasoning':
        return this.#reasoning(part)
      case 'tool-call':
        return this.#into(`call ${part.call}`, 'call', part)
      case 'arguments': {
        const call = this.#open.find(({ key }) => key === `call ${part.call}`)
        return call === undefined ? '' : this.#grow(call, 'function_call_arguments', part.json)
      }
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

  #text(text: string): string {
    const begun = this.#into('text', 'text', null)
    this.#textLength += text.length
    return begun + this.#grow(this.#open[0]!, 'output_text', text, { logprobs: [] })
  }

  #reasoning({ block, text, signature, encrypted, id = null }: Extract<StreamPart, { type: 'reasoning' }>): string {
    const begun = this.#into(`thought ${block}`, 'reasoning', null)
    const item = this.#open[0]!
    item.block = {
      ...item.block,
      signature: signature === null ? item.block.signature : (item.block.signature ?? '') + signature,
      encrypted: encrypted ?? item.block.encrypted,
      id: id ?? item.block.id,
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

  /** Opens the item of that key, and closes those before it, but a call whose arguments aren't whole: they may come by turns with those of the next. */
  #into(key: string, kind: Growing['kind'], call: Growing['call']): string {
    let text = this.#start(null)
    if (this.#open.some((item) => item.key === key)) return text
    const left = kind === 'call' ? this.#open.filter(isUnfinished) : []
    for (const item of this.#open) if (!left.includes(item)) text += this.#close(item)
    const index = this.#items++
    const prefix = kind === 'reasoning' ? 'rs' : kind === 'call' ? 'fc' : 'msg'
    const block = { text: null, signature: null, encrypted: null, id: null }
    const [id, start] = [`${prefix}_${this.#context.id}${index}`, this.#textLength]
    const item: Growing = { key, index, id, kind, text: '', start, call, block }
    this.#open = [...left, item]
    text += this.#event('response.output_item.added', { output_index: index, item: whole(item, 'in_progress', []) })
    if (kind === 'text' || kind === 'refusal') {
      text += this.#event('response.content_part.added', { ...placeOf(item), part: this.#content(item) })
    }
    return text
  }

  #grow(item: Growing, what: string, delta: string, more: JsonObject = {}): string {
    item.text += delta
    const { content_index, ...place } = placeOf(item)
    return this.#event(`response.${what}.delta`, {
      ...place,
      ...(item.kind !== 'call' && { content_index }),
      delta,
      ...more,
    })
  }

  #closeAll(): string {
    let text = ''
    for (const item of this.#open) text += this.#close(item)
    this.#open = []
    return text
  }

  #close(item: Growing): string {
    const place = placeOf(item)
    let text = ''
    switch (item.kind) {
      case 'text':
        text += this.#event('response.output_text.done', { ...place, text: item.text, logprobs: this.#logprobs })
        text += this.#event('response.content_part.done', { ...place, part: this.#content(item) })
        break
      case 'refusal':
        text += this.#event('response.refusal.done', { ...place, refusal: item.text })
        text += this.#event('response.content_part.done', { ...place, part: this.#content(item) })
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
    const done = whole(item, 'completed', [this.#content(item)])
    if (item.kind === 'text') this.#annotations = this.#logprobs = []
    this.#output[item.index] = done
    return text + this.#event('response.output_item.done', { output_index: item.index, item: done })
  }

  #content({ kind, text, start }: Growing): JsonObject {
    return kind === 'refusal'
      ? { type: 'refusal', refusal: text }
      : textPart(text, this.#annotations, this.#logprobs, start)
  }

  #envelope(end: End): JsonObject {
    // What never became whole has left a hole.
    const output = this.#output.filter(() => true)
    return envelope(this.#context, { model: this.#model, output, usage: null, end })
  }

  #event(type: string, data: JsonObject): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...data })}\n\n`
  }
}

function isUnfinished({ kind, text }: Growing): boolean {
  if (kind !== 'call') return false
  try {
    JSON.parse(text)
    return false
  } catch {
    return true
  }
}

function placeOf({ id, index }: Growing): { item_id: string; output_index: number; content_index: number } {
  return { item_id: id, output_index: index, content_index: 0 }
}

function whole({ kind, id, call, text, block }: Growing, status: string, content: readonly JsonObject[]): JsonObject {
  if (kind === 'call') return callItem(id, { id: call!.id, name: call!.name, arguments: text, signature: null }, status)
  if (kind === 'reasoning') return reasoningItem(id, { ...block, text })
  return messageItem(id, content, status)
}
