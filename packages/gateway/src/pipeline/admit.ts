import type { Limit } from '@nemo/domain/limits'
import type { Ask, Refusal } from '@nemo/ledger/ask'
import type { Hold } from '@nemo/ledger/hold'
import type { Reservation } from '@nemo/ledger/ledger'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { Gateway } from '../gateway.ts'
import type { CallRecord } from './call-record.ts'
import { holdWhatFits } from './fit.ts'
import { creditCheckFailed, refused } from './refused.ts'
import type { ResolvedRequest } from './resolve.ts'
import { firstSlice } from './slices.ts'

/** What a call may take. */
export interface Admission {
  readonly hold: Hold
  /** How many output tokens are held. */
  readonly output: number
  /** The cap to send, of each choice, where the request has none and a full answer doesn't fit. */
  readonly clampedTo: number | null
}

/**
 * Holds what the call may take against every limit that binds the key: in memory where this process has headroom. Of a long stream it is the first
 * part, and where less fits, less; so it is of an answer without a cap, unless the organization wants it refused. Throws a 402 or 429
 * that names the limit that refused, or a 503 when that can't be known: nothing is called without a hold.
 */
export async function admit(
  gateway: Gateway,
  call: CallRecord,
  request: ResolvedRequest,
  reload: () => Promise<VirtualKey>,
): Promise<Admission> {
  let key = call.key
  const reserve = async (output: number): Promise<{ refusal: Refusal } | { held: Hold }> => {
    let reservation = await reserveOnce(gateway, call, key, request, output)
    if (reservation.kind === 'stale') {
      key = await reload()
      reservation = await reserveOnce(gateway, call, key, request, output)
    }
    if (reservation.kind === 'stale') throw creditCheckFailed(new Error('the limits of the key changed twice'))
    return reservation.kind === 'held' ? { held: reservation.hold } : { refusal: reservation.refusal }
  }

  const { expectation, streamed } = request
  const whole = expectation.outputMax
  const wanted = streamed ? firstSlice(request) : whole
  const mayBeLess = streamed ? wanted < whole : !expectation.isCapped && key.uncapped === 'clamp'
  const answer = mayBeLess
    ? await holdWhatFits(expectation, { held: 0, more: wanted }, reserve)
    : { ...(await reserve(wanted)), more: wanted }
  if ('refusal' in answer) throw refused(answer.refusal, key.topUp)
  const { held: hold, more: output } = answer
  const isClamped = !streamed && output < whole
  return { hold, output, clampedTo: isClamped ? output / expectation.choices : null }
}

async function reserveOnce(
  gateway: Gateway,
  call: CallRecord,
  key: VirtualKey,
  request: ResolvedRequest,
  output: number,
): Promise<Reservation> {
  try {
    const found = gateway.limitsOf(key, request.consumer)
    call.limits = found instanceof Promise ? await found : found
    return await gateway.ledger.reserve({
      organizationId: key.organizationId,
      asks: asksOf(call.limits, request, output),
    })
  } catch (error) {
    throw creditCheckFailed(error)
  }
}

function asksOf(limits: readonly Limit[], { expectation }: ResolvedRequest, output: number): Ask[] {
  const ceiling = expectation.ceilingOf(output)
  const asks: Ask[] = []
  for (const limit of limits) {
    const amount =
      limit.resource === 'cost' ? ceiling : limit.resource === 'tokens' ? BigInt(expectation.tokensLikely) : 1n
    if (amount > 0n) asks.push({ limit, amount })
  }
  return asks
}
