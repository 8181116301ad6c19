import type { PaymentFact, ReversalFact } from '@nemo/postgres/billing-payments'
import type Stripe from 'stripe'

/**
 * What an event says of a payment; null when it is of no interest. Every fact stands for itself: none needs another to have come before it.
 * The events are those of https://docs.stripe.com/api/events/types.
 */
export function factOf(event: Stripe.Event): PaymentFact | null {
  const at = new Date(event.created * 1_000)
  switch (event.type) {
    case 'payment_intent.succeeded':
      return paidFact(event.data.object)
    case 'payment_intent.payment_failed':
      return failedFact(event.data.object)
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded':
      return checkoutFact(event.data.object)
    case 'checkout.session.expired':
      return {
        kind: 'expired',
        checkoutSessionId: event.data.object.id,
        purchaseId: event.data.object.metadata?.purchase_id ?? null,
      }
    case 'refund.created':
    case 'refund.updated':
    case 'refund.failed':
    case 'charge.refund.updated':
      return refundFact(event.data.object)
    case 'charge.dispute.created':
    case 'charge.dispute.updated':
    case 'charge.dispute.closed':
    case 'charge.dispute.funds_withdrawn':
    case 'charge.dispute.funds_reinstated':
      return disputeFact(event.data.object)
    case 'payment_method.attached':
    case 'payment_method.updated':
    case 'payment_method.automatically_updated':
      return cardFact(event.data.object, idOf(event.data.object.customer), false, at)
    case 'payment_method.detached':
      // Whose it was is only said as what it was before.
      return cardFact(
        event.data.object,
        idOf(event.data.previous_attributes?.customer ?? event.data.object.customer),
        true,
        at,
      )
    default:
      return null
  }
}

/** The events that factOf knows: what an endpoint at Stripe is to be subscribed to. */
export const STRIPE_EVENTS = [
  'payment_intent.succeeded',
  'payment_intent.payment_failed',
  'checkout.session.completed',
  'checkout.session.async_payment_succeeded',
  'checkout.session.expired',
  'refund.created',
  'refund.updated',
  'refund.failed',
  'charge.dispute.created',
  'charge.dispute.updated',
  'charge.dispute.closed',
  'charge.dispute.funds_withdrawn',
  'charge.dispute.funds_reinstated',
  'payment_method.attached',
  'payment_method.updated',
  'payment_method.automatically_updated',
  'payment_method.detached',
] as const

export function paidFact(intent: Stripe.PaymentIntent): PaymentFact {
  return {
    kind: 'paid',
    paymentIntentId: intent.id,
    purchaseId: intent.metadata.purchase_id ?? null,
    organizationId: intent.metadata.organization_id ?? null,
    customerId: idOf(intent.customer),
    checkoutSessionId: null,
    amountCents: BigInt(intent.amount_received),
    currency: intent.currency,
  }
}

export function failedFact({
  id,
  metadata,
  last_payment_error: error,
}: Stripe.PaymentIntent): Extract<PaymentFact, { kind: 'failed' }> {
  return {
    kind: 'failed',
    paymentIntentId: id,
    purchaseId: metadata.purchase_id ?? null,
    code: error?.code ?? 'payment_failed',
    message: error?.message ?? 'The payment failed.',
  }
}

export function checkoutFact(session: Stripe.Checkout.Session): PaymentFact | null {
  const paymentIntentId = idOf(session.payment_intent)
  if (session.mode !== 'payment' || session.payment_status !== 'paid' || paymentIntentId === null) return null
  return {
    kind: 'paid',
    paymentIntentId,
    purchaseId: session.metadata?.purchase_id ?? null,
    organizationId: session.metadata?.organization_id ?? null,
    customerId: idOf(session.customer),
    checkoutSessionId: session.id,
    amountCents: BigInt(session.amount_total ?? 0),
    currency: session.currency ?? '',
  }
}

/** A refund ends as it succeeded, unless it fails after that. While it is pending, the money has left already. */
const REFUND_RANKS: Record<string, number> = { requires_action: 0, pending: 1, succeeded: 2, failed: 3, canceled: 3 }

export function refundFact(refund: Stripe.Refund): ReversalFact | null {
  const paymentIntentId = idOf(refund.payment_intent)
  if (paymentIntentId === null) return null
  const status = refund.status ?? 'pending'
  return {
    kind: 'refund',
    id: refund.id,
    paymentIntentId,
    amountCents: BigInt(refund.amount),
    status,
    rank: REFUND_RANKS[status] ?? 0,
    isEffective: status === 'pending' || status === 'succeeded',
    at: new Date(refund.created * 1_000),
  }
}

/** A warning is an inquiry, which moves no money; a dispute takes it at once, and gives it back when it is won. */
const DISPUTE_RANKS: Record<string, number> = {
  warning_needs_response: 0,
  warning_under_review: 1,
  warning_closed: 2,
  needs_response: 3,
  under_review: 4,
  appeal_needs_response: 5,
  appeal_under_review: 6,
  prevented: 7,
  won: 7,
  lost: 7,
}
const TAKES_MONEY = new Set(['needs_response', 'under_review', 'appeal_needs_response', 'appeal_under_review', 'lost'])

function disputeFact(dispute: Stripe.Dispute): ReversalFact | null {
  const paymentIntentId = idOf(dispute.payment_intent)
  if (paymentIntentId === null) return null
  return {
    kind: 'dispute',
    id: dispute.id,
    paymentIntentId,
    amountCents: BigInt(dispute.amount),
    status: dispute.status,
    rank: DISPUTE_RANKS[dispute.status] ?? 0,
    isEffective: TAKES_MONEY.has(dispute.status),
    at: new Date(dispute.created * 1_000),
  }
}

export function cardFact(
  { id, card }: Stripe.PaymentMethod,
  customerId: string | null,
  isDetached: boolean,
  at: Date,
): PaymentFact | null {
  if (!card || customerId === null) return null
  return {
    kind: 'card',
    id,
    customerId,
    brand: card.brand,
    last4: card.last4,
    expMonth: card.exp_month,
    expYear: card.exp_year,
    isDetached,
    at,
  }
}

function idOf(reference: string | { readonly id: string } | null | undefined): string | null {
  return typeof reference === 'string' ? reference : (reference?.id ?? null)
}
