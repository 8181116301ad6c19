import type { Usage } from '@nemo/domain/usage'
import type { AnswerStream } from '../../answer-stream.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { WireEvent } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { dataOf, endOfLastEvent, endOfNextEvent, hasLineEnd } from '../../sse.ts'
import type { StreamEnd, SurfaceError } from '../../surface.ts'
import { writeUsage } from '../../surfaces/messages/write-answer.ts'
import { writeError } from '../../surfaces/messages/write-error.ts'
import type { Framing } from '../../translated-stream.ts'
import type { WireError } from '../openai.ts'
import { readEvent } from './decode-stream.ts'
import { decodeError } from './dialect.ts'
import { mergeUsage, readServiceTier, readUsage, searchesWith, seenOf } from './usage.ts'

const NOTHING = Buffer.alloc(0)

/** What an event may be that has to be read. The words may stand in a text as well: then the event is read for nothing. */
const READ = [
  'message_start',
  'message_delta',
  'message_stop',
  '"error"',
  '"server_tool_use"',
  '_tool_result_error"',
].map((word) => Buffer.from(word))
const CONTENT = Buffer.from('content_block_')
const BLOCK_START = Buffer.from('event: content_block_start')
const BLOCK_STOP = Buffer.from('event: content_block_stop')
const DELTA = Buffer.from('event: content_block_delta')
const SIGNATURE = Buffer.from('"signature_delta"')

/** What a delta weighs beside its text. */
const ENVELOPE_BYTES = 120

/** An event longer than this is no event: an upstream that never ends one must not fill the memory. */
const EVENT_BYTES_MAX = 32 * 1024 * 1024

/**
 * Watches a Messages stream go by to a caller who speaks it too (https://platform.claude.com/docs/en/build-with-claude/streaming). Whole events are handed on as the bytes
 * they came in; parsed are only those that carry usage, an error or the end. What comes before the first block of content waits for it: until then the call can still fail
 * with a status. The last two events, message_delta and message_stop, are kept back for whoever settles the call.
 *
 * Where the provider frames its events otherwise (Bedrock), `framing` tells them apart, and the caller gets them as server-sent ones.
 */
export class AnthropicStream implements AnswerStream {
  usage: Usage | null = null
  readonly mayBeShortened = false
  readonly billedNanos = null
  serviceTier: string | null = null
  /** An error that the provider sent amid the stream. What comes after is not handed on. */
  error: WireError | null = null
  /** Whether message_stop came. A stream that stops without it was cut. */
  done = false
  events = 0
  tokensSeen = 0
  readonly #framing: Framing | null
  /** The usage so far, as the provider has it. */
  #counted: JsonObject = {}
  #searches = 0
  #leading: Buffer[] = []
  #pending: Buffer[] = []
  #keptBytes = 0
  /** The message_delta as it came, and the message_stop. */
  #delta: JsonObject | null = null
  #tail: Buffer[] = []
  /** The event that began the block which hasn't ended. */
  #open: Buffer | null = null

  constructor(framing: Framing | null = null) {
    this.#framing = framing
  }

  /** The bytes to hand on now: whole events only. Throws a RangeError on an event without end. */
  push(chunk: Buffer): Buffer {
    if (this.#framing === null) return this.#push(chunk)
    return this.#push(Buffer.from(this.#framing.push(chunk).map(asServerSent).join('')))
  }

  /** Says that no more bytes come. A last event without its empty line counts if it is whole; half an event is nobody's. */
  end(): Buffer {
    const last =
      this.#framing === null ? NOTHING : this.#push(Buffer.from(this.#framing.end().map(asServerSent).join('')))
    const rest = this.#take(this.#pending, NOTHING)
    if (rest.length === 0 || this.done || this.error) return last
    const data = dataOf(rest)
    return data === null || parse(data) === null ? last : Buffer.concat([last, this.#complete(rest)])
  }

  get seen(): Usage {
    return seenOf(this.#counted, this.#searches)
  }

  finish({ usage, cost, early }: StreamEnd): string {
    const priced = cost === null ? {} : { cost }
    if (early !== null || this.#delta === null) {
      const delta = { stop_reason: 'max_tokens', stop_sequence: null }
      const counted = { ...writeUsage(usage), ...priced }
      return `${this.#stopBlock()}${event('message_delta', { delta, usage: counted, ...early })}${event('message_stop', {})}`
    }
    if (cost === null) return Buffer.concat(this.#tail).toString()
    const { type: _, usage: counted, ...rest } = this.#delta
    return `${event('message_delta', { ...rest, usage: { ...(counted as object), ...priced } })}${event('message_stop', {})}`
  }

  fail(error: SurfaceError): string {
    return event('error', writeError(error))
  }

  #push(chunk: Buffer): Buffer {
    if (this.done || this.error || chunk.length === 0) return NOTHING
    if (this.#keptBytes + chunk.length > EVENT_BYTES_MAX) throw new RangeError('the stream has an event without end')
    // A long event in many chunks is put together once, at its end, and not anew with every chunk.
    if (!hasLineEnd(chunk)) return this.#keep(this.#pending, chunk)
    const bytes = this.#take(this.#pending, chunk)
    const end = endOfLastEvent(bytes)
    if (end < bytes.length) this.#keep(this.#pending, end === 0 ? bytes : Buffer.from(bytes.subarray(end)))
    return end === 0 ? NOTHING : this.#complete(end === bytes.length ? bytes : bytes.subarray(0, end))
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
    const handOn = READ.some((word) => bytes.indexOf(word) >= 0) ? this.#inspect(bytes) : bytes
    this.#observe(handOn)
    if (this.events > 0 || this.#delta !== null) return this.#take(this.#leading, handOn)
    return handOn.length === 0 ? NOTHING : this.#keep(this.#leading, handOn)
  }

  /** The slow way, for the few events where something may have to be read. */
  #inspect(bytes: Buffer): Buffer {
    const handOn: Buffer[] = []
    let start = 0
    while (start < bytes.length && !this.done && !this.error) {
      const end = endOfNextEvent(bytes, start) || bytes.length
      const one = bytes.subarray(start, end)
      if (!this.#isKeptBack(one)) handOn.push(one)
      start = end
    }
    return handOn.length === 1 ? handOn[0]! : Buffer.concat(handOn)
  }

  #isKeptBack(bytes: Buffer): boolean {
    const data = dataOf(bytes)
    const given = data === null ? null : parse(data)
    switch (given?.type) {
      case 'message_start':
        if (isObject(given.message) && isObject(given.message.usage)) this.#counted = given.message.usage
        return false
      case 'content_block_start':
        this.#searches += searchesWith(given.content_block)
        return false
      case 'message_delta':
        this.#delta = given
        this.#counted = mergeUsage(this.#counted, given.usage)
        this.usage = readUsage(this.#counted)
        this.serviceTier = readServiceTier(this.#counted)
        this.#tail = [Buffer.from(bytes)]
        return true
      case 'message_stop':
        this.done = true
        this.#tail.push(Buffer.from(bytes))
        return true
      case 'error':
        this.error = decodeError(given)
        return this.error !== null
      default:
        return false
    }
  }

  /** Counts, and remembers which block is open. */
  #observe(bytes: Buffer): void {
    for (let i = bytes.indexOf(CONTENT); i >= 0; ) {
      const next = bytes.indexOf('\nevent:', i)
      this.events++
      i = next < 0 ? -1 : bytes.indexOf(CONTENT, next)
    }
    for (let i = bytes.indexOf(DELTA); i >= 0; ) {
      const next = bytes.indexOf('\nevent:', i)
      const one = bytes.subarray(i, next < 0 ? bytes.length : next)
      if (one.indexOf(SIGNATURE) < 0) this.tokensSeen += Math.max(1, Math.ceil((one.length - ENVELOPE_BYTES) / 4))
      i = next < 0 ? -1 : bytes.indexOf(DELTA, next)
    }
    const [started, stopped] = [bytes.lastIndexOf(BLOCK_START), bytes.lastIndexOf(BLOCK_STOP)]
    if (stopped > started) this.#open = null
    else if (started >= 0)
      this.#open = Buffer.from(bytes.subarray(started, endOfNextEvent(bytes, started) || bytes.length))
  }

  #stopBlock(): string {
    if (this.#open === null) return ''
    const index = parse(dataOf(this.#open) ?? '')?.index
    return event('content_block_stop', { index: typeof index === 'number' ? index : 0 })
  }
}

function asServerSent({ type, data }: WireEvent): string {
  if (type?.startsWith('exception:')) {
    const message = parse(data)?.message
    const error = { type: type.slice('exception:'.length), message: typeof message === 'string' ? message : data }
    return event('error', { error })
  }
  const inner = readEvent(data)
  return event(String(inner.type), inner)
}

function event(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
}

function parse(data: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(data)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
