import { uuidv7 } from '@nemo/domain/ids'
import type { SavedCard } from '@nemo/postgres/billing-cards'
import Stripe from 'stripe'
import { customerOf, forCustomer } from './buy.ts'
import { type Desk, takeIn } from './desk.ts'

/** Opens a page of Stripe's where a card is left for later, and answers with its address. The card is there once Stripe says so. */
export async function openCardPage(desk: Desk, organizationId: string): Promise<string> {
  const key = `card-${uuidv7()}`
  const session = await forCustomer(desk, organizationId, (customer) =>
    desk.stripe.checkout.sessions.create(
      {
        mode: 'setup',
        currency: 'usd',
        allowed_payment_method_types: ['card'],
        customer,
        metadata: { organization_id: organizationId },
        success_url: `${desk.publicUrl}/billing?card=saved`,
        cancel_url: `${desk.publicUrl}/billing`,
      },
      { idempotencyKey: `${key}-${customer}` },
    ),
  )
  return session.url!
}

/** Forgets a card, at Stripe too. One that Stripe has no more, or never lets go of, is forgotten here all the same. */
export async function forgetCard(desk: Desk, organizationId: string, card: SavedCard): Promise<void> {
  const customerId = await customerOf(desk, organizationId)
  await desk.stripe.paymentMethods.detach(card.id).catch((error) => {
    if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) throw error
    desk.log.warn({ card: card.id, err: error }, 'Stripe had no such card to detach')
  })
  await takeIn(desk, { ...card, kind: 'card', customerId, isDetached: true, at: new Date() })
}
