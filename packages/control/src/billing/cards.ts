import { uuidv7 } from '@nemo/domain/ids'
import { customerOf } from './buy.ts'
import { type Desk, takeIn } from './desk.ts'
import { cardFact } from './stripe-facts.ts'

/** Opens a page of Stripe's where a card is left for later, and answers with its address. The card is there once Stripe says so. */
export async function openCardPage(desk: Desk, organizationId: string): Promise<string> {
  const session = await desk.stripe.checkout.sessions.create(
    {
      mode: 'setup',
      currency: 'usd',
      allowed_payment_method_types: ['card'],
      customer: await customerOf(desk, organizationId),
      metadata: { organization_id: organizationId },
      success_url: `${desk.publicUrl}/billing?card=saved`,
      cancel_url: `${desk.publicUrl}/billing`,
    },
    { idempotencyKey: `card-${uuidv7()}` },
  )
  return session.url!
}

/** Forgets a card, at Stripe too. */
export async function forgetCard(desk: Desk, organizationId: string, cardId: string): Promise<void> {
  const customerId = await customerOf(desk, organizationId)
  const method = await desk.stripe.paymentMethods.detach(cardId)
  const fact = cardFact(method, customerId, true, new Date())
  if (fact) await takeIn(desk, fact)
}
