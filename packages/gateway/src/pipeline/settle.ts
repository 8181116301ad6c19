import type { Nanos } from '@nemo/domain/money'
import { firstSaid } from '@nemo/domain/picture'
import { costOf, type Terms } from '@nemo/domain/pricing'
import { totalTokens } from '@nemo/domain/usage'
import type { Hold } from '@nemo/ledger/hold'
import type { Gateway } from '../gateway.ts'
import type { CallRecord } from './call-record.ts'
import type { Outcome } from './relay.ts'

const STATUS = { complete: 200, exhausted: 200, cut: 502, 'hung-up': 499 } as const

/**
 * Puts what the call came to in the place of what was held, and answers with what was charged: one integer for the header, the log and the ledger.
 * Null when there was nothing to charge. Once this resolves, the charge outlives the process.
 */
export async function settle(gateway: Gateway, hold: Hold, call: CallRecord, outcome: Outcome): Promise<Nanos | null> {
  const price = call.deployment?.price ?? null
  const tokens = totalTokens(outcome.usage)
  if (call.deployment) gateway.loads.add(call.deployment.id, { requests: 0, tokens }, performance.now())
  const charge = await gateway.ledger.settle(hold, {
    costNanos: price && (billedBy(call, outcome) ?? costOf(outcome.usage, price, served(call, outcome))),
    tokens,
    log: call.row({ status: STATUS[outcome.end], outcome, charged: price !== null }),
  })
  return price && charge ? charge.chargedNanos : null
}

/** As the provider says that it served; where it says nothing of pictures, or broke off before it could say, as it was asked. */
function served({ request }: CallRecord, { serviceTier, picture, estimated }: Outcome): Terms {
  const asked = request?.expectation.asked ?? {}
  return {
    serviceTier: serviceTier ?? (estimated ? (asked.serviceTier ?? null) : null),
    picture: firstSaid(picture, asked.picture ?? null),
  }
}

/** What the provider billed, where it is one whose word on that is known to be in dollars. */
function billedBy({ deployment }: CallRecord, { billedNanos }: Outcome): Nanos | null {
  return deployment?.upstream.provider.reportsCost ? billedNanos : null
}
