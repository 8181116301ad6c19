import type { Endpoint } from '@nemo/domain/catalogue'
import type { ApiError } from '@nemo/domain/errors'
import type { Limit } from '@nemo/domain/limits'
import { inputTokens, outputTokens } from '@nemo/domain/usage'
import type { RequestLog } from '@nemo/postgres/request-logs'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Exchange } from '../exchange.ts'
import { type CarriedOut, writeDecision } from '../routing/decision-log.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { AttemptRecord, Reply } from './call.ts'
import type { Outcome } from './relay.ts'
import type { ResolvedRequest } from './resolve.ts'
import type { Decision } from './route.ts'

/** What is known of a call so far. Each step adds what it learned, and whichever step is the last makes the log row of it. */
export class CallRecord {
  readonly attempts: AttemptRecord[] = []
  /** Fields that were left out because a provider has nothing like them. */
  readonly dropped = new Set<string>()
  /** What became of the order beside the attempts. */
  readonly passedOver: CarriedOut['passedOver'][number][] = []
  readonly postponed: CarriedOut['postponed'][number][] = []
  request: ResolvedRequest | null = null
  decision: Decision | null = null
  /** Every limit that binds the call, as far as they are known. */
  limits: readonly Limit[]
  /** The cap that each choice gets here because no more could be held. */
  clampedTo: number | null = null
  /** The cap of ours that was sent. */
  cap: number | null = null
  /** The deployment that answered, or that was at work when the client hung up. */
  deployment: Deployment | null = null
  firstTokenMs: number | null = null
  readonly exchange: Exchange
  readonly key: VirtualKey
  readonly #endpoint: Endpoint
  /** When the provider had answered, and for how long the answer was then given to the client while it came. */
  #answeredMs = 0
  #relayMs = 0

  constructor(exchange: Exchange, key: VirtualKey, endpoint: Endpoint) {
    this.exchange = exchange
    this.key = key
    this.limits = key.limits
    this.#endpoint = endpoint
  }

  /** An answer has begun, or the client has gone. */
  answered(reply: Reply): void {
    this.#answeredMs = this.exchange.elapsedMs
    this.deployment = reply.deployment
    if (reply.kind !== 'hung-up') this.firstTokenMs = this.#answeredMs
  }

  /** All but the end has been given to the client. */
  relayed(): void {
    this.#relayMs = this.exchange.elapsedMs - this.#answeredMs
  }

  /** Milliseconds that were spent here and not waiting for a provider. */
  get overheadMs(): number {
    const upstream = this.attempts.reduce((sum, attempt) => sum + attempt.took_ms, this.#relayMs)
    return Math.max(this.exchange.elapsedMs - upstream, 0)
  }

  row(end: { status: number; outcome?: Outcome; error?: ApiError; charged?: boolean }): RequestLog {
    const { request, deployment } = this
    const outcome = end.outcome ?? null
    const error = end.error ?? outcome?.refusal
    return {
      id: this.exchange.id,
      organization_id: this.key.organizationId,
      started_at: this.exchange.startedAt,
      key_id: this.key.id,
      key_alias: this.key.alias,
      team_id: this.key.teamId,
      endpoint: this.#endpoint,
      streamed: request?.streamed ?? false,
      model_group: request?.group.name ?? null,
      strategy: this.decision?.strategy ?? null,
      provider: deployment?.model.provider ?? null,
      model: deployment?.upstreamModel ?? null,
      deployment_id: deployment?.id ?? null,
      attempts: this.attempts.map((attempt) => ({ ...attempt, detail: attempt.detail && storable(attempt.detail) })),
      decision: this.decision && writeDecision(this.decision, this.#carriedOut()),
      status: end.status,
      error_code: error?.code ?? (outcome && outcome.end !== 'complete' ? outcome.end.replace('-', '_') : null),
      error_detail: storable(outcome?.fault?.detail ?? causeOf(error)),
      latency_ms: Math.round(this.exchange.elapsedMs),
      first_token_ms: this.firstTokenMs === null ? null : Math.round(this.firstTokenMs),
      overhead_micros: Math.round(this.overheadMs * 1000),
      usage: outcome?.usage ?? null,
      input_tokens: outcome && inputTokens(outcome.usage),
      output_tokens: outcome && outputTokens(outcome.usage),
      estimated: outcome?.estimated ?? false,
      price_version_id: end.charged ? (deployment?.price?.versionId ?? null) : null,
      consumer: storable(request?.consumer),
      session_id: storable(request?.sessionId),
      tags: request?.tags?.slice(0, 50).map((tag) => storable(tag)!) ?? null,
    }
  }

  #carriedOut(): CarriedOut {
    const { passedOver, postponed } = this
    return { passedOver: passedOver.map(([id, param]) => [id, storable(param) ?? '']), postponed }
  }
}

const TEXT_MAX = 1_000

/** Text of others as Postgres can keep it: no NUL, no half a surrogate pair, and not without end. */
function storable(text: string | null | undefined): string | null {
  return text == null ? null : text.slice(0, TEXT_MAX).replaceAll('\0', '').toWellFormed()
}

function causeOf(error: ApiError | null | undefined): string | null {
  if (!error) return null
  const cause = error.cause
  return cause instanceof Error
    ? `${cause.message}${cause.cause instanceof Error ? `: ${cause.cause.message}` : ''}`
    : error.message
}
