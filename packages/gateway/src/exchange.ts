import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Surface } from '@nemo/codec/surface'
import { invalidRequest, requestTooLarge } from '@nemo/domain/errors'
import { requestIdOf, uuidv7 } from '@nemo/domain/ids'

/** The caller hung up before there was anything to answer. */
export class HungUp extends Error {
  override readonly name = 'HungUp'
}

/** One HTTP request and its answer, with its id and its clock. */
export class Exchange {
  readonly id: string = uuidv7()
  readonly requestId: string = requestIdOf(this.id)
  readonly startedAt = new Date()
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The API that the caller speaks, where it isn't the control plane's: errors are told in its shape. */
  surface: Surface | null = null
  /** Whether the client went away before it had the whole answer. */
  hungUp = false
  readonly #began = performance.now()
  #onHangUp: (() => void) | null = null

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request
    this.response = response
    response.on('close', () => {
      if (response.writableFinished) return
      this.hungUp = true
      this.#onHangUp?.()
    })
  }

  /** Milliseconds since the request came in. */
  get elapsedMs(): number {
    return performance.now() - this.#began
  }

  /** Calls back when the client goes away, at once if it has. One listener at a time. */
  onHangUp(act: (() => void) | null): void {
    this.#onHangUp = act
    if (act && this.hungUp) act()
  }

  /** The whole body. Throws a 413 over the limit, and HungUp when the client goes away in the middle. */
  body(bytesMax: number): Promise<Buffer> {
    const encoding = this.request.headers['content-encoding']
    if (encoding && encoding !== 'identity')
      throw invalidRequest('content-encoding', 'Send the request body without compression.')
    if (Number(this.request.headers['content-length'] ?? 0) > bytesMax) throw requestTooLarge(bytesMax)
    // It may have gone while the key was looked up: then its last event has passed, and nothing more comes.
    if (this.request.destroyed) return Promise.reject(new HungUp())
    return new Promise((resolve, reject) => {
      let first: Buffer | null = null
      let chunks: Buffer[] | null = null
      let bytes = 0
      let isWhole = false
      this.request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > bytesMax) {
          // The rest is read and dropped, or the client would still be writing when the connection closes, and never see the answer.
          first = chunks = null
          reject(requestTooLarge(bytesMax))
        } else if (first === null) first = chunk
        else if (chunks === null) chunks = [first, chunk]
        else chunks.push(chunk)
      })
      this.request.on('end', () => {
        isWhole = true
        resolve(chunks ? Buffer.concat(chunks) : (first ?? Buffer.alloc(0)))
      })
      this.request.on('error', () => reject(new HungUp()))
      // Even a body that has all arrived isn't read to its end once the connection is gone. It closes after every body, and an error is dear.
      this.request.on('close', () => {
        if (!isWhole) reject(new HungUp())
      })
    })
  }
}
