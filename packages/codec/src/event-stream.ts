import { crc32 } from './crc32.ts'
import type { WireEvent } from './dialect.ts'

/** A message longer than this is none: an upstream that announces one must not fill the memory. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024
const PRELUDE_BYTES = 12
const CRC_BYTES = 4
const NOTHING = new Uint8Array(0)

/**
 * Tells the messages of AWS's binary event stream apart, however their bytes are split
 * (https://smithy.io/2.0/aws/amazon-eventstream.html): a prelude with two lengths and its checksum, headers, payload, and a checksum of it all.
 * An exception becomes an event of the type `exception:<its name>`.
 */
export class EventStreamEvents {
  /** The beginning of a message, with room behind it for more. */
  #held = NOTHING
  #length = 0
  readonly #encoding: 'utf8' | 'latin1'

  /** `latin1` keeps every byte of a payload, for those that are cut in the middle of a letter. */
  constructor(encoding: 'utf8' | 'latin1' = 'utf8') {
    this.#encoding = encoding
  }

  /** The messages that are whole now. Throws a SyntaxError on bytes that are none. */
  push(bytes: Uint8Array): WireEvent[] {
    const all = this.#length === 0 ? bytes : this.#append(bytes)
    const events: WireEvent[] = []
    let start = 0
    while (all.length - start >= PRELUDE_BYTES) {
      const total = readLength(all.subarray(start, start + PRELUDE_BYTES))
      if (all.length - start < total) break
      events.push(readMessage(all.subarray(start, start + total), this.#encoding))
      start += total
    }
    // What is left of a network chunk may be small, and would keep all of it.
    if (start > 0 || this.#length === 0) this.#keep(all.subarray(start))
    return events
  }

  /** Says that no more bytes come. Half a message is nobody's. */
  end(): WireEvent[] {
    this.#keep(NOTHING)
    return []
  }

  /** The room doubles, so that a large message in small pieces is copied a few times and not once for each. */
  #append(bytes: Uint8Array): Uint8Array {
    const length = this.#length + bytes.length
    if (length > this.#held.length) {
      const roomier = new Uint8Array(Math.max(length, this.#held.length * 2))
      roomier.set(this.#held.subarray(0, this.#length))
      this.#held = roomier
    }
    this.#held.set(bytes, this.#length)
    this.#length = length
    return this.#held.subarray(0, length)
  }

  #keep(rest: Uint8Array): void {
    this.#held = rest.length === 0 ? NOTHING : rest.slice()
    this.#length = rest.length
  }
}

function readLength(prelude: Uint8Array): number {
  const view = viewOf(prelude)
  if (crc32(prelude.subarray(0, 8)) !== view.getUint32(8)) throw new SyntaxError('a message has a wrong prelude')
  const total = view.getUint32(0)
  if (total > MESSAGE_BYTES_MAX || total < PRELUDE_BYTES + view.getUint32(4) + CRC_BYTES) {
    throw new SyntaxError('a message has no possible length')
  }
  return total
}

function readMessage(message: Uint8Array, encoding: 'utf8' | 'latin1'): WireEvent {
  const view = viewOf(message)
  const end = message.length - CRC_BYTES
  if (crc32(message.subarray(0, end)) !== view.getUint32(end)) throw new SyntaxError('a message has a wrong checksum')
  const headersEnd = PRELUDE_BYTES + view.getUint32(4)
  const headers = readHeaders(message.subarray(PRELUDE_BYTES, headersEnd))
  const payload = message.subarray(headersEnd, end)
  const data = encoding === 'utf8' ? TEXT.decode(payload) : Buffer.from(payload).toString('latin1')
  switch (headers.get(':message-type')) {
    case 'exception':
      return { type: `exception:${headers.get(':exception-type') ?? ''}`, data }
    case 'error':
      return {
        type: `exception:${headers.get(':error-code') ?? ''}`,
        data: JSON.stringify({ message: headers.get(':error-message') ?? '' }),
      }
    default:
      return { type: headers.get(':event-type') ?? null, data }
  }
}

const TEXT = new TextDecoder()

/** Those that are text; the others are passed over by their sizes. */
function readHeaders(bytes: Uint8Array): Map<string, string> {
  const headers = new Map<string, string>()
  const view = viewOf(bytes)
  let i = 0
  while (i < bytes.length) {
    const name = TEXT.decode(bytes.subarray(i + 1, i + 1 + bytes[i]!))
    i += 1 + bytes[i]!
    const type = bytes[i++] ?? -1
    const sized = type === TYPE_TEXT || type === TYPE_BYTES
    const size = sized && i + 2 <= bytes.length ? 2 + view.getUint16(i) : FIXED_SIZES[type]
    if (size === undefined || i + size > bytes.length) throw new SyntaxError('a message has headers that can’t be read')
    if (type === TYPE_TEXT) headers.set(name, TEXT.decode(bytes.subarray(i + 2, i + size)))
    i += size
  }
  return headers
}

const TYPE_BYTES = 6
const TYPE_TEXT = 7
/** By type: true, false, byte, short, integer, long, then behind the two that say their length, timestamp and UUID. */
const FIXED_SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 }

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
