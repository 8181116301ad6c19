import type { Nanos } from '@nemo/domain/money'
import { outputTokens, type Usage } from '@nemo/domain/usage'
import type { AnswerStream } from '../answer-stream.ts'
import { dataOf, endOfLastEvent, endOfNextEvent, hasLineEnd } from '../sse.ts'
import type { StreamEnd, SurfaceError } from '../surface.ts'
import { readBilledNanos, readErrorAmid, readUsage, usageIn, type WireError } from './openai.ts'
import { endEarly } from './openai-early-end.ts'

const NOTHING = Buffer.alloc(0)
const USAGE = Buffer.from('"usage"')
const ERROR = Buffer.from('"error"')
const DONE = Buffer.from('[DONE]')
const DATA = Buffer.from('data:')
const COLON = 0x3a
const SPACE = 0x20
const SMALL_N = 0x6e

/** What an event with a token may weigh beyond the lightest one, which may be the last, without any text: the name of its field and a long word. */
const TOKEN_BYTES = 32

/** An event longer than this is no event: an upstream that never ends one must not fill the memory. */
const EVENT_BYTES_MAX = 32 * 1024 * 1024

/**
 * Watches a stream of chat completion chunks go by. Whole events are handed on as the bytes they came in; parsed are only those
 * that carry usage, an error or the end, found by a native search. Events may be split across network chunks anywhere.
 *
 * The last two, usage and `[DONE]`, are kept back for whoever settles the call: the client gets them with the cost, or, if it
 * didn't ask for usage, gets only the end.
 */
export class OpenAiStream implements AnswerStream {
  /** What the provider billed, once it said. Where it says so repeatedly, the last word counts. */
  usage: Usage | null = null
  readonly seen: Usage = {}
  readonly mayBeShortened = true
  billedNanos: Nanos | null = null
  serviceTier: string | null = null
  /** An error that the provider sent amid the stream. What comes after is not handed on. */
  error: WireError | null = null
  /** Whether `[DONE]` came. A stream that stops without it was cut. */
  done = false
  events = 0
  /** The usage event as parsed, for a client that asked for it. */
  #usageEvent: Record<string, unknown> | null = null
  /** The first bytes that were handed on: what the end of the stream must be alike to. */
  #first: Buffer | null = null
  readonly #choices: number
  readonly #inputTokens: number
  /** What comes before the first event that is part of an answer: comments, and openings that say nothing yet. */
  #leading: Buffer[] = []
  #pending: Buffer[] = []
  #keptBytes = 0
  #bytes = 0
  #envelope = Number.POSITIVE_INFINITY

  /** `choices` and `inputTokens` are what the request comes to: a stream that is ended here says so of itself. */
  constructor(request: { readonly choices: number; readonly inputTokens: number }) {
    this.#choices = request.choices
    this.#inputTokens = request.inputTokens
  }

  /** The bytes to hand on now: whole events only, and none before the first that says something. Throws a RangeError on an event without end, a SyntaxError if the first isn't JSON. */
  push(chunk: Buffer): Buffer {
    if (this.done || this.error) return NOTHING
    if (this.#keptBytes + chunk.length > EVENT_BYTES_MAX) throw new RangeError('the stream has an event without end')
    // A long event in many chunks is put together once, at its end, and not anew with every chunk.
    if (!hasLineEnd(chunk)) return this.#keep(this.#pending, chunk)
    const bytes = this.#take(this.#pending, chunk)
    const end = endOfLastEvent(bytes)
    if (end < bytes.length) this.#keep(this.#pending, end === 0 ? bytes : Buffer.from(bytes.subarray(end)))
    if (end === 0) return NOTHING
    const whole = end === bytes.length ? bytes : bytes.subarray(0, end)
    if (this.events === 0 && isOpening(whole)) return this.#keep(this.#leading, whole)
    return this.#complete(this.#take(this.#leading, whole))
  }

  /** Says that no more bytes come. A last event without its empty line counts if it is whole; half an event is nobody's. */
  end(): Buffer {
    const rest = this.#take(this.#pending, NOTHING)
    if (rest.length === 0 || this.done || this.error) return NOTHING
    const data = dataOf(rest)
    if (data === null || (data.trim() !== '[DONE]' && parse(data) === null)) return NOTHING
    return this.#complete(this.#take(this.#leading, rest))
  }

  finish({ usage, wantsUsage, cost, early }: StreamEnd): string {
    const counts = { choices: this.#choices, input: this.#inputTokens, output: outputTokens(usage) }
    const made = early === null ? null : endEarly(this.#first ?? NOTHING, { ...counts, more: early })
    const usageEvent = this.#usageEvent ?? made?.usage
    const last = made ? event(made.last) : ''
    return `${last}${wantsUsage && usageEvent ? event(withCost(usageEvent, cost)) : ''}data: [DONE]\n\n`
  }

  fail({ message, type, param, code }: SurfaceError): string {
    return event({ error: { message, type, param, code } })
  }

  /**
   * About how many tokens went by, for a stream that broke off before its usage. Most providers send a token an event; where
   * they send more, what events weigh beyond the lightest one and a token's text tells.
   */
  get tokensSeen(): number {
    if (this.events === 0) return 0
    const more = this.#bytes - this.events * (this.#envelope + TOKEN_BYTES)
    return this.events + Math.max(Math.ceil(more / 4), 0)
  }

  #keep(kept: Buffer[], bytes: Buffer): Buffer {
    kept.push(bytes)
    this.#keptBytes += bytes.length
    return NOTHING
  }

  #take(kept: Buffer[], last: Buffer): Buffer {
    if (kept.length === 0) return last
    const bytes = Buffer.concat([...kept.splice(0), last])
    this.#keptBytes -= bytes.length - last.length
    return bytes
  }

  #complete(bytes: Buffer): Buffer {
    if (this.#first === null) {
      // While nothing has been handed on another provider can still be asked. Later ones are the client's to judge.
      checkFirst(bytes)
      this.#first = bytes
    }
    if (hasUsage(bytes) || bytes.indexOf(DONE) >= 0 || bytes.indexOf(ERROR) >= 0) return this.#inspect(bytes)
    this.#count(bytes)
    return bytes
  }

  #count(bytes: Buffer): void {
    let events = 0
    for (let i = bytes.indexOf(DATA); i >= 0; i = bytes.indexOf(DATA, i + 5)) events++
    if (events === 0) return
    this.events += events
    this.#bytes += bytes.length
    this.#envelope = Math.min(this.#envelope, Math.floor(bytes.length / events))
  }

  /** The slow way, for the few events where something may have to be read. */
  #inspect(bytes: Buffer): Buffer {
    const handOn: Buffer[] = []
    const openings: Buffer[] = []
    let start = 0
    while (start < bytes.length && !this.done && !this.error) {
      const end = endOfNextEvent(bytes, start) || bytes.length
      const event = bytes.subarray(start, end)
      if (!this.#isKeptBack(event)) {
        if (this.events === 0 && isOpening(event)) openings.push(event)
        else for (const one of [...openings.splice(0), event]) this.#count(one)
        handOn.push(event)
      }
      start = end
    }
    return handOn.length === 1 ? handOn[0]! : Buffer.concat(handOn)
  }

  #isKeptBack(event: Buffer): boolean {
    const data = dataOf(event)
    if (data === null) return false
    if (data.trim() === '[DONE]') {
      this.done = true
      return true
    }
    if (!hasUsage(event) && event.indexOf(ERROR) < 0) return false
    const chunk = parse(data)
    if (chunk === null) return false
    this.error = readErrorAmid(chunk)
    if (this.error) return true
    const usage = readUsage(usageIn(chunk))
    if (!usage) return false
    this.usage = usage
    this.billedNanos = readBilledNanos(usageIn(chunk))
    if (typeof chunk.service_tier === 'string') this.serviceTier = chunk.service_tier
    if (!Array.isArray(chunk.choices) || chunk.choices.length > 0) return false
    this.#usageEvent = chunk
    return true
  }
}

/** Whether nothing in it is part of an answer: only comments, and chunks with a role or less, after which a provider may still turn out to be overloaded. */
function isOpening(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length; ) {
    const end = endOfNextEvent(bytes, start) || bytes.length
    const data = dataOf(bytes.subarray(start, end))
    if (data !== null && !saysNothing(parse(data))) return false
    start = end
  }
  return true
}

function saysNothing(chunk: Record<string, unknown> | null): boolean {
  if (chunk === null || !Array.isArray(chunk.choices) || chunk.error != null || chunk.usage != null) return false
  return chunk.choices.every((choice) => choice?.finish_reason == null && isEmpty(choice?.delta))
}

function isEmpty(delta: unknown): boolean {
  if (typeof delta !== 'object' || delta === null) return false
  return Object.entries(delta).every(([name, value]) => name === 'role' || value === '' || value === null)
}

function checkFirst(bytes: Buffer): void {
  for (let start = 0; start < bytes.length; ) {
    const end = endOfNextEvent(bytes, start) || bytes.length
    const data = dataOf(bytes.subarray(start, end))?.trim()
    if (data) {
      if (data !== '[DONE]' && parse(data) === null) throw new SyntaxError('the first event of the stream is not JSON')
      return
    }
    start = end
  }
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

function withCost(chunk: Record<string, unknown>, cost: number | null): Record<string, unknown> {
  return cost === null ? chunk : { ...chunk, usage: { ...(chunk.usage as object), cost } }
}

/** Whether a `"usage"` member is there that isn't null; most chunks say `"usage":null`. */
function hasUsage(bytes: Buffer): boolean {
  for (let i = bytes.indexOf(USAGE); i >= 0; i = bytes.indexOf(USAGE, i)) {
    i += USAGE.length
    while (bytes[i] === SPACE || bytes[i] === COLON) i++
    if (bytes[i] !== SMALL_N) return true
  }
  return false
}

function parse(data: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
