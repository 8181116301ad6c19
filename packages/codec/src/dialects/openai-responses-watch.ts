import { estimateTokens } from '@nemo/domain/estimate'
import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import type { AnswerStream } from '../answer-stream.ts'
import type { JsonObject } from '../chat/request.ts'
import type { WireEvent } from '../dialect.ts'
import { isObject } from '../fields.ts'
import { SseEvents } from '../sse-events.ts'
import type { StreamEnd, SurfaceError } from '../surface.ts'
import { writeUsage } from '../surfaces/responses/write-answer.ts'
import { readBilledNanos, readError, type WireError } from './openai.ts'
import { readResponseUsage, searchesIn } from './openai-responses-usage.ts'

const NOTHING = Buffer.alloc(0)
/** What surrounds the text in a delta. */
const ENVELOPE_CHARACTERS = 220

/**
 * Watches a stream of Responses go by to a caller who speaks them (https://platform.openai.com/docs/api-reference/responses-streaming): events are handed on as they came. The last, with
 * the whole response and its usage, is kept back until the call is settled.
 */
export class ResponsesStream implements AnswerStream {
  usage: Usage | null = null
  readonly mayBeShortened = false
  billedNanos: Nanos | null = null
  serviceTier: string | null = null
  error: WireError | null = null
  done = false
  events = 0
  tokensSeen = 0
  readonly #framing = new SseEvents()
  #last: JsonObject | null = null
  /** The response as it was when it began: what an end that is made here is alike to. */
  #begun: JsonObject = {}
  #sequence = 0
  /** The items that are done, without what is in them. */
  readonly #items: JsonObject[] = []

  get seen(): Usage {
    const ended = isObject(this.#last?.response) ? this.#last.response : {}
    return searchesIn({ ...this.#begun, output: this.#items, ...ended })
  }

  push(chunk: Buffer): Buffer {
    return this.#watch(this.#framing.push(chunk))
  }

  end(): Buffer {
    return this.#watch(this.#framing.end())
  }

  finish({ usage, cost, early }: StreamEnd): string {
    const priced = cost === null ? {} : { cost }
    if (early === null) {
      const { response, ...last } = this.#last ?? {}
      const { usage: counted, ...said } = isObject(response) ? response : {}
      const told = { ...(isObject(counted) ? counted : writeUsage(usage)), ...priced }
      return event(String(last.type), { ...last, response: { ...said, usage: told } })
    }
    const response = {
      ...this.#begun,
      usage: { ...writeUsage(usage), ...priced },
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      ...early,
    }
    return event('response.incomplete', { type: 'response.incomplete', sequence_number: this.#sequence + 1, response })
  }

  fail({ code, message }: SurfaceError): string {
    const response = { ...this.#begun, status: 'failed', error: { code, message } }
    return event('response.failed', { type: 'response.failed', sequence_number: this.#sequence + 1, response })
  }

  #watch(events: readonly WireEvent[]): Buffer {
    let text = ''
    for (const given of events) {
      if (this.done || this.error) break
      text += this.#event(given)
    }
    return text === '' ? NOTHING : Buffer.from(text)
  }

  #event({ type, data }: WireEvent): string {
    // Deltas are nearly all there is, and nothing of them has to be read.
    if (type?.endsWith('.delta')) {
      this.events++
      this.#sequence++
      this.tokensSeen += Math.max(1, estimateTokens(data.slice(ENVELOPE_CHARACTERS)))
      return `event: ${type}\ndata: ${data}\n\n`
    }
    const read: unknown = JSON.parse(data)
    if (!isObject(read)) throw new SyntaxError('an event of the stream is no object')
    if (typeof read.sequence_number === 'number') this.#sequence = read.sequence_number
    const response = isObject(read.response) ? read.response : {}
    switch (read.type) {
      case 'response.created':
        this.#begun = response
        break
      case 'response.queued':
      case 'response.in_progress':
        break
      case 'response.completed':
      case 'response.incomplete':
        this.#count(response)
        if (typeof response.service_tier === 'string') this.serviceTier = response.service_tier
        this.events++
        this.#last = read
        this.done = true
        return ''
      case 'response.failed':
        this.#count(response)
        this.error = readError(response) ?? { message: 'the provider gave no reason', param: null, code: null }
        return ''
      case 'error': {
        const { message, code } = read as { message?: unknown; code?: unknown }
        this.error = readError(read) ?? { message: String(message), param: null, code: code ? String(code) : null }
        return ''
      }
      default:
        this.events++
        if (read.type === 'response.output_item.done' && isObject(read.item)) {
          const { type, action } = read.item
          this.#items.push({ type, action })
        }
    }
    return `event: ${type ?? String(read.type)}\ndata: ${data}\n\n`
  }

  #count(response: JsonObject): void {
    this.usage = readResponseUsage(response)
    this.billedNanos = readBilledNanos(response.usage)
  }
}

function event(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
