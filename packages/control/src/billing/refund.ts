import type { Cents } from '@nemo/domain/billing'
import type { Purchase } from '@nemo/postgres/billing-purchases'
import { type Desk, takeIn } from './desk.ts'
import { refundFact } from './stripe-facts.ts'

/**
 * Gives money back that a purchase was paid with: all that is left of it, or a part. The same key asks for the same refund. Throws what Stripe throws where it
 * refuses. Of the credits that were bought with it, what is unspent is taken back.
 */
export async function refund(desk: Desk, purchase: Purchase, cents: Cents | null, key: string): Promise<void> {
  const made = await desk.stripe.refunds.create(
    {
      payment_intent: purchase.paymentIntentId!,
      ...(cents !== null && { amount: Number(cents) }),
      metadata: { purchase_id: purchase.id },
    },
    { idempotencyKey: `refund-${purchase.id}-${key}` },
  )
  const fact = refundFact(made)
  if (fact) await takeIn(desk, fact)
}
