import type { ServerResponse } from 'node:http'
import { firstEvents } from '@nemo/codec/sse'
import type { StreamEnd } from '@nemo/codec/surface'
import type { ApiError } from '@nemo/domain/errors'
import type { Slices } from './slices.ts'
import type { LiveStream, Sink } from './upstream.ts'

/** Gives a client what has been paid for ahead, and keeps back the rest until it has been. */
export class PaidSink implements Sink {
  /** Why the stream was ended before its provider did. */
  refusal: ApiError | null = null
  /** Nothing more is to be written. */
  isOver = false
  readonly #response: ServerResponse
  readonly #slices: Slices
  readonly #live: LiveStream
  readonly #readerTimeoutMs: number
  /** About how many tokens were written, before those that are withheld. */
  #written = 0
  #withheld: Buffer[] = []

  constructor(response: ServerResponse, live: LiveStream, slices: Slices, readerTimeoutMs: number) {
    this.#response = response
    this.#live = live
    this.#slices = slices
    this.#readerTimeoutMs = readerTimeoutMs
  }

  write(bytes: Buffer): boolean {
    if (this.#response.destroyed) return true
    const tokens = this.#live.chunks.tokensSeen
    if (this.#withheld.length === 0 && this.#slices.cover(tokens)) {
      this.#written = tokens
      return this.#response.write(bytes)
    }
    this.#withheld.push(bytes)
    return false
  }

  onceDrained(act: () => void): void {
    if (this.#withheld.length > 0) void this.#oncePaid(act)
    else onceDrained(this.#response, this.#readerTimeoutMs, act)
  }

  /** A provider that has ended its answer has billed it: then nothing is gained by keeping any of it back. */
  writeWithheld(): boolean {
    this.#written = this.#live.chunks.tokensSeen
    return this.#withheld.splice(0).reduce((_, bytes) => this.#response.write(bytes), true)
  }

  /** Writes what was still paid for, and says why there is no more. */
  end(): StreamEnd['early'] {
    const { message, code, details } = this.refusal!
    const bytes = Buffer.concat(this.#withheld)
    const paid = (this.#slices.held - this.#written) / (this.#live.chunks.tokensSeen - this.#written)
    // Of events that open and close blocks none may be missing: what came at once goes out, paid for or not.
    const first = this.#live.chunks.mayBeShortened ? firstEvents(bytes, paid) : bytes
    if (first.length > 0) this.#response.write(first)
    return { nemo: { notice: `The answer ends here. ${message}`, code, ...details } }
  }

  async #oncePaid(act: () => void): Promise<void> {
    const { tokensSeen } = this.#live.chunks
    while (!this.#slices.cover(tokensSeen)) {
      await this.#slices.answered()
      if (this.isOver) return
      if (this.#slices.refusal && tokensSeen > this.#slices.held) {
        this.refusal = this.#slices.refusal
        this.#live.abort({ kind: 'cut', detail: 'nothing more could be held' })
        return
      }
    }
    if (this.writeWithheld()) act()
    else onceDrained(this.#response, this.#readerTimeoutMs, act)
  }
}

/** A client that stops reading holds a connection and an upstream: after a while it counts as gone. */
function onceDrained(response: ServerResponse, timeoutMs: number, act: () => void): void {
  const timer = setTimeout(() => response.destroy(), timeoutMs)
  const stop = () => clearTimeout(timer)
  response.once('close', stop).once('drain', () => {
    response.off('close', stop)
    stop()
    act()
  })
}
