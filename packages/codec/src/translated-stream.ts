import { estimateTokens } from '@nemo/domain/estimate'
import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import type { AnswerStream } from './answer-stream.ts'
import type { StreamPart } from './chat/answer.ts'
import type { StreamDecoder, WireEvent } from './dialect.ts'
import type { WireError } from './dialects/openai.ts'
import type { StreamEnd, StreamWriter, SurfaceError } from './surface.ts'

const NOTHING = Buffer.alloc(0)

/** Tells the events of a stream apart. */
export interface Framing {
  push(bytes: Uint8Array): WireEvent[]
  end(): WireEvent[]
}

/** A stream in one dialect, written anew for a surface that speaks another. */
export class TranslatedStream implements AnswerStream {
  usage: Usage | null = null
  billedNanos: Nanos | null = null
  serviceTier: string | null = null
  error: WireError | null = null
  events = 0
  tokensSeen = 0
  readonly #framing: Framing
  readonly #decoder: StreamDecoder
  readonly #writer: StreamWriter
  #isOver = false

  constructor(framing: Framing, decoder: StreamDecoder, writer: StreamWriter) {
    this.#framing = framing
    this.#decoder = decoder
    this.#writer = writer
  }

  get done(): boolean {
    return this.#decoder.done || this.#isOver
  }

  push(chunk: Buffer): Buffer {
    return this.#translate(this.#framing.push(chunk))
  }

  end(): Buffer {
    const bytes = this.#translate(this.#framing.end())
    this.#isOver = this.#decoder.isWhole ?? false
    return bytes
  }

  get seen(): Usage {
    return this.#decoder.seen ?? {}
  }

  get mayBeShortened(): boolean {
    return this.#writer.mayBeShortened
  }

  finish(end: StreamEnd): string {
    return this.#writer.end(end)
  }

  fail(error: SurfaceError): string {
    return this.#writer.fail(error)
  }

  #translate(events: readonly WireEvent[]): Buffer {
    let text = ''
    for (const event of events) {
      if (this.done || this.error) break
      const parts = this.#decoder.decode(event)
      for (const part of parts) this.#observe(part)
      if (parts.length > 0 && !this.error) text += this.#writer.write(parts)
    }
    return text === '' ? NOTHING : Buffer.from(text)
  }

  #observe(part: StreamPart): void {
    switch (part.type) {
      case 'start':
        return
      case 'usage':
        this.usage = part.usage
        this.billedNanos = part.billedNanos
        this.serviceTier = part.serviceTier
        return
      case 'error':
        this.error = { message: part.message, param: null, code: part.code }
        return
      case 'text':
      case 'refusal':
        this.#count(part.text)
        break
      case 'reasoning':
        if (part.text !== null) this.#count(part.text)
        break
      case 'audio':
        if (part.transcript !== null) this.#count(part.transcript)
        break
      case 'arguments':
        this.#count(part.json)
    }
    this.events++
  }

  #count(text: string): void {
    this.tokensSeen += Math.max(1, estimateTokens(text))
  }
}
