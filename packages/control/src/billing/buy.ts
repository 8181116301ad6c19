import { formatCents, formatPercent } from '@nemo/domain/billing'
import { findBillingAccount, keepStripeCustomer, pauseTopUp } from '@nemo/postgres/billing-accounts'
import { attachToStripe, endPurchase, findPurchase, type Purchase } from '@nemo/postgres/billing-purchases'
import Stripe from 'stripe'
import { type Desk, takeIn } from './desk.ts'
import { failedFact, paidFact } from './stripe-facts.ts'

/**
 * Carries out a purchase that was written down: opens a Checkout session for it, or charges its card. Doing it again does nothing twice: Stripe knows the
 * purchase by its id. Answers with the purchase as it stands then; still pending where Stripe gave no answer, which `settleStale` asks for later.
 */
export async function carryOut(desk: Desk, purchase: Purchase): Promise<Purchase> {
  if (purchase.state === 'pending') {
    if (purchase.source === 'checkout') await openCheckout(desk, purchase)
    else await chargeCard(desk, purchase)
  }
  return (await findPurchase(desk.operator, purchase.id))!
}

async function openCheckout(desk: Desk, purchase: Purchase): Promise<void> {
  if (purchase.checkoutUrl !== null) return
  const metadata = metadataOf(purchase)
  const session = await desk.stripe.checkout.sessions.create(
    {
      mode: 'payment',
      allowed_payment_method_types: ['card'],
      // In dollars for everyone: what is paid must be what was asked, to the cent.
      adaptive_pricing: { enabled: false },
      customer: await customerOf(desk, purchase.organizationId),
      client_reference_id: purchase.id,
      metadata,
      payment_intent_data: {
        metadata,
        description: descriptionOf(purchase),
        ...(purchase.savesCard && { setup_future_usage: 'off_session' as const }),
      },
      line_items: [
        line('Prepaid credits', purchase.creditsCents),
        ...(purchase.feeCents > 0n
          ? [line(`Platform fee (${formatPercent(purchase.feeBasisPoints)} %)`, purchase.feeCents)]
          : []),
      ],
      success_url: `${desk.publicUrl}/billing?purchase=${purchase.id}`,
      cancel_url: `${desk.publicUrl}/billing`,
    },
    { idempotencyKey: `purchase-${purchase.id}` },
  )
  await attachToStripe(desk.operator, purchase.id, { checkoutSessionId: session.id, checkoutUrl: session.url })
}

function line(name: string, cents: bigint) {
  return { quantity: 1, price_data: { currency: 'usd', unit_amount: Number(cents), product_data: { name } } }
}

async function chargeCard(desk: Desk, purchase: Purchase): Promise<void> {
  if (purchase.cardId === null) return giveUp(desk, purchase, 'no_card', 'There is no saved card.')
  let intent: Stripe.PaymentIntent
  try {
    intent = await desk.stripe.paymentIntents.create(
      {
        amount: Number(purchase.totalCents),
        currency: 'usd',
        customer: await customerOf(desk, purchase.organizationId),
        payment_method: purchase.cardId,
        // Nobody is there to be sent elsewhere.
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        allowed_payment_method_types: ['card'],
        off_session: true,
        confirm: true,
        description: descriptionOf(purchase),
        metadata: metadataOf(purchase),
      },
      { idempotencyKey: `purchase-${purchase.id}` },
    )
  } catch (error) {
    return refusedCharge(desk, purchase, error)
  }
  await takeInIntent(desk, purchase, intent)
}

/** What a payment intent of a purchase by card says: paid, failed, or not decided yet. */
export async function takeInIntent(desk: Desk, purchase: Purchase, intent: Stripe.PaymentIntent): Promise<void> {
  if (intent.status === 'succeeded') await takeIn(desk, paidFact(intent))
  else if (intent.status !== 'processing') {
    // It must not be paid later, when nobody waits for it any more. Should it have been just now, the event says so, and paid is paid.
    if (intent.status !== 'canceled') await desk.stripe.paymentIntents.cancel(intent.id).catch(() => {})
    await takeIn(desk, { ...failedFact(intent), purchaseId: purchase.id })
  }
}

/** An error that says the card wasn't charged ends the purchase. After any other it may have been: then the purchase stays pending. */
async function refusedCharge(desk: Desk, purchase: Purchase, error: unknown): Promise<void> {
  if (error instanceof Stripe.errors.StripeCardError && error.payment_intent) {
    const intent = error.payment_intent as Stripe.PaymentIntent
    return takeInIntent(desk, purchase, intent)
  }
  if (
    error instanceof Stripe.errors.StripeCardError ||
    error instanceof Stripe.errors.StripeInvalidRequestError ||
    error instanceof Stripe.errors.StripeAuthenticationError ||
    error instanceof Stripe.errors.StripePermissionError
  ) {
    desk.log.warn({ purchase: purchase.id, err: error }, 'a saved card could not be charged')
    const isCard = error instanceof Stripe.errors.StripeCardError
    return giveUp(
      desk,
      purchase,
      isCard ? (error.code ?? 'card_declined') : 'payment_refused',
      'The card could not be charged.',
    )
  }
  desk.log.warn(
    { purchase: purchase.id, err: error },
    'Stripe did not say whether a card was charged: it is asked again',
  )
}

/** Ends a purchase that nothing was paid for. A top-up pauses then. */
export async function giveUp(desk: Desk, purchase: Purchase, code: string, message: string): Promise<void> {
  const ended = await endPurchase(desk.operator, purchase.id, 'failed', { code, message })
  if (ended && purchase.source === 'top-up') await pauseTopUp(desk.operator, purchase.organizationId, code)
}

/** Who the organization is to Stripe. */
export async function customerOf(desk: Desk, organizationId: string): Promise<string> {
  const account = await findBillingAccount(desk.operator, organizationId)
  if (account?.stripeCustomerId) return account.stripeCustomerId
  // The same request under the same key, whoever makes it first: one customer.
  const customer = await desk.stripe.customers.create(
    { description: `Organization ${organizationId}`, metadata: { organization_id: organizationId } },
    { idempotencyKey: `customer-${organizationId}` },
  )
  return keepStripeCustomer(desk.operator, organizationId, customer.id)
}

function metadataOf({ id, organizationId }: Purchase): Record<string, string> {
  return { purchase_id: id, organization_id: organizationId }
}

function descriptionOf({ creditsCents }: Purchase): string {
  return `$${formatCents(creditsCents)} of credits`
}
