import type { WireEvent } from './dialect.ts'

/** An event longer than this is no event: an upstream that never ends one must not fill the memory. In UTF-16 units. */
const EVENT_LENGTH_MAX = 32 * 1024 * 1024

/**
 * Tells server-sent events apart, however their bytes are split
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation). Comments and events without data are left out.
 */
export class SseEvents {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #type: string | null = null
  #data: string | null = null
  #length = 0
  /** A CR was last: a LF that follows it belongs to it. */
  #afterCr = false

  /** The events that are whole now. Throws a RangeError on one without end. */
  push(bytes: Uint8Array): WireEvent[] {
    return this.#read(this.#decoder.decode(bytes, { stream: true }))
  }

  /** Says that no more bytes come. A last event without its empty line counts. */
  end(): WireEvent[] {
    const events = this.#read(`${this.#decoder.decode()}\n\n`)
    this.#rest = ''
    return events
  }

  #read(text: string): WireEvent[] {
    const events: WireEvent[] = []
    let start = 0
    if (this.#afterCr && text !== '') {
      if (text.charCodeAt(0) === LF) start = 1
      this.#afterCr = false
    }
    for (let end = endOfLine(text, start); end >= 0; end = endOfLine(text, start)) {
      const line = this.#rest + text.slice(start, end)
      this.#rest = ''
      start = end + 1
      if (text.charCodeAt(end) === CR) {
        if (text.charCodeAt(start) === LF) start++
        else this.#afterCr = start === text.length
      }
      if (line === '') this.#complete(events)
      else this.#field(line)
    }
    this.#rest += text.slice(start)
    if (this.#rest.length + this.#length > EVENT_LENGTH_MAX) throw new RangeError('the stream has an event without end')
    return events
  }

  #field(line: string): void {
    if (line.startsWith('data:')) {
      const value = line.charCodeAt(5) === SPACE ? line.slice(6) : line.slice(5)
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`
      this.#length += value.length
      if (this.#length > EVENT_LENGTH_MAX) throw new RangeError('the stream has an event without end')
    } else if (line.startsWith('event:')) this.#type = line.slice(6).trimStart()
  }

  #complete(events: WireEvent[]): void {
    if (this.#data !== null) events.push({ type: this.#type, data: this.#data })
    this.#type = this.#data = null
    this.#length = 0
  }
}

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20

function endOfLine(text: string, from: number): number {
  const lf = text.indexOf('\n', from)
  const cr = text.indexOf('\r', from)
  return cr < 0 || (lf >= 0 && lf < cr) ? lf : cr
}
