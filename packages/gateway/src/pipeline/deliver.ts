import type { SurfaceError } from '@nemo/codec/surface'
import type { ApiError } from '@nemo/domain/errors'
import type { Limit } from '@nemo/domain/limits'
import { formatUsd, type Nanos } from '@nemo/domain/money'
import type { Ledger } from '@nemo/ledger/ledger'
import type { Exchange } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'
import { identity, sendError } from '../render.ts'
import type { Reply } from './call.ts'
import type { CallRecord } from './call-record.ts'
import { keep } from './kept-responses.ts'
import type { Outcome } from './relay.ts'

const COST_TRAILER = 'x-nemo-request-cost'

/** Writes the head of a streamed answer. Its cost isn't known yet: it follows in the usage chunk and in the trailer. */
export function beginStream(gateway: Gateway, call: CallRecord): void {
  const { exchange } = call
  exchange.response.writeHead(200, [
    ...['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache', 'x-accel-buffering', 'no'],
    ...(hasTrailers(exchange) ? ['trailer', COST_TRAILER] : []),
    ...commonHeaders(call),
    ...rateLimitHeaders(gateway.ledger, call.limits),
  ])
}

/** HTTP/1.0, which a proxy in between may speak, has no chunks, and so nothing to trail them. */
function hasTrailers({ request }: Exchange): boolean {
  return request.httpVersionMinor > 0
}

/**
 * Gives the client the end of its answer, with what was charged for it. A stream that broke off never ends cleanly. A client that takes
 * nothing of it for as long as a provider may be silent is cut off.
 */
export async function finish(
  gateway: Gateway,
  call: CallRecord,
  reply: Reply,
  outcome: Outcome,
  chargedNanos: Nanos | null,
): Promise<void> {
  const { exchange } = call
  const { response } = exchange
  if (exchange.hungUp || reply.kind === 'hung-up') {
    response.destroy()
    return
  }
  response.setTimeout(gateway.settings.idleTimeoutMs)
  const cost = chargedNanos === null ? null : formatUsd(chargedNanos)
  if (reply.kind === 'answer') {
    const { bytes } = reply.answer
    await keep(gateway, call, bytes)
    response.writeHead(200, [
      ...['content-type', 'application/json', 'content-length', String(bytes.length)],
      ...commonHeaders(call),
      ...rateLimitHeaders(gateway.ledger, call.limits),
      ...costHeaders(cost),
    ])
    response.end(bytes)
    return
  }
  const { chunks } = reply.live
  if (outcome.end === 'cut') {
    response.end(chunks.fail(CUT))
    return
  }
  const last = chunks.finish({
    usage: outcome.usage,
    wantsUsage: call.request!.wantsUsage,
    cost: cost === null ? null : Number(cost),
    early: outcome.early,
  })
  await keep(gateway, call, last)
  if (cost !== null && hasTrailers(exchange)) response.addTrailers([[COST_TRAILER, cost]])
  response.end(last)
}

/** Answers with an error, or, where the answer has begun, cuts it short. */
export function refuse(gateway: Gateway, call: CallRecord, error: ApiError): void {
  const rates = rateLimitHeaders(gateway.ledger, call.limits, error.limitId)
  sendError(call.exchange, error, [...commonHeaders(call), ...rates])
}

const CUT: SurfaceError = {
  status: 502,
  message: 'The provider broke off the stream. What came before is all there is.',
  type: 'api_error',
  param: null,
  code: 'upstream_failed',
  details: {},
}

function commonHeaders({ exchange, decision, deployment, attempts, overheadMs, cap, dropped }: CallRecord): string[] {
  const headers = identity(exchange, overheadMs)
  if (deployment)
    headers.push(
      ...['x-nemo-provider', printable(deployment.model.provider)],
      ...['x-nemo-model', printable(deployment.upstreamModel)],
    )
  if (decision) headers.push('x-nemo-strategy', decision.strategy)
  if (cap !== null) headers.push('x-nemo-max-tokens', String(cap))
  if (dropped.size > 0) headers.push('x-nemo-dropped-params', printable(namesOf(dropped)))
  if (attempts.length > 0) {
    const chain = attempts.map(({ provider, model, outcome }) => `${provider}/${model}=${outcome}`).join(', ')
    headers.push(
      'x-nemo-retries',
      String(attempts.filter((attempt) => attempt.kind === 'retry').length),
      'x-nemo-fallback-used',
      String(attempts.some((attempt) => attempt.kind === 'fallback')),
      'x-nemo-attempts',
      printable(chain),
    )
  }
  return headers
}

/** A long conversation may have thousands of items that were left out, and clients take 16 kB of headers. */
const NAMES_MAX = 50

function namesOf(dropped: ReadonlySet<string>): string {
  const names = [...dropped]
  const more = names.length - NAMES_MAX
  return more > 0 ? `${names.slice(0, NAMES_MAX).join(', ')} and ${more} more` : names.join(', ')
}

function costHeaders(cost: string | null): string[] {
  return cost === null
    ? []
    : ['x-nemo-request-cost', cost, 'x-nemo-response-cost', cost, 'x-litellm-response-cost', cost]
}

/**
 * OpenAI's `x-ratelimit-*` for the limit that is nearest to its bound: what this process can still admit of it without asking the others, and when, if
 * nothing else comes, the whole of it is free again.
 */
function rateLimitHeaders(ledger: Ledger, limits: readonly Limit[], refusedBy: string | null = null): string[] {
  const headers: string[] = []
  for (const resource of ['requests', 'tokens'] as const) {
    let nearest: ReturnType<Ledger['rate']> = null
    for (const limit of limits) {
      if (limit.resource !== resource) continue
      // A limit that refused, and of which this process holds nothing, is held by others, who may need it for their full minute.
      const taken = limit.id === refusedBy ? { limit: limit.bound, remaining: 0n, resetMs: 61_000 } : null
      const rate = ledger.rate(limit) ?? taken
      if (rate && (nearest === null || rate.remaining < nearest.remaining)) nearest = rate
    }
    if (!nearest) continue
    headers.push(
      ...[`x-ratelimit-limit-${resource}`, String(nearest.limit)],
      ...[`x-ratelimit-remaining-${resource}`, String(nearest.remaining)],
      ...[`x-ratelimit-reset-${resource}`, duration(nearest.resetMs)],
    )
  }
  return headers
}

/** As OpenAI writes it: `850ms`, `12s`, `1m1s`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(Math.ceil(ms), 0)}ms`
  const seconds = Math.ceil(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

/** A header carries only printable ASCII; a model's name, or what a provider says of itself, may be anything. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
