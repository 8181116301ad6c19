import { formatMoney } from '@nemo/domain/billing'
import { billingContacts, takeLowBalances, takePausedTopUps } from '@nemo/postgres/billing-accounts'
import { inTransaction } from '@nemo/postgres/tenancy'
import { emitEvent } from '@nemo/postgres/webhook-events'
import type pg from 'pg'
import type { Mail } from '../mail/mail.ts'

const BATCH = 100

interface Post {
  readonly operator: pg.Pool
  readonly mail: Mail
  readonly publicUrl: string
}

/** Writes to those whose balance has fallen below the threshold: once, until it has been above it again. Webhooks hear of it too. */
export async function tellOfLowBalances({ operator, mail, publicUrl }: Post): Promise<void> {
  const low = await inTransaction(operator, async (tx) => {
    const found = await takeLowBalances(tx, BATCH)
    for (const { organizationId, balanceNanos, thresholdNanos } of found)
      await emitEvent(tx, {
        organizationId,
        type: 'credits.low',
        data: { balance: formatMoney(balanceNanos), threshold: formatMoney(thresholdNanos) },
      })
    return found
  })
  for (const { organizationId, organization, balanceNanos, thresholdNanos } of low) {
    const text = `The credit balance of ${organization} is $${formatMoney(balanceNanos)}, below the $${formatMoney(thresholdNanos)} that you want to hear of.

When it is used up, calls are refused. Buy credits, or let the balance be topped up by itself: ${publicUrl}/billing
`
    for (const to of await billingContacts(operator, organizationId))
      mail.send({ to, subject: `Credits of ${organization} are running low`, text })
  }
}

/** Writes to those whose top-up has paused, because the card couldn't be charged. */
export async function tellOfPausedTopUps({ operator, mail, publicUrl }: Post): Promise<void> {
  for (const { organizationId, organization, failure } of await takePausedTopUps(operator)) {
    const text = `The balance of ${organization} could not be topped up: ${failure.replaceAll('_', ' ')}.

Topping up has paused. Choose another card, or pay once at Checkout, and turn it on again: ${publicUrl}/billing
`
    for (const to of await billingContacts(operator, organizationId))
      mail.send({ to, subject: `The credits of ${organization} could not be topped up`, text })
  }
}
