import { invalidRequest } from '@nemo/domain/errors'
import type { FactOutcome } from '@nemo/postgres/billing-payments'
import type Stripe from 'stripe'
import { type Desk, takeIn } from './desk.ts'
import type { StripeSettings } from './stripe.ts'
import { factOf } from './stripe-facts.ts'

/**
 * Takes in an event as Stripe sent it, once its signature shows that Stripe did. Throws a 400 where it doesn't, and anything else when it can't be taken
 * in now: Stripe sends it again, for three days.
 */
export async function hearStripe(
  desk: Desk,
  settings: Pick<StripeSettings, 'secretKey' | 'webhookSecret'>,
  body: Uint8Array,
  signature: string | undefined,
): Promise<FactOutcome | 'ignored'> {
  const event = read(desk.stripe, settings.webhookSecret, body, signature)
  if (isOfAnother(event, settings.secretKey)) {
    const { id, type, livemode, account } = event
    desk.log.warn({ event: { id, type, livemode, account } }, 'an event of another account or mode was let be')
    return 'ignored'
  }
  const fact = factOf(event)
  if (!fact) return 'ignored'
  return takeIn(desk, fact, { id: event.id, type: event.type, at: new Date(event.created * 1_000) })
}

/** The signature is over the bytes, and over a time that must not be long ago: an old event can't be played again by whoever overheard it. */
function read(stripe: Stripe, secret: string, body: Uint8Array, signature: string | undefined): Stripe.Event {
  try {
    return stripe.webhooks.constructEvent(Buffer.from(body), signature ?? '', secret)
  } catch {
    throw invalidRequest('stripe-signature', 'The signature does not fit the body, or is too old.')
  }
}

/**
 * Stripe sends a platform's live endpoint also what its connected accounts do, and what is only tested (https://docs.stripe.com/connect/webhooks): none of that
 * is money for us.
 */
function isOfAnother({ account, livemode }: Stripe.Event, secretKey: string): boolean {
  const mode = /^[rs]k_(live|test)_/.exec(secretKey)?.[1]
  return Boolean(account) || (mode !== undefined && livemode !== (mode === 'live'))
}
