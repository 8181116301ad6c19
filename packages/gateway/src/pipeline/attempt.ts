import type { Wire } from '@nemo/codec/wire'
import { outputTokens } from '@nemo/domain/usage'
import type { Gateway } from '../gateway.ts'
import type { Fault } from '../routing/fault.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { Upstream } from '../snapshot/upstream.ts'
import { PolledAttempt } from '../transports/polled-attempt.ts'
import type { CallRecord } from './call-record.ts'
import { textTokens } from './expect.ts'
import type { CallPolicy } from './policy.ts'
import type { ResolvedRequest } from './resolve.ts'
import { Attempt, type Result } from './upstream.ts'

/** What ends an attempt whose client has gone. */
export const HANG_UP: Fault = { kind: 'reset', detail: 'the client hung up' }
/** The same before the provider had anything of it, so that nothing is owed. */
export const UNSENT: Fault = { kind: 'reset', detail: 'the client hung up before anything was sent' }

/** One request to one deployment, until it answers, fails, or the time is up or the client gone. */
export async function attempt(
  gateway: Gateway,
  { exchange, key }: CallRecord,
  request: ResolvedRequest,
  { id, upstream }: Deployment,
  wire: Wire,
  policy: CallPolicy,
  timeoutMs: number,
): Promise<Result> {
  gateway.loads.add(id, { requests: 1, tokens: 0 }, performance.now())
  gateway.health.begin(key.organizationId, id)
  gateway.observed.begin(id)
  const startedMs = exchange.elapsedMs
  const late: Fault = { kind: 'timeout', detail: `no answer within ${policy.totalTimeoutMs} ms` }
  let end: End = () => {}
  const timer = setTimeout(() => end(late), timeoutMs)
  exchange.onHangUp(() => end(HANG_UP))
  const sent = await send(gateway, request, upstream, wire, policy, (act) => {
    end = act
  })
  end = (fault) => sent.abort(fault)
  if (exchange.hungUp) end(HANG_UP)
  const result = await sent.result
  clearTimeout(timer)
  exchange.onHangUp(null)
  observe(gateway, request, id, result, exchange.elapsedMs - startedMs)
  return result.kind === 'fault' ? { ...result, fault: withoutSecret(result.fault, upstream) } : result
}

/** Ends what is under way, for a reason of ours. */
type End = (fault: Fault) => void

/** A fault as it may be logged and told. */
export function withoutSecret(fault: Fault, { hide }: Upstream): Fault {
  const detail = hide(fault.detail)
  return detail === fault.detail ? fault : { ...fault, detail }
}

async function send(
  gateway: Gateway,
  request: ResolvedRequest,
  upstream: Upstream,
  wire: Wire,
  { firstByteTimeoutMs, idleTimeoutMs }: CallPolicy,
  endsBy: (end: End) => void,
): Promise<Pick<Attempt, 'result' | 'abort'>> {
  const path = upstream.basePath + wire.path
  const options = { path, wire, streamed: request.streamed, firstByteTimeoutMs, idleTimeoutMs }
  try {
    const headers = upstream.headersFor(path, wire)
    const ready = headers instanceof Promise ? await unlessEnded(headers, endsBy) : headers
    if (wire.isPolled) return new PolledAttempt(gateway.upstreams, upstream.origin, { ...options, headers: ready })
    return Attempt.send(gateway.upstreams.of(upstream), { ...options, headers: ready })
  } catch (error) {
    if (error instanceof Ended) return Attempt.failed(wire, error.fault === HANG_UP ? UNSENT : error.fault)
    // Whoever gives out the tokens for this provider refused, or can't be reached.
    return Attempt.failed(wire, { kind: 'connect', detail: (error as Error).message })
  }
}

class Ended extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.detail)
    this.fault = fault
  }
}

/** What is waited for; rejects with why, when the attempt ends before it is there. Others may go on waiting for it. */
function unlessEnded<T>(waited: Promise<T>, endsBy: (end: End) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    endsBy((fault) => reject(new Ended(fault)))
    waited.then(resolve, reject)
  })
}

/** Notes how fast it was: until a stream's first token, or by output token of any other answer. */
function observe({ observed }: Gateway, request: ResolvedRequest, id: string, result: Result, tookMs: number): void {
  const now = performance.now()
  if (result.kind === 'stream') observed.took(id, true, tookMs, now)
  else observed.end(id)
  if (result.kind === 'answer') {
    const { usage, bytes } = result.answer
    const tokens = usage ? outputTokens(usage) : textTokens(request.endpoint, bytes)
    observed.took(id, false, tookMs, now, Math.max(tokens, 1))
  }
}
