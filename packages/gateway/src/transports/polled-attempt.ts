import { setTimeout as wait } from 'node:timers/promises'
import type { Answer } from '@nemo/codec/wire'
import { Attempt, type Result, type UpstreamRequest } from '../pipeline/upstream.ts'
import type { Fault } from '../routing/fault.ts'
import type { UpstreamPools } from '../upstream-pools.ts'

const FIRST_WAIT_MS = 250
const WAIT_MAX_MS = 2_000
/** An answer that was paid for isn't given up because asking for it fails once. */
const FAILURES_MAX = 3
const ANSWER_BYTES_MAX = 1024 * 1024

/**
 * An attempt whose answer may say first where to ask for it: then that is asked until it is there, or the attempt is aborted, by its deadline or since the client is gone. Where that may be,
 * the wire decides: it never leads away from the provider, whose key goes along.
 */
export class PolledAttempt implements Pick<Attempt, 'result' | 'abort'> {
  readonly result: Promise<Result>
  readonly #pools: UpstreamPools
  readonly #request: UpstreamRequest
  readonly #first: Attempt
  readonly #abort = new AbortController()

  /** `origin` is the provider's. */
  constructor(pools: UpstreamPools, origin: string, request: UpstreamRequest) {
    const asked = new URL(origin + request.path)
    const { wire } = request
    this.#pools = pools
    this.#request = request
    this.#first = Attempt.send(pools.of(asked), {
      ...request,
      wire: { ...wire, readAnswer: (bytes, json, headers) => wire.readAnswer(bytes, json, headers, asked) },
    })
    this.result = this.#follow(asked)
  }

  abort(fault: Fault): void {
    this.#first.abort(fault)
    this.#abort.abort(fault)
  }

  async #follow(asked: URL): Promise<Result> {
    const first = await this.#first.result
    if (first.kind !== 'answer' || first.answer.again === undefined) return first
    const { signal } = this.#abort
    let place = first.answer.again ?? asked
    let waitMs = FIRST_WAIT_MS
    for (let failures = 0; ; waitMs = Math.min(waitMs * 1.5, WAIT_MAX_MS)) {
      try {
        await wait(waitMs, undefined, { signal })
        const result = await this.#ask(place, signal)
        if (result.kind !== 'answer') {
          if (!isPassing(result) || ++failures >= FAILURES_MAX) return result
        } else if (result.answer.again === undefined) {
          return { kind: 'answer', answer: billedAtFirst(result.answer, first.answer) }
        } else {
          failures = 0
          place = result.answer.again ?? place
        }
      } catch (error) {
        if (signal.aborted) return { kind: 'fault', fault: signal.reason as Fault }
        const detail = `asking for the answer: ${(error as Error).message}`
        if (++failures >= FAILURES_MAX) return { kind: 'fault', fault: { kind: 'reset', detail } }
      }
    }
  }

  async #ask(place: URL, signal: AbortSignal): Promise<Result> {
    const { headers, wire, firstByteTimeoutMs, idleTimeoutMs } = this.#request
    const response = await this.#pools.of(place).request({
      method: 'GET',
      path: place.pathname + place.search,
      headers: headers as string[],
      headersTimeout: firstByteTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      signal,
    })
    const bytes = await readBytes(response.body)
    const json = parseObject(bytes)
    const status = response.statusCode
    const error = wire.readError(json)
    if (status >= 400 || error !== null) {
      // One that was made and then held back is the caller's own to mend.
      const held = error?.code === 'content_policy_violation'
      const fault: Fault = {
        kind: 'status',
        status: status >= 400 ? status : held ? 400 : 502,
        detail: error?.message ?? bytes.toString('utf8', 0, 500),
        param: error?.param ?? null,
        code: error?.code ?? null,
        retryAfterMs: null,
      }
      return { kind: 'fault', fault }
    }
    try {
      if (status !== 200 || json === null) throw new SyntaxError(bytes.toString('utf8', 0, 200))
      return { kind: 'answer', answer: wire.readAnswer(bytes, json, response.headers, place) }
    } catch (cause) {
      return { kind: 'fault', fault: { kind: 'malformed', detail: `status ${status}: ${(cause as Error).message}` } }
    }
  }
}

/** Whether it may go better when it is asked for again. What an answer itself says of how it failed will not change. */
function isPassing(result: Result): boolean {
  return result.kind === 'fault' && result.fault.kind === 'status' && [429, 500, 503, 504].includes(result.fault.status)
}

/** What it costs was said when it was accepted, and isn't said again. */
function billedAtFirst(answer: Answer, { billedNanos }: Answer): Answer {
  return { ...answer, billedNanos: answer.billedNanos ?? billedNanos }
}

async function readBytes(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new RangeError(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseObject(bytes: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
