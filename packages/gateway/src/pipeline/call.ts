import { pathAt } from '@nemo/codec/provider'
import type { Answer, Wire } from '@nemo/codec/wire'
import { wireOf } from '@nemo/codec/wires'
import { ApiError } from '@nemo/domain/errors'
import { capabilitiesOf } from '@nemo/domain/price-book/capabilities'
import type { Exchange } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'
import type { BreakerSettings } from '../routing/breaker.ts'
import {
  backoffMs,
  type Fault,
  isContextTooLong,
  isLasting,
  isOperatorsFault,
  nameOfFault,
  verdictOf,
} from '../routing/fault.ts'
import { type Place, Tries } from '../routing/tries.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import { attempt, HANG_UP, UNSENT } from './attempt.ts'
import type { CallRecord } from './call-record.ts'
import { leaveOut } from './leave-out.ts'
import { breakerSettings, callPolicy } from './policy.ts'
import type { ResolvedRequest } from './resolve.ts'
import type { LiveStream } from './upstream.ts'

/** One attempt as it is logged and told in `x-nemo-attempts`. */
export interface AttemptRecord {
  readonly deployment_id: string
  readonly provider: string
  readonly model: string
  /** `200`, the status of an error, or the word for a fault. */
  readonly outcome: string
  /** Another try in the same group is a retry, one in another group of the chain a fallback. */
  readonly kind: 'first' | 'retry' | 'fallback'
  readonly started_ms: number
  /** Until it failed, until an answer was there, or the first token of a stream. */
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
    }
  /** `deployment` is the one that was at work, or null if none was. */
  | { readonly kind: 'hung-up'; readonly deployment: Deployment | null }

/** A provider that wants to be left alone for longer isn't waited for: the hold would lie idle, and the caller can wait better. */
const WAIT_MAX_MS = 10_000

/** How long it is waited for where there is another place to go to. */
const WAIT_MAX_ELSEWHERE_MS = 1_000

/**
 * Calls the deployments in their order until one answers: the only retry loop. The call's attempts are filled in as it goes. Throws the caller's own mistake
 * as the provider told it, or a 502 when every attempt failed; then nothing was answered and nothing is owed.
 */
export async function call(
  gateway: Gateway,
  record: CallRecord,
  request: ResolvedRequest,
  order: readonly Place<Deployment>[],
): Promise<Reply> {
  const { exchange, attempts, key } = record
  const policy = callPolicy(gateway.settings, key.routing, request.extras)
  const breaker = breakerSettings(gateway.settings, key.routing)
  const deadline = exchange.elapsedMs + policy.totalTimeoutMs
  const tries = new Tries(order, policy.retriesMax)
  const faults = new Map<Deployment, Fault>()
  let lastLink: number | null = null

  for (let next = nextOf(tries, record, request); next; next = nextOf(tries, record, request)) {
    const { deployment, link, wire } = next
    const patience = Math.min(deadline - exchange.elapsedMs, tries.hasElsewhere ? WAIT_MAX_ELSEWHERE_MS : WAIT_MAX_MS)
    const before = attempts.filter(({ deployment_id }) => deployment_id === deployment.id).length
    const wait = backoffMs(before, faults.get(deployment) ?? null, patience, Math.random)
    if (wait === null) {
      tries.moveOn()
      continue
    }
    if (!(await pause(wait, exchange))) return { kind: 'hung-up', deployment: null }
    if (!next.lastResort && gateway.health.coolingOf(key.organizationId, deployment.id, performance.now()) !== null) {
      // Others found out since the decision that it fails, or are just trying whether it is well again.
      record.postponed.push([deployment.id, attempts.length])
      tries.postpone()
      continue
    }
    tries.tried()
    const startedMs = exchange.elapsedMs
    const result = await attempt(gateway, record, request, deployment, wire, policy, deadline - startedMs)
    const fault = result.kind === 'fault' ? result.fault : null
    const kind = lastLink === null ? 'first' : link === lastLink ? 'retry' : 'fallback'
    attempts.push(recordOf(deployment, kind, fault, startedMs, exchange.elapsedMs))
    lastLink = link

    if (result.kind !== 'fault') {
      answered(gateway, record, request, deployment, breaker)
      return { ...result, deployment }
    }
    if (result.fault === HANG_UP || result.fault === UNSENT) {
      gateway.health.ended(key.organizationId, deployment.id, performance.now())
      return { kind: 'hung-up', deployment: result.fault === UNSENT ? null : deployment }
    }
    gateway.health.failed(key.organizationId, deployment.id, result.fault, breaker, performance.now())
    if (isOperatorsFault(result.fault)) gateway.onOperatorsFault(deployment, result.fault)
    faults.set(deployment, result.fault)
    passOver(tries, deployment, result.fault)
    if (verdictOf(result.fault) === 'tell' && !(isContextTooLong(result.fault) && tries.next)) {
      throw callersOwn(result.fault)
    }
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

/** Notes that the deployment is well, and that the conversation may stay there, if its prompt is cached there. */
function answered(
  { health, conversations }: Gateway,
  { key }: CallRecord,
  { conversation }: ResolvedRequest,
  { id, price }: Deployment,
  breaker: BreakerSettings,
): void {
  const now = performance.now()
  health.succeeded(key.organizationId, id, breaker, now)
  if (conversation !== null && price?.nanosPerMillion.cachedInput !== undefined)
    conversations.answeredBy(conversation, id, now)
}

/** What needn't be tried any more after a fault: the same place, where only the operator can mend it; what has no larger context, where that was too small. */
function passOver(tries: Tries<Deployment>, deployment: Deployment, fault: Fault): void {
  if (isContextTooLong(fault)) {
    const tooSmall = deployment.model.contextTokens ?? 0
    tries.keep(({ model }) => (model.contextTokens ?? 0) > tooSmall)
  } else if (isLasting(fault)) tries.keep((other) => other !== deployment)
}

/** The next place, and the request as it is put to it. One that can't do what is asked is passed over; when all are, the last says why. */
function nextOf(
  tries: Tries<Deployment>,
  record: CallRecord,
  request: ResolvedRequest,
): (Place<Deployment> & { readonly wire: Wire }) | null {
  let refusal: unknown = null
  for (let next = tries.next; next; next = tries.next) {
    const { deployment } = next
    try {
      return { ...next, wire: wireFor(record, request, deployment) }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      refusal = error
      record.passedOver.push([deployment.id, error.param ?? ''])
      tries.keep((other) => other !== deployment)
    }
  }
  if (refusal && record.attempts.length === 0) throw refusal
  return null
}

/** Throws a 400 that names the field on what the deployment can't do, unless the organization wants such fields dropped: then the caller is told which. */
function wireFor(record: CallRecord, request: ResolvedRequest, deployment: Deployment): Wire {
  const { upstream, upstreamModel, model } = deployment
  const { provider } = upstream
  record.cap = lesser(record.clampedTo, request.capAt(deployment))
  // What another place had nothing like doesn't bear on this one.
  record.dropped.clear()
  const leftOut = (param: string) => {
    record.dropped.add(param)
  }
  const unpriced = request.unpriced?.(deployment) ?? []
  unpriced.forEach(leftOut)
  return wireOf(unpriced.length === 0 ? request : leaveOut(request, unpriced), {
    provider,
    model: upstreamModel,
    hosting: provider.hosting,
    outputTokensMax: model.outputTokensMax,
    reasons: reasons(deployment),
    cap: record.cap,
    outputCap: provider.outputCap,
    systemRole: provider.systemRole,
    path: pathAt(provider, 'chat', upstreamModel),
    unsupported(param, why) {
      if (!record.key.dropsUnsupported) throw new ApiError(400, 'unsupported_parameter', why, { param })
      leftOut(param)
    },
    leftOut,
  })
}

/** By its tags, or by its name. */
function reasons({ model: { capabilities }, upstreamModel }: Deployment): boolean {
  return capabilities.includes('reasoning') || capabilitiesOf(upstreamModel, null).includes('reasoning')
}

function lesser(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}

function recordOf(
  deployment: Deployment,
  kind: AttemptRecord['kind'],
  fault: Fault | null,
  startedMs: number,
  endedMs: number,
): AttemptRecord {
  return {
    deployment_id: deployment.id,
    provider: deployment.model.provider,
    model: deployment.upstreamModel,
    outcome: fault === null ? '200' : fault === HANG_UP || fault === UNSENT ? 'hung-up' : nameOfFault(fault),
    kind,
    started_ms: Math.round(startedMs * 100) / 100,
    took_ms: Math.round((endedMs - startedMs) * 100) / 100,
    detail: fault?.detail ?? null,
  }
}

function callersOwn(fault: Fault): ApiError {
  if (fault.kind !== 'status') throw new TypeError('only a status can be the caller’s own')
  return new ApiError(
    fault.status,
    isContextTooLong(fault) ? 'context_length_exceeded' : (fault.code ?? 'invalid_request'),
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
