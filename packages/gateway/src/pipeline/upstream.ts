import type { AnswerStream } from '@nemo/codec/answer-stream'
import type { Answer, Wire } from '@nemo/codec/wire'
import type { Dispatcher } from 'undici'
import { type Fault, readRetryAfter } from '../routing/fault.ts'
import { readRateLimitReset } from '../routing/rate-limit-reset.ts'

/** An answer that isn't streamed, images in base64 included, may not be larger than this. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024

/** Server-sent events, and AWS's binary ones. */
const STREAMS = /^(text\/event-stream|application\/vnd\.amazon\.eventstream)\b/i

/** How an attempt came out, as soon as that is known: for a stream, when its first token is there. */
export type Result =
  | {
      readonly kind: 'answer'
      readonly answer: Answer
    }
  | { readonly kind: 'stream'; readonly live: LiveStream }
  | { readonly kind: 'fault'; readonly fault: Fault }

/** A stream that has begun. It is read only as fast as the sink takes it. */
export interface LiveStream {
  readonly chunks: AnswerStream
  /** Hands on what came and what comes, until the stream is over; answers with the fault that ended it early, or null. */
  pour(sink: Sink): Promise<Fault | null>
  /** Ends it at once. The fault says why. */
  abort(fault: Fault): void
}

export interface Sink {
  /** Writes, and says whether it can take more at once. */
  write(bytes: Buffer): boolean
  onceDrained(act: () => void): void
}

export interface UpstreamRequest {
  readonly path: string
  readonly headers: readonly string[]
  readonly wire: Wire
  readonly streamed: boolean
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
}

/**
 * One request to a provider: an undici dispatch with a handler of our own, since its other interfaces cost several times as much
 * CPU. Failures are values, never thrown.
 */
export class Attempt implements Dispatcher.DispatchHandler, LiveStream {
  readonly result: Promise<Result>
  chunks!: AnswerStream
  readonly #wire: Wire
  readonly #streamed: boolean
  #settle!: (result: Result) => void
  #controller: Dispatcher.DispatchController | null = null
  #aborted: Fault | null = null
  #status = 0
  #headers: Record<string, string | string[] | undefined> = {}
  #live = false
  #held: Buffer[] = []
  #heldBytes = 0
  #sink: Sink | null = null
  #over = false
  #fault: Fault | null = null
  #whenOver: ((fault: Fault | null) => void) | null = null

  constructor(wire: Wire, streamed: boolean) {
    this.#wire = wire
    this.#streamed = streamed
    this.result = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  static send(dispatcher: Dispatcher, request: UpstreamRequest): Attempt {
    const attempt = new Attempt(request.wire, request.streamed)
    try {
      dispatcher.dispatch(
        {
          method: 'POST',
          path: request.path,
          headers: request.headers as string[],
          body: request.wire.body,
          headersTimeout: request.firstByteTimeoutMs,
          bodyTimeout: request.idleTimeoutMs,
        },
        attempt,
      )
    } catch (error) {
      attempt.#end(faultOf(error as Error, false))
    }
    return attempt
  }

  /** One that failed before anything was sent. */
  static failed(wire: Wire, fault: Fault): Attempt {
    const attempt = new Attempt(wire, false)
    attempt.#end(fault)
    return attempt
  }

  /** Ends the attempt at once, whatever it waits for. The fault says why. */
  abort(fault: Fault): void {
    if (this.#over) return
    this.#aborted = fault
    this.#end(fault)
    this.#controller?.abort(new Error(fault.kind))
  }

  pour(sink: Sink): Promise<Fault | null> {
    return new Promise((resolve) => {
      this.#sink = sink
      // At once: what is given resumes the provider, and what comes then must not overtake the rest.
      const held = this.#held.splice(0)
      if (held.length > 0) this.#give(held.length === 1 ? held[0]! : Buffer.concat(held))
      if (this.#over) resolve(this.#fault)
      else this.#whenOver = resolve
    })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted) controller.abort(new Error(this.#aborted.kind))
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status
    this.#headers = headers
    this.#live = this.#streamed && status === 200 && STREAMS.test(String(headers['content-type']))
    if (this.#live) this.chunks = this.#wire.openStream()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) {
      // Whoever goes on behind the end would keep a connection busy for nothing.
      controller.abort(new Error('the answer is over'))
      return
    }
    if (!this.#live) {
      this.#heldBytes += chunk.length
      if (this.#heldBytes <= ANSWER_BYTES_MAX) this.#held.push(chunk)
      else this.abort({ kind: 'malformed', detail: `the answer is larger than ${ANSWER_BYTES_MAX} bytes` })
      return
    }
    let bytes: Buffer
    try {
      bytes = this.chunks.push(chunk)
    } catch (error) {
      this.abort({ kind: 'malformed', detail: (error as Error).message })
      return
    }
    // Comments are no answer yet: what follows them may be an error, for which there is still a status to tell it by.
    const begun = this.chunks.events > 0
    if (begun) this.#settle({ kind: 'stream', live: this })
    if (bytes.length > 0) {
      if (this.#sink !== null) this.#give(bytes)
      else {
        this.#held.push(bytes)
        if (begun) controller.pause()
      }
    }
    // After the end nothing more is waited for, not even the end of the response.
    if (this.chunks.done || this.chunks.error) this.#endOfStream()
  }

  onResponseEnd(): void {
    if (this.#over) return
    if (this.#live) {
      this.#endOfBytes()
    } else this.#endOfAnswer()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end(this.#aborted ?? faultOf(error, this.#status !== 0))
  }

  #give(bytes: Buffer): void {
    if (!this.#sink!.write(bytes)) {
      this.#controller?.pause()
      this.#sink!.onceDrained(() => this.#controller?.resume())
    } else if (this.#controller?.paused) this.#controller.resume()
  }

  #endOfBytes(): void {
    try {
      const rest = this.chunks.end()
      if (rest.length > 0) {
        if (this.#sink === null) this.#held.push(rest)
        else this.#give(rest)
      }
      this.#endOfStream()
    } catch (error) {
      this.#end({ kind: 'malformed', detail: (error as Error).message })
    }
  }

  #endOfStream(): void {
    if (this.chunks.error) {
      this.#end({ kind: 'stream_error', detail: this.chunks.error.message })
      return
    }
    if (!this.chunks.done) {
      this.#end({ kind: 'cut', detail: 'the stream ended without its last event' })
      return
    }
    this.#settle({ kind: 'stream', live: this })
    this.#end(null)
  }

  #endOfAnswer(): void {
    const bytes = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held)
    const json = parseObject(bytes)
    if (this.#status >= 400) {
      const error = this.#wire.readError(json)
      this.#end({
        kind: 'status',
        status: this.#status,
        detail: error?.message ?? bytes.toString('utf8', 0, 500),
        param: error?.param ?? null,
        code: error?.code ?? null,
        retryAfterMs: this.#retryAfterMs(),
      })
    } else if (this.#status !== 200 || json === null || this.#streamed) {
      this.#end(this.#malformed(bytes.toString('utf8', 0, 200)))
    } else {
      try {
        const answer = this.#wire.readAnswer(bytes, json, this.#headers)
        this.#over = true
        this.#settle({ kind: 'answer', answer })
      } catch (error) {
        this.#end(this.#malformed((error as Error).message))
      }
    }
  }

  /** Only who refuses for its rate limits means by their headers when to come back. */
  #retryAfterMs(): number | null {
    const now = Date.now()
    return readRetryAfter(this.#headers, now) ?? (this.#status === 429 ? readRateLimitReset(this.#headers, now) : null)
  }

  #malformed(what: string): Fault {
    return { kind: 'malformed', detail: `status ${this.#status}, ${String(this.#headers['content-type'])}: ${what}` }
  }

  #end(fault: Fault | null): void {
    if (this.#over) return
    this.#over = true
    this.#fault = fault
    if (fault) this.#settle({ kind: 'fault', fault })
    // Nothing more is given on, so nobody would ask for the rest: it must not wait for a client that may never read.
    if (this.#controller?.paused) this.#controller.resume()
    this.#whenOver?.(fault)
  }
}

function parseObject(bytes: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** undici's errors by their codes (https://undici.nodejs.org/#/docs/api/Errors), and the system's. */
function faultOf(error: Error, answering: boolean): Fault {
  const code = (error as NodeJS.ErrnoException).code ?? error.name
  const detail = `${code}: ${error.message}`
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return { kind: 'timeout', detail }
  if (
    /^(UND_ERR_CONNECT_TIMEOUT|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ERR_TLS.*|CERT_.*|DEPTH_ZERO.*|UNABLE_TO.*|SELF_SIGNED.*)$/.test(
      code,
    )
  ) {
    return { kind: 'connect', detail }
  }
  return { kind: answering ? 'cut' : 'reset', detail }
}
