import { randomBytes } from 'node:crypto'

/** Those fields of Stripe's objects that integrations read, as https://docs.stripe.com/api describes them. */

export interface Customer {
  id: string
  object: 'customer'
  created: number
  name: string | null
  email: string | null
  description: string | null
  metadata: Record<string, string>
  livemode: false
}

export interface PaymentMethod {
  id: string
  object: 'payment_method'
  created: number
  type: 'card'
  customer: string | null
  card: { brand: string; last4: string; exp_month: number; exp_year: number }
  livemode: false
}

export interface PaymentIntent {
  id: string
  object: 'payment_intent'
  created: number
  amount: number
  amount_received: number
  currency: string
  customer: string | null
  payment_method: string | null
  status: 'requires_payment_method' | 'requires_action' | 'processing' | 'succeeded' | 'canceled'
  latest_charge: string | null
  last_payment_error: StripeErrorBody | null
  description: string | null
  metadata: Record<string, string>
  livemode: false
}

export interface Charge {
  id: string
  object: 'charge'
  created: number
  amount: number
  amount_refunded: number
  currency: string
  customer: string | null
  payment_intent: string
  payment_method: string | null
  paid: boolean
  refunded: boolean
  disputed: boolean
  status: 'succeeded' | 'failed'
  metadata: Record<string, string>
  livemode: false
}

export interface CheckoutSession {
  id: string
  object: 'checkout.session'
  created: number
  expires_at: number
  mode: 'payment' | 'setup'
  status: 'open' | 'complete' | 'expired'
  payment_status: 'paid' | 'unpaid' | 'no_payment_required'
  amount_total: number | null
  currency: string | null
  client_reference_id: string | null
  customer: string | null
  payment_intent: string | null
  setup_intent: string | null
  url: string | null
  success_url: string
  cancel_url: string | null
  line_items: { name: string; amount: number; quantity: number }[]
  metadata: Record<string, string>
  /** What the payment intent is to have; not part of Stripe's own answer. */
  payment_metadata: Record<string, string>
  saves_card: boolean
  livemode: false
}

export interface Refund {
  id: string
  object: 'refund'
  created: number
  amount: number
  currency: string
  charge: string
  payment_intent: string
  reason: string | null
  status: 'pending' | 'requires_action' | 'succeeded' | 'failed' | 'canceled'
  failure_reason?: string
  metadata: Record<string, string>
}

export interface Dispute {
  id: string
  object: 'dispute'
  created: number
  amount: number
  currency: string
  charge: string
  payment_intent: string
  reason: string
  status:
    | 'warning_needs_response'
    | 'warning_under_review'
    | 'warning_closed'
    | 'needs_response'
    | 'under_review'
    | 'won'
    | 'lost'
    | 'prevented'
  is_charge_refundable: boolean
  metadata: Record<string, string>
  livemode: false
}

export interface StripeErrorBody {
  type: string
  code?: string
  decline_code?: string
  message: string
  param?: string
  payment_intent?: PaymentIntent
}

export interface StripeEvent {
  id: string
  object: 'event'
  api_version: string
  created: number
  type: string
  data: { object: object; previous_attributes?: object }
  livemode: false
  pending_webhooks: number
  request: { id: null; idempotency_key: null }
}

/** What Stripe answers with a 4xx (https://docs.stripe.com/api/errors). */
export class StripeRefusal extends Error {
  readonly status: number
  readonly body: StripeErrorBody

  constructor(status: number, body: StripeErrorBody) {
    super(body.message)
    this.status = status
    this.body = body
  }
}

export function noSuch(what: string, id: string, param = 'id'): StripeRefusal {
  return new StripeRefusal(404, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such ${what}: '${id}'`,
    param,
  })
}

export function badParameter(param: string, message: string): StripeRefusal {
  return new StripeRefusal(400, { type: 'invalid_request_error', code: 'parameter_invalid', message, param })
}

export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`
}
