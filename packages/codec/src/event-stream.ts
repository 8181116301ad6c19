import { crc32 } from './crc32.ts'
import type { WireEvent } from './dialect.ts'

/** A message longer than this is none: an upstream that announces one must not fill the memory. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024
const PRELUDE_BYTES = 12
const CRC_BYTES = 4

/**
 * Tells the messages of AWS's binary event stream apart, however their bytes are split
 * (https://smithy.io/2.0/aws/amazon-eventstream.html): a prelude with two lengths and its checksum, headers, payload, and a checksum of it all.
 * An exception becomes an event of the type `exception:<its name>`.
 */
export class EventStreamEvents {
  #rest: Uint8Array = new Uint8Array(0)
  readonly #text = new TextDecoder()

  /** The messages that are whole now. Throws a SyntaxError on bytes that are none. */
  push(bytes: Uint8Array): WireEvent[] {
    this.#rest = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes)
    const events: WireEvent[] = []
    while (this.#rest.length >= PRELUDE_BYTES) {
      const view = new DataView(this.#rest.buffer, this.#rest.byteOffset, this.#rest.byteLength)
      const total = view.getUint32(0)
      if (crc32(this.#rest.subarray(0, 8)) !== view.getUint32(8)) throw new SyntaxError('a message has a wrong prelude')
      if (total > MESSAGE_BYTES_MAX || total < PRELUDE_BYTES + CRC_BYTES)
        throw new SyntaxError('a message has no possible length')
      if (this.#rest.length < total) break
      events.push(this.#read(this.#rest.subarray(0, total)))
      this.#rest = this.#rest.subarray(total)
    }
    // What is left of a network chunk may be small, and would keep all of it.
    if (this.#rest.length > 0) this.#rest = this.#rest.slice()
    return events
  }

  /** Says that no more bytes come. Half a message is nobody's. */
  end(): WireEvent[] {
    this.#rest = new Uint8Array(0)
    return []
  }

  #read(message: Uint8Array): WireEvent {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
    const end = message.length - CRC_BYTES
    if (crc32(message.subarray(0, end)) !== view.getUint32(end)) throw new SyntaxError('a message has a wrong checksum')
    const headersEnd = PRELUDE_BYTES + view.getUint32(4)
    if (headersEnd > end) throw new SyntaxError('the headers of a message are longer than it')
    const headers = this.#headers(message, view, headersEnd)
    const data = this.#text.decode(message.subarray(headersEnd, end))
    switch (headers.get(':message-type')) {
      case 'exception':
        return { type: `exception:${headers.get(':exception-type') ?? ''}`, data }
      case 'error':
        return {
          type: `exception:${headers.get(':error-code') ?? ''}`,
          data: JSON.stringify({ message: headers.get(':error-message') }),
        }
      default:
        return { type: headers.get(':event-type') ?? null, data }
    }
  }

  /** Those that are text; the others are passed over by their sizes. */
  #headers(message: Uint8Array, view: DataView, end: number): Map<string, string> {
    const headers = new Map<string, string>()
    let i = PRELUDE_BYTES
    while (i < end) {
      const name = this.#text.decode(message.subarray(i + 1, i + 1 + message[i]!))
      i += 1 + message[i]!
      const type = message[i++]
      const size = type === TEXT || type === BYTES ? 2 + view.getUint16(i) : FIXED_SIZES[type!]
      if (size === undefined) throw new SyntaxError(`a header of a message has the unknown type ${type}`)
      if (type === TEXT) headers.set(name, this.#text.decode(message.subarray(i + 2, i + size)))
      i += size
    }
    return headers
  }
}

const BYTES = 6
const TEXT = 7
/** True, false, byte, short, integer, long; timestamp and UUID come after the two that say their length. */
const FIXED_SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 }

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
