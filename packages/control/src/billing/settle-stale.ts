import { findBillingAccount } from '@nemo/postgres/billing-accounts'
import { attachToStripe, endPurchase, type Purchase, stalePurchases } from '@nemo/postgres/billing-purchases'
import { carryOut, giveUp, isGone, takeInIntent } from './buy.ts'
import { type Desk, takeIn } from './desk.ts'
import { checkoutFact } from './stripe-facts.ts'

const BATCH = 50
/** As long as Stripe surely still knows what it was asked under a key (24 hours). */
const ASKED_AGAIN_MS = 12 * 60 * 60_000
/** A session whose address nobody got isn't waited for. */
const UNOPENED_MS = 60 * 60_000

/** Asks Stripe about purchases that have been pending for a while: an event or an answer may have been lost. */
export async function settleStale(desk: Desk, olderThanMs: number, now: number): Promise<void> {
  for (const purchase of await stalePurchases(desk.operator, olderThanMs, BATCH)) {
    try {
      if (purchase.source === 'checkout') await settleCheckout(desk, purchase, now)
      else await settleCharge(desk, purchase, now)
    } catch (err) {
      desk.log.warn({ err, purchase: purchase.id }, 'Stripe could not be asked about a purchase')
    }
  }
}

async function settleCheckout(desk: Desk, purchase: Purchase, now: number): Promise<void> {
  if (purchase.checkoutSessionId === null) {
    if (now - purchase.createdAt.getTime() > UNOPENED_MS) await endPurchase(desk.operator, purchase.id, 'expired')
    return
  }
  const session = await desk.stripe.checkout.sessions.retrieve(purchase.checkoutSessionId).catch(orNone)
  if (session === null) {
    await endPurchase(desk.operator, purchase.id, 'expired')
    return
  }
  const paid = checkoutFact(session)
  if (paid) await takeIn(desk, paid)
  else if (session.status === 'expired')
    await takeIn(desk, { kind: 'expired', checkoutSessionId: session.id, purchaseId: purchase.id })
}

async function settleCharge(desk: Desk, purchase: Purchase, now: number): Promise<void> {
  const account = await findBillingAccount(desk.operator, purchase.organizationId)
  const customer = account?.stripeCustomerId
  const since = Math.floor(purchase.createdAt.getTime() / 1_000) - 60
  const intents = customer
    ? await desk.stripe.paymentIntents.list({ customer, created: { gte: since }, limit: 100 }).catch(orNone)
    : null
  const intent = intents?.data.find(({ metadata }) => metadata.purchase_id === purchase.id)
  if (intent) {
    await attachToStripe(desk.operator, purchase.id, { paymentIntentId: intent.id })
    await takeInIntent(desk, purchase, intent)
  } else if (now - purchase.createdAt.getTime() < ASKED_AGAIN_MS) await carryOut(desk, purchase)
  else await giveUp(desk, purchase, 'no_answer', 'Stripe never said what became of it.')
}

/** Of another account, whose keys were in use before, Stripe knows nothing. */
function orNone(error: unknown): null {
  if (isGone(error)) return null
  throw error
}
