import type { ApiError } from '@nemo/domain/errors'
import { formatUsd, type Nanos } from '@nemo/domain/money'
import type { Hold, LimitState } from '@nemo/ledger/reserve'
import type { Exchange } from '../exchange.ts'
import { identity, sendError } from '../render.ts'
import type { Reply } from './call.ts'
import type { CallRecord } from './call-record.ts'
import type { Outcome } from './relay.ts'

const COST_TRAILER = 'x-nemo-request-cost'
const DONE = 'data: [DONE]\n\n'

/** Writes the head of a streamed answer. Its cost isn't known yet: it follows in the usage chunk and in the trailer. */
export function beginStream(exchange: Exchange, record: CallRecord, reply: Reply, hold: Hold): void {
  if (reply.kind !== 'stream') return
  exchange.response.writeHead(200, [
    ...['content-type', printable(reply.contentType), 'cache-control', 'no-cache', 'x-accel-buffering', 'no'],
    ...(hasTrailers(exchange) ? ['trailer', COST_TRAILER] : []),
    ...commonHeaders(exchange, record),
    ...rateLimitHeaders(hold),
  ])
}

/** HTTP/1.0, which a proxy in between may speak, has no chunks, and so nothing to trail them. */
function hasTrailers({ request }: Exchange): boolean {
  return request.httpVersionMinor > 0
}

/**
 * Gives the client the end of its answer, with what was charged for it. A stream that broke off never ends cleanly. A client that takes
 * nothing of it for `readerTimeoutMs` is cut off.
 */
export function finish(
  exchange: Exchange,
  record: CallRecord,
  reply: Reply,
  hold: Hold,
  outcome: Outcome,
  chargedNanos: Nanos | null,
  readerTimeoutMs: number,
): void {
  const { response } = exchange
  if (exchange.hungUp || reply.kind === 'hung-up') {
    response.destroy()
    return
  }
  response.setTimeout(readerTimeoutMs)
  const cost = chargedNanos === null ? null : formatUsd(chargedNanos)
  if (reply.kind === 'answer') {
    response.writeHead(200, [
      ...['content-type', printable(reply.contentType), 'content-length', String(reply.bytes.length)],
      ...commonHeaders(exchange, record),
      ...rateLimitHeaders(hold),
      ...costHeaders(cost),
    ])
    response.end(reply.bytes)
    return
  }
  if (outcome.end === 'cut') {
    response.end(`data: ${JSON.stringify(CUT)}\n\n`)
    return
  }
  if (cost !== null && hasTrailers(exchange)) response.addTrailers([[COST_TRAILER, cost]])
  const usage =
    record.request?.wantsUsage && outcome.usageEvent
      ? `data: ${JSON.stringify(withCost(outcome.usageEvent, cost))}\n\n`
      : ''
  response.end(usage + DONE)
}

/** Answers with an error, or, where the answer has begun, cuts it short. */
export function refuse(exchange: Exchange, record: CallRecord, hold: Hold | null, error: ApiError): void {
  sendError(exchange, error, [...commonHeaders(exchange, record), ...(hold ? rateLimitHeaders(hold) : [])])
}

const CUT = {
  error: {
    message: 'The provider broke off the stream. What came before is all there is.',
    type: 'api_error',
    param: null,
    code: 'upstream_failed',
  },
}

function withCost(event: Record<string, unknown>, cost: string | null): Record<string, unknown> {
  return cost === null ? event : { ...event, usage: { ...(event.usage as object), cost: Number(cost) } }
}

function commonHeaders(exchange: Exchange, { request, deployment, attempts, overheadMs }: CallRecord): string[] {
  const headers = identity(exchange, overheadMs)
  if (deployment)
    headers.push(
      ...['x-nemo-provider', printable(deployment.model.provider)],
      ...['x-nemo-model', printable(deployment.upstreamModel)],
    )
  if (request) headers.push('x-nemo-strategy', 'simple-shuffle')
  if (attempts.length > 0) {
    const chain = attempts.map(({ provider, model, outcome }) => `${provider}/${model}=${outcome}`).join(', ')
    headers.push(
      'x-nemo-retries',
      String(attempts.length - 1),
      'x-nemo-fallback-used',
      'false',
      'x-nemo-attempts',
      printable(chain),
    )
  }
  return headers
}

function costHeaders(cost: string | null): string[] {
  return cost === null
    ? []
    : ['x-nemo-request-cost', cost, 'x-nemo-response-cost', cost, 'x-litellm-response-cost', cost]
}

/**
 * OpenAI's `x-ratelimit-*` for the limit that is nearest to its bound. The reset is when what this request took is free again, and
 * with it, if nothing else comes, the whole limit.
 */
function rateLimitHeaders({ states }: Hold): string[] {
  const headers: string[] = []
  for (const resource of ['requests', 'tokens'] as const) {
    let nearest: LimitState | null = null
    for (const state of states) {
      if (state.limit.resource === resource && (nearest === null || left(state) < left(nearest))) nearest = state
    }
    if (!nearest) continue
    headers.push(
      `x-ratelimit-limit-${resource}`,
      String(nearest.bound),
      `x-ratelimit-remaining-${resource}`,
      String(left(nearest)),
    )
    headers.push(`x-ratelimit-reset-${resource}`, '1m1s')
  }
  return headers
}

function left({ bound, used, held }: LimitState): bigint {
  const free = bound - used - held
  return free > 0n ? free : 0n
}

/** A header carries only printable ASCII; a model's name, or what a provider says of itself, may be anything. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
