import type { Endpoint } from '@nemo/domain/catalogue'
import { ApiError, serverError } from '@nemo/domain/errors'
import type { Hold } from '@nemo/ledger/reserve'
import { type Exchange, HungUp } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'
import { shuffle } from '../routing/plan.ts'
import { admit } from './admit.ts'
import { authenticate } from './authenticate.ts'
import { call } from './call.ts'
import { CallRecord } from './call-record.ts'
import { beginStream, finish, refuse } from './deliver.ts'
import { relay } from './relay.ts'
import { resolve } from './resolve.ts'
import { settle } from './settle.ts'

/**
 * The story of a request, from the first byte to the last. Streaming and not streaming are the same path; a hold ends on every
 * way out of it; what the caller is told and what is charged are one number.
 */
export async function answer(gateway: Gateway, endpoint: Endpoint, exchange: Exchange): Promise<void> {
  const { authorization } = exchange.request.headers
  const identify = () => authenticate(gateway.keys, authorization, Date.now())

  const key = await identify() // 401
  const record = new CallRecord(exchange, key, endpoint)
  let hold: Hold | null = null
  try {
    const body = await exchange.body(gateway.settings.bodyBytesMax) // 413
    const request = resolve(gateway.catalogue, key, endpoint, body) // 400 404
    record.request = request

    hold = await admit(gateway.ledger, exchange.id, key, request, () => {
      gateway.keys.forget(key.organizationId)
      return identify()
    }) // 402 429 503

    const order = shuffle(request.deployments, Math.random)
    const reply = await call(
      gateway.upstreams,
      gateway.settings,
      request,
      order,
      exchange,
      record.attempts,
      gateway.onOperatorsFault,
    ) // 502
    const repliedMs = exchange.elapsedMs
    record.deployment = reply.deployment
    if (reply.kind !== 'hung-up') record.firstTokenMs = repliedMs

    const outcome = await relay(reply, request, exchange, gateway.settings.idleTimeoutMs, () =>
      beginStream(exchange, record, reply, hold!),
    )
    record.relayMs = exchange.elapsedMs - repliedMs
    const chargedNanos = await settle(gateway.ledger, hold, record, outcome)
    finish(exchange, record, reply, hold, outcome, chargedNanos, gateway.settings.idleTimeoutMs)
  } catch (cause) {
    const error = cause instanceof ApiError ? cause : serverError(cause)
    const status = cause instanceof HungUp || exchange.hungUp ? 499 : error.status
    if (error.status === 500 && status !== 499) gateway.onBug(exchange.requestId, cause)
    try {
      refuse(exchange, record, hold, error)
    } finally {
      // Nothing was answered, so nothing is charged; but the request was made, and it leaves its row.
      const log = record.row({ status, error })
      await gateway.ledger.settle({ holdId: hold?.id ?? null, costNanos: 0n, tokens: 0, requests: 1, log })
    }
  }
}
