import { ApiError, serverError } from '@nemo/domain/errors'
import type { Hold } from '@nemo/ledger/hold'
import { endOfTurn } from '../end-of-turn.ts'
import { type Exchange, HungUp } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'
import { admit } from './admit.ts'
import { authenticate, requireEndpoint } from './authenticate.ts'
import { call } from './call.ts'
import { CallRecord } from './call-record.ts'
import { finish, refuse } from './deliver.ts'
import { recall } from './kept-responses.ts'
import { relay } from './relay.ts'
import { type Api, resolve } from './resolve.ts'
import { route } from './route.ts'
import { settle } from './settle.ts'

/**
 * The story of a request, from the first byte to the last. Streaming and not streaming are the same path; a hold ends on every
 * way out of it; what the caller is told and what is charged are one number.
 */
export async function answer(gateway: Gateway, api: Api, exchange: Exchange): Promise<void> {
  exchange.surface = api.surface
  const identify = () => authenticate(gateway, exchange, Date.now())

  const key = await identify() // 401
  const record = new CallRecord(exchange, key, api.endpoint)
  let hold: Hold | null = null
  try {
    requireEndpoint(key, api.name) // 403
    const body = await recall(gateway, key, api, await exchange.body(gateway.settings.bodyBytesMax)) // 400 413
    await endOfTurn()
    const request = resolve(gateway.catalogue, key, api, body, exchange) // 400 404
    record.request = request

    const admission = await admit(gateway, record, request, () => {
      gateway.forgetLimits(key.organizationId)
      return identify()
    }) // 402 429 503
    hold = admission.hold
    record.clampedTo = admission.clampedTo

    record.decision = route(gateway, key, request)
    const reply = await call(gateway, record, request, record.decision.order) // 502
    if (reply.kind === 'answer') await endOfTurn()
    record.answered(reply)

    const outcome = await relay(gateway, record, request, admission, reply)
    record.relayed()
    const chargedNanos = await settle(gateway, hold, record, outcome)
    await finish(gateway, record, reply, outcome, chargedNanos)
  } catch (cause) {
    const error = cause instanceof ApiError ? cause : serverError(cause)
    const status = cause instanceof HungUp || exchange.hungUp ? 499 : error.status
    if (error.status === 500 && status !== 499) gateway.onBug(exchange.requestId, cause)
    // Nothing was answered, so nothing is charged; but the request was made, and it leaves its row.
    const log = record.row({ status, error })
    if (hold) await gateway.ledger.settle(hold, { costNanos: null, tokens: 0, log })
    else gateway.ledger.refuse(log, error.limitId)
    refuse(gateway, record, error)
  }
}
