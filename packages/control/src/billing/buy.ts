import { formatCents, formatPercent } from '@nemo/domain/billing'
import {
  findBillingAccount,
  keepStripeCustomer,
  pauseTopUp,
  replaceStripeCustomer,
} from '@nemo/postgres/billing-accounts'
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
  const session = await forCustomer(desk, purchase.organizationId, (customer) =>
    createSession(desk, purchase, customer),
  )
  await attachToStripe(desk.operator, purchase.id, { checkoutSessionId: session.id, checkoutUrl: session.url })
}

function createSession(desk: Desk, purchase: Purchase, customer: string): Promise<Stripe.Checkout.Session> {
  const metadata = metadataOf(purchase)
  return desk.stripe.checkout.sessions.create(
    {
      mode: 'payment',
      allowed_payment_method_types: ['card'],
      // In dollars for everyone: what is paid must be what was asked, to the cent.
      adaptive_pricing: { enabled: false },
      customer,
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
    { idempotencyKey: `purchase-${purchase.id}-${customer}` },
  )
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
  const isOurKey =
    error instanceof Stripe.errors.StripeAuthenticationError || error instanceof Stripe.errors.StripePermissionError
  // That isn't the customer's fault, and pausing would need every one of them to turn it on again: it waits for a key that works.
  if (isOurKey && purchase.source === 'top-up') {
    desk.log.error({ purchase: purchase.id, err: error }, 'Stripe does not take our key: top-ups wait')
    return
  }
  if (
    isOurKey ||
    error instanceof Stripe.errors.StripeCardError ||
    error instanceof Stripe.errors.StripeInvalidRequestError
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

/**
 * Does what names the customer. One that Stripe doesn't know any more is made anew: the keys are another account's now, as when tests are over, or somebody
 * deleted it.
 */
export async function forCustomer<T>(
  desk: Desk,
  organizationId: string,
  act: (customerId: string) => Promise<T>,
): Promise<T> {
  const customerId = await customerOf(desk, organizationId)
  try {
    return await act(customerId)
  } catch (error) {
    if (!isGone(error) || (error as Stripe.errors.StripeInvalidRequestError).param !== 'customer') throw error
    const { id } = await createCustomer(desk, organizationId, `-after-${customerId}`)
    return act(await replaceStripeCustomer(desk.operator, organizationId, customerId, id))
  }
}

/** Whether Stripe says that there is no such thing. */
export function isGone(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'resource_missing'
}

/** Who the organization is to Stripe. */
export async function customerOf(desk: Desk, organizationId: string): Promise<string> {
  const account = await findBillingAccount(desk.operator, organizationId)
  if (account?.stripeCustomerId) return account.stripeCustomerId
  const { id } = await createCustomer(desk, organizationId)
  return keepStripeCustomer(desk.operator, organizationId, id)
}

/** The same request under the same key, whoever makes it first: one customer. */
function createCustomer(desk: Desk, organizationId: string, key = ''): Promise<Stripe.Customer> {
  return desk.stripe.customers.create(
    { description: `Organization ${organizationId}`, metadata: { organization_id: organizationId } },
    { idempotencyKey: `customer-${organizationId}${key}` },
  )
}

function metadataOf({ id, organizationId }: Purchase): Record<string, string> {
  return { purchase_id: id, organization_id: organizationId }
}

function descriptionOf({ creditsCents }: Purchase): string {
  return `$${formatCents(creditsCents)} of credits`
}
