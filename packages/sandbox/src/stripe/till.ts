import { type Form, formOf, listOf, textOf, textsOf } from './form.ts'
import {
  badParameter,
  type Charge,
  type CheckoutSession,
  type Customer,
  type Dispute,
  newId,
  noSuch,
  type PaymentIntent,
  type PaymentMethod,
  type Refund,
  type StripeEvent,
  StripeRefusal,
} from './objects.ts'

const API_VERSION = '2026-10-28.endive'
const SESSION_SECONDS = 24 * 60 * 60

/** The test cards by the names that Stripe has for them (https://docs.stripe.com/testing), and what becomes of charging each without its owner. */
const CARDS: Record<string, { brand: string; last4: string; fault?: 'declined' | 'authentication' }> = {
  pm_card_visa: { brand: 'visa', last4: '4242' },
  pm_card_mastercard: { brand: 'mastercard', last4: '4444' },
  pm_card_chargeCustomerFail: { brand: 'visa', last4: '0341', fault: 'declined' },
  pm_card_authenticationRequired: { brand: 'visa', last4: '3184', fault: 'authentication' },
}

/** Everything that the emulator knows, and what can happen to it. Each thing that happens is told as events, in the order Stripe has for them. */
export class Till {
  readonly customers = new Map<string, Customer>()
  readonly methods = new Map<string, PaymentMethod>()
  readonly intents = new Map<string, PaymentIntent>()
  readonly charges = new Map<string, Charge>()
  readonly sessions = new Map<string, CheckoutSession>()
  readonly refunds = new Map<string, Refund>()
  readonly disputes = new Map<string, Dispute>()
  readonly events: StripeEvent[] = []
  readonly #faults = new Map<string, 'declined' | 'authentication'>()
  readonly #tell: (event: StripeEvent) => void
  readonly #now: () => number

  constructor(tell: (event: StripeEvent) => void, now: () => number) {
    this.#tell = tell
    this.#now = now
  }

  createCustomer(form: Form): Customer {
    const customer: Customer = {
      id: newId('cus'),
      object: 'customer',
      created: this.#seconds(),
      name: textOf(form, 'name'),
      email: textOf(form, 'email'),
      description: textOf(form, 'description'),
      metadata: textsOf(form, 'metadata'),
      livemode: false,
    }
    this.customers.set(customer.id, customer)
    return customer
  }

  updateCustomer(id: string, form: Form): Customer {
    const customer = this.customer(id)
    customer.name = textOf(form, 'name') ?? customer.name
    customer.email = textOf(form, 'email') ?? customer.email
    return customer
  }

  /** Its cards go with it; what it paid stays. */
  deleteCustomer(id: string): object {
    this.customer(id)
    for (const method of this.methods.values()) if (method.customer === id) this.detach(method.id)
    this.customers.delete(id)
    return { id, object: 'customer', deleted: true }
  }

  createSession(form: Form, origin: string): CheckoutSession {
    const mode = textOf(form, 'mode')
    if (mode !== 'payment' && mode !== 'setup') throw badParameter('mode', `Invalid mode: ${mode}`)
    const customer = textOf(form, 'customer')
    if (customer && !this.customers.has(customer)) throw noSuch('customer', customer, 'customer')
    const items = listOf(form, 'line_items').map((item) => {
      const price = formOf(item, 'price_data')
      return {
        name: textOf(formOf(price, 'product_data'), 'name') ?? '',
        amount: amountOf(price, 'unit_amount'),
        quantity: Number(textOf(item, 'quantity') ?? 1),
      }
    })
    if (mode === 'payment' && items.length === 0)
      throw badParameter('line_items', 'Missing required param: line_items.')
    const success = textOf(form, 'success_url')
    if (!success) throw badParameter('success_url', 'Missing required param: success_url.')
    const intentData = formOf(form, 'payment_intent_data')
    const id = newId('cs_test')
    const session: CheckoutSession = {
      id,
      object: 'checkout.session',
      created: this.#seconds(),
      expires_at: this.#seconds() + SESSION_SECONDS,
      mode,
      status: 'open',
      payment_status: mode === 'setup' ? 'no_payment_required' : 'unpaid',
      amount_total: mode === 'setup' ? null : items.reduce((sum, item) => sum + item.amount * item.quantity, 0),
      currency: mode === 'setup' ? null : 'usd',
      client_reference_id: textOf(form, 'client_reference_id'),
      customer,
      // Since 2022 the intent of a payment is made when someone pays, not with the session.
      payment_intent: null,
      setup_intent: null,
      url: `${origin}/c/pay/${id}`,
      success_url: success,
      cancel_url: textOf(form, 'cancel_url'),
      line_items: items,
      metadata: textsOf(form, 'metadata'),
      payment_metadata: textsOf(intentData, 'metadata'),
      saves_card: mode === 'setup' || textOf(intentData, 'setup_future_usage') === 'off_session',
      livemode: false,
    }
    this.sessions.set(id, session)
    return session
  }

  /** What the customer does on the hosted page: pays with a card, or only leaves it there. */
  complete(sessionId: string, card = 'pm_card_visa'): CheckoutSession {
    const session = this.session(sessionId)
    if (session.status !== 'open') throw badParameter('session', `This session is ${session.status}.`)
    const method = this.#newMethod(card)
    if (session.mode === 'setup') {
      session.setup_intent = newId('seti')
      this.#attach(method, session.customer)
    } else {
      const intent = this.#newIntent({
        amount: session.amount_total!,
        customer: session.customer,
        metadata: session.payment_metadata,
        description: null,
      })
      session.payment_intent = intent.id
      // With its owner there, any card but a declined one is authenticated.
      if (this.#faults.get(method.id) === 'declined') {
        this.#decline(intent, method, 'card_declined')
        return session
      }
      if (session.saves_card) this.#attach(method, session.customer)
      this.#succeed(intent, method)
      session.payment_status = 'paid'
    }
    session.status = 'complete'
    session.url = null
    this.#happen('checkout.session.completed', session)
    return session
  }

  expire(sessionId: string): CheckoutSession {
    const session = this.session(sessionId)
    if (session.status !== 'open')
      throw badParameter('session', `Only Checkout Sessions with a status in ["open"] can be expired.`)
    session.status = 'expired'
    session.url = null
    this.#happen('checkout.session.expired', session)
    return session
  }

  /** Off the session only: confirmed at once, with a card that was saved. */
  createIntent(form: Form): PaymentIntent {
    const method = this.method(textOf(form, 'payment_method') ?? '')
    const customer = textOf(form, 'customer')
    if (textOf(form, 'confirm') !== 'true' || textOf(form, 'off_session') !== 'true')
      throw badParameter('confirm', 'This emulator takes only payments that are confirmed off session.')
    if (method.customer === null || method.customer !== customer)
      throw badParameter('payment_method', 'The provided PaymentMethod is not attached to the customer.')
    const intent = this.#newIntent({
      amount: amountOf(form, 'amount'),
      customer,
      metadata: textsOf(form, 'metadata'),
      description: textOf(form, 'description'),
    })
    const fault = this.#faults.get(method.id)
    if (fault) {
      this.#decline(intent, method, fault === 'declined' ? 'card_declined' : 'authentication_required')
      throw new StripeRefusal(402, { ...intent.last_payment_error!, payment_intent: intent })
    }
    this.#succeed(intent, method)
    return intent
  }

  cancelIntent(id: string): PaymentIntent {
    const intent = this.intent(id)
    if (intent.status === 'succeeded')
      throw badParameter('payment_intent', 'You cannot cancel this PaymentIntent because it has a status of succeeded.')
    intent.status = 'canceled'
    this.#happen('payment_intent.canceled', intent)
    return intent
  }

  createRefund(form: Form): Refund {
    const intent = this.intent(textOf(form, 'payment_intent') ?? '')
    const charge = this.charges.get(intent.latest_charge ?? '')
    if (!charge?.paid)
      throw badParameter('payment_intent', 'This PaymentIntent does not have a successful charge to refund.')
    const left = charge.amount - charge.amount_refunded
    const amount = textOf(form, 'amount') === null ? left : amountOf(form, 'amount')
    if (amount > left || left === 0)
      throw new StripeRefusal(400, {
        type: 'invalid_request_error',
        code: left === 0 ? 'charge_already_refunded' : 'parameter_invalid',
        message: `Refund amount is greater than unrefunded amount on charge.`,
        param: 'amount',
      })
    const refund: Refund = {
      id: newId('re'),
      object: 'refund',
      created: this.#seconds(),
      amount,
      currency: 'usd',
      charge: charge.id,
      payment_intent: intent.id,
      reason: textOf(form, 'reason'),
      status: 'succeeded',
      metadata: textsOf(form, 'metadata'),
    }
    this.refunds.set(refund.id, refund)
    charge.amount_refunded += amount
    charge.refunded = charge.amount_refunded === charge.amount
    this.#happen('refund.created', refund)
    this.#happen('charge.refunded', charge)
    this.#happen('charge.refund.updated', refund)
    this.#happen('refund.updated', refund)
    return refund
  }

  /** The bank sends a refund back, which may be days later. */
  failRefund(id: string): Refund {
    const refund = this.refunds.get(id)
    if (!refund) throw noSuch('refund', id)
    refund.status = 'failed'
    refund.failure_reason = 'lost_or_stolen_card'
    const charge = this.charges.get(refund.charge)!
    charge.amount_refunded -= refund.amount
    charge.refunded = false
    this.#happen('refund.updated', refund)
    this.#happen('refund.failed', refund)
    return refund
  }

  /** A customer asks the bank for the money back; an inquiry moves none yet. */
  dispute(intentId: string, { amount, inquiry = false }: { amount?: number; inquiry?: boolean } = {}): Dispute {
    const intent = this.intent(intentId)
    const charge = this.charges.get(intent.latest_charge ?? '')
    if (!charge?.paid) throw badParameter('payment_intent', 'There is no charge to dispute.')
    const dispute: Dispute = {
      id: newId('dp'),
      object: 'dispute',
      created: this.#seconds(),
      amount: amount ?? charge.amount - charge.amount_refunded,
      currency: 'usd',
      charge: charge.id,
      payment_intent: intent.id,
      reason: 'fraudulent',
      status: inquiry ? 'warning_needs_response' : 'needs_response',
      is_charge_refundable: inquiry,
      metadata: {},
      livemode: false,
    }
    charge.disputed = !inquiry
    this.disputes.set(dispute.id, dispute)
    this.#happen('charge.dispute.created', dispute)
    if (!inquiry) this.#happen('charge.dispute.funds_withdrawn', dispute)
    return dispute
  }

  closeDispute(id: string, outcome: 'won' | 'lost' | 'warning_closed'): Dispute {
    const dispute = this.disputes.get(id)
    if (!dispute) throw noSuch('dispute', id)
    if (outcome !== 'warning_closed') {
      dispute.status = 'under_review'
      this.#happen('charge.dispute.updated', dispute)
    }
    dispute.status = outcome
    if (outcome === 'won') this.#happen('charge.dispute.funds_reinstated', dispute)
    this.#happen('charge.dispute.closed', dispute)
    return dispute
  }

  /** The bank sends the customer the same card anew, and Stripe hears of it. */
  renew(id: string): PaymentMethod {
    const method = this.method(id)
    const { exp_year } = method.card
    method.card.exp_year++
    this.#happen('payment_method.automatically_updated', method, { card: { exp_year } })
    return method
  }

  detach(id: string): PaymentMethod {
    const method = this.method(id)
    if (method.customer === null)
      throw badParameter(
        'payment_method',
        'The payment method you provided is not attached to a customer so detachment is impossible.',
      )
    const { customer } = method
    method.customer = null
    this.#happen('payment_method.detached', method, { customer })
    return method
  }

  /** What was asked of a customer, newest first. */
  intentsOf(customer: string | null): PaymentIntent[] {
    if (customer !== null && !this.customers.has(customer)) throw noSuch('customer', customer, 'customer')
    return [...this.intents.values()].filter((intent) => intent.customer === customer).reverse()
  }

  customer(id: string): Customer {
    return found(this.customers, 'customer', id)
  }

  session(id: string): CheckoutSession {
    return found(this.sessions, 'checkout.session', id)
  }

  intent(id: string): PaymentIntent {
    return found(this.intents, 'payment_intent', id)
  }

  method(id: string): PaymentMethod {
    return found(this.methods, 'PaymentMethod', id)
  }

  #newMethod(card: string): PaymentMethod {
    const known = CARDS[card]
    if (!known) throw badParameter('card', `No such test card: '${card}'`)
    const method: PaymentMethod = {
      id: newId('pm'),
      object: 'payment_method',
      created: this.#seconds(),
      type: 'card',
      customer: null,
      card: {
        brand: known.brand,
        last4: known.last4,
        exp_month: 12,
        exp_year: new Date(this.#now()).getUTCFullYear() + 3,
      },
      livemode: false,
    }
    this.methods.set(method.id, method)
    if (known.fault) this.#faults.set(method.id, known.fault)
    return method
  }

  #attach(method: PaymentMethod, customer: string | null): void {
    method.customer = customer
    this.#happen('payment_method.attached', method)
  }

  #newIntent(given: Pick<PaymentIntent, 'amount' | 'customer' | 'metadata' | 'description'>): PaymentIntent {
    const intent: PaymentIntent = {
      id: newId('pi'),
      object: 'payment_intent',
      created: this.#seconds(),
      amount_received: 0,
      currency: 'usd',
      payment_method: null,
      status: 'requires_payment_method',
      latest_charge: null,
      last_payment_error: null,
      livemode: false,
      ...given,
    }
    this.intents.set(intent.id, intent)
    this.#happen('payment_intent.created', intent)
    return intent
  }

  #succeed(intent: PaymentIntent, method: PaymentMethod): void {
    const charge = this.#charge(intent, method, true)
    intent.status = 'succeeded'
    intent.amount_received = intent.amount
    intent.payment_method = method.id
    this.#happen('charge.succeeded', charge)
    this.#happen('payment_intent.succeeded', intent)
  }

  #decline(intent: PaymentIntent, method: PaymentMethod, code: 'card_declined' | 'authentication_required'): void {
    const charge = this.#charge(intent, method, false)
    intent.last_payment_error = {
      type: 'card_error',
      code,
      decline_code: code === 'card_declined' ? 'generic_decline' : code,
      message:
        code === 'card_declined'
          ? 'Your card was declined.'
          : 'Your card was declined. This transaction requires authentication.',
    }
    this.#happen('charge.failed', charge)
    this.#happen('payment_intent.payment_failed', intent)
  }

  #charge(intent: PaymentIntent, method: PaymentMethod, paid: boolean): Charge {
    const charge: Charge = {
      id: newId('ch'),
      object: 'charge',
      created: this.#seconds(),
      amount: intent.amount,
      amount_refunded: 0,
      currency: 'usd',
      customer: intent.customer,
      payment_intent: intent.id,
      payment_method: method.id,
      paid,
      refunded: false,
      disputed: false,
      status: paid ? 'succeeded' : 'failed',
      metadata: intent.metadata,
      livemode: false,
    }
    this.charges.set(charge.id, charge)
    intent.latest_charge = charge.id
    return charge
  }

  /** An event has the object as it was then. */
  #happen(type: string, object: object, previous?: object): void {
    const event: StripeEvent = {
      id: newId('evt'),
      object: 'event',
      api_version: API_VERSION,
      created: this.#seconds(),
      type,
      data: { object: structuredClone(object), ...(previous && { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
    }
    this.events.push(event)
    this.#tell(event)
  }

  #seconds(): number {
    return Math.floor(this.#now() / 1_000)
  }
}

function found<T>(among: ReadonlyMap<string, T>, what: string, id: string): T {
  const object = among.get(id)
  if (!object) throw noSuch(what, id)
  return object
}

function amountOf(form: Form, name: string): number {
  const amount = Number(textOf(form, name))
  if (!Number.isSafeInteger(amount) || amount < 1 || amount > 99_999_999)
    throw badParameter(name, `Invalid integer: ${textOf(form, name)}`)
  return amount
}
