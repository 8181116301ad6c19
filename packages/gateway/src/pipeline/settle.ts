import type { Nanos } from '@nemo/domain/money'
import { costOf } from '@nemo/domain/pricing'
import { totalTokens } from '@nemo/domain/usage'
import type { Ledger } from '@nemo/ledger/ledger'
import type { Hold } from '@nemo/ledger/reserve'
import type { CallRecord } from './call-record.ts'
import type { Outcome } from './relay.ts'

/**
 * Puts what the call came to in the place of what was held, with its log row, and answers with what was charged: one integer for
 * the header, the log and the ledger. Null when there was nothing to charge.
 */
export async function settle(ledger: Ledger, hold: Hold, call: CallRecord, outcome: Outcome): Promise<Nanos | null> {
  const price = call.deployment?.price ?? null
  const costNanos = price ? costOf(outcome.usage, price) : 0n
  const charge = await ledger.settle({
    holdId: hold.id,
    costNanos,
    tokens: totalTokens(outcome.usage),
    requests: 1,
    log: call.row({
      status: outcome.end === 'hung-up' ? 499 : outcome.end === 'cut' ? 502 : 200,
      outcome,
      charged: price !== null,
    }),
  })
  return price && charge ? charge.chargedNanos : null
}
