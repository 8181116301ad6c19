import type { Answer, Wire } from '@nemo/codec/wire'
import { wireOf } from '@nemo/codec/wires'
import { ApiError } from '@nemo/domain/errors'
import { outputTokens } from '@nemo/domain/usage'
import type { Exchange } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'
import { backoffMs, type Fault, isOperatorsFault, nameOfFault, verdictOf } from '../routing/fault.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { Upstream } from '../snapshot/upstream.ts'
import type { CallRecord } from './call-record.ts'
import type { ResolvedRequest } from './resolve.ts'
import { Attempt, type LiveStream, type Result } from './upstream.ts'

/** One attempt as it is logged and told in `x-nemo-attempts`. */
export interface AttemptRecord {
  readonly deployment_id: string
  readonly provider: string
  readonly model: string
  /** `200`, the status of an error, or the word for a fault. */
  readonly outcome: string
  readonly started_ms: number
  readonly took_ms: number
  /** The provider's words. For the operator, not for the caller. */
  readonly detail: string | null
}

/** What came of calling: an answer, a stream that has begun, or a client that went away before either. */
export type Reply =
  | {
      readonly kind: 'answer'
      readonly deployment: Deployment
      readonly answer: Answer
    }
  | {
      readonly kind: 'stream'
      readonly deployment: Deployment
      readonly live: LiveStream
      abort(fault: Fault): void
    }
  /** `deployment` is the one that was at work, or null if none was. */
  | { readonly kind: 'hung-up'; readonly deployment: Deployment | null }

/** A provider that wants to be left alone for longer isn't waited for: the hold would lie idle, and the caller can wait better. */
const WAIT_MAX_MS = 10_000

/**
 * Calls the deployments in their order until one answers: the only retry loop. The call's attempts are filled in as it goes. Throws the caller's own mistake
 * as the provider told it, or a 502 when every attempt failed; then nothing was answered and nothing is owed.
 */
export async function call(
  gateway: Gateway,
  record: CallRecord,
  request: ResolvedRequest,
  order: readonly Deployment[],
): Promise<Reply> {
  const { settings } = gateway
  const { exchange, attempts } = record
  const retries = Math.min(request.extras.maxRetries ?? settings.retriesMax, settings.retriesMax)
  const patienceMs = Math.min(request.extras.timeoutMs ?? settings.totalTimeoutMs, settings.totalTimeoutMs)
  const deadline = exchange.elapsedMs + patienceMs
  const left = [...order]
  const faults = new Map<Deployment, Fault>()

  for (let i = 0; i <= retries; i++) {
    const { deployment, wire } = nextOf(left, i, record, request)
    if (i > 0) {
      const patience = Math.min(deadline - exchange.elapsedMs, WAIT_MAX_MS)
      const wait = backoffMs(i, faults.get(deployment) ?? null, patience, Math.random)
      if (wait === null || !(await pause(wait, exchange))) break
    }
    if (exchange.hungUp) return { kind: 'hung-up', deployment: null }
    const startedMs = exchange.elapsedMs
    gateway.loads.add(deployment.id, { requests: 1, tokens: 0 }, performance.now())
    const attempt = await send(gateway, request, deployment.upstream, wire)
    const timer = setTimeout(
      () => attempt.abort({ kind: 'timeout', detail: `no answer within ${patienceMs} ms` }),
      deadline - startedMs,
    )
    exchange.onHangUp(() => attempt.abort(HANG_UP))
    gateway.observed.begin(deployment.id)
    const result = await attempt.result
    observe(gateway, deployment.id, result, exchange.elapsedMs - startedMs)
    clearTimeout(timer)
    exchange.onHangUp(null)
    attempts.push(recordOf(deployment, result.kind === 'fault' ? result.fault : null, startedMs, exchange.elapsedMs))

    if (result.kind === 'answer') return { ...result, deployment }
    if (result.kind === 'stream') return { ...result, deployment, abort: (fault) => attempt.abort(fault) }
    if (result.fault === HANG_UP) return { kind: 'hung-up', deployment }
    if (isOperatorsFault(result.fault)) gateway.onOperatorsFault(deployment, result.fault)
    if (verdictOf(result.fault) === 'tell') throw callersOwn(result.fault)
    faults.set(deployment, result.fault)
    if (exchange.elapsedMs >= deadline) break
  }
  if (exchange.hungUp) return { kind: 'hung-up', deployment: null }
  throw new ApiError(
    502,
    'upstream_failed',
    'Every provider that could serve this request failed. x-nemo-attempts says how.',
    {
      // OpenAI's SDKs retry a 502 by themselves; the retries have been made here.
      headers: { 'x-should-retry': 'false' },
    },
  )
}

/** The next deployment, and the request as it is put to it. One that can't do what is asked leaves the order; the last to leave says why. */
function nextOf(
  order: Deployment[],
  i: number,
  record: CallRecord,
  request: ResolvedRequest,
): { deployment: Deployment; wire: Wire } {
  let refusal: unknown
  while (order.length > 0) {
    const deployment = order[i % order.length]!
    try {
      return { deployment, wire: wireFor(record, request, deployment) }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      refusal = error
      order.splice(i % order.length, 1)
    }
  }
  throw refusal
}

async function send(gateway: Gateway, request: ResolvedRequest, upstream: Upstream, wire: Wire): Promise<Attempt> {
  const path = upstream.basePath + wire.path
  const { firstByteTimeoutMs, idleTimeoutMs } = gateway.settings
  const options = { path, wire, streamed: request.streamed, firstByteTimeoutMs, idleTimeoutMs }
  try {
    const headers = upstream.headersFor(path, wire)
    const ready = headers instanceof Promise ? await headers : headers
    return Attempt.send(gateway.upstreams.of(upstream), { ...options, headers: ready })
  } catch (error) {
    // Whoever gives out the tokens for this provider refused, or can't be reached.
    return Attempt.failed(wire, { kind: 'connect', detail: (error as Error).message })
  }
}

/** Throws a 400 that names the field on what the deployment can't do, unless the organization wants such fields dropped: then the caller is told which. */
function wireFor(record: CallRecord, request: ResolvedRequest, { upstream, upstreamModel, model }: Deployment): Wire {
  const { provider } = upstream
  return wireOf(request, {
    provider,
    model: upstreamModel,
    hosting: provider.hosting,
    outputTokensMax: model.outputTokensMax,
    cap: record.clampedTo,
    outputCap: provider.outputCap,
    systemRole: provider.systemRole,
    path: provider.paths.chat ?? null,
    unsupported(param, why) {
      if (!record.key.dropsUnsupported) throw new ApiError(400, 'unsupported_parameter', why, { param })
      if (!record.dropped.includes(param)) record.dropped.push(param)
    },
  })
}

/** Notes how fast it was: until a stream's first token, or by output token of any other answer. */
function observe({ observed }: Gateway, id: string, result: Result, tookMs: number): void {
  if (result.kind === 'stream') observed.took(id, true, tookMs, performance.now())
  else observed.end(id)
  if (result.kind === 'answer') {
    const tokens = result.answer.usage ? outputTokens(result.answer.usage) : 0
    observed.took(id, false, tookMs / Math.max(tokens, 1), performance.now())
  }
}

/** What ends an attempt whose client has gone. */
export const HANG_UP: Fault = { kind: 'reset', detail: 'the client hung up' }

function recordOf(deployment: Deployment, fault: Fault | null, startedMs: number, endedMs: number): AttemptRecord {
  return {
    deployment_id: deployment.id,
    provider: deployment.model.provider,
    model: deployment.upstreamModel,
    outcome: fault === null ? '200' : fault === HANG_UP ? 'hung-up' : nameOfFault(fault),
    started_ms: Math.round(startedMs * 100) / 100,
    took_ms: Math.round((endedMs - startedMs) * 100) / 100,
    detail: fault?.detail ?? null,
  }
}

function callersOwn(fault: Fault): ApiError {
  if (fault.kind !== 'status') throw new TypeError('only a status can be the caller’s own')
  return new ApiError(
    fault.status,
    fault.code ?? 'invalid_request',
    fault.detail,
    fault.param === null ? {} : { param: fault.param },
  )
}

/** Waits, unless the client hangs up meanwhile; says whether it is still there. */
function pause(ms: number, exchange: Exchange): Promise<boolean> {
  if (ms === 0) return Promise.resolve(!exchange.hungUp)
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      exchange.onHangUp(null)
      resolve(!exchange.hungUp)
    }
    const timer = setTimeout(finish, ms)
    exchange.onHangUp(finish)
  })
}
