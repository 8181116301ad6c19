import { nanosOf, PURCHASE_CENTS_MAX, PURCHASE_CENTS_MIN, parseCents } from '@nemo/domain/billing'
import { z } from 'zod'
import { route } from './route.ts'
import { email, id, idParams, listOf, listQuery, time, usd, usdInput } from './schema.ts'

/** Whole cents, as callers write them: "100.00". */
export const centsInput = z
  .string()
  .max(30)
  .transform((text, context) => {
    try {
      return parseCents(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as RangeError).message })
      return z.NEVER
    }
  })

/** Cents as the API writes them: USD with both decimals. */
export const cents = z
  .bigint()
  .transform((amount) => nanosOf(amount))
  .pipe(usd)

const creditsToBuy = centsInput.refine((amount) => amount >= PURCHASE_CENTS_MIN && amount <= PURCHASE_CENTS_MAX, {
  message: 'buy credits for 5.00 to 50000.00',
})

export const tier = z.object({
  id: z.string(),
  object: z.literal('tier'),
  name: z.string(),
  /** Of a purchase, on top of it. */
  fee_percent: z.number(),
})

const card = z.object({
  id: z.string(),
  object: z.literal('card'),
  brand: z.string(),
  last4: z.string(),
  exp_month: z.number(),
  exp_year: z.number(),
  is_default: z.boolean(),
})

const billing = z.object({
  object: z.literal('billing'),
  balance: usd,
  /** What calls under way hold of the balance. */
  held: usd,
  tier,
  /** Whether credits can be bought here; else the operator grants them. */
  can_purchase: z.boolean(),
  company: z.string(),
  address: z.string(),
  tax_id: z.string(),
  email: z.string().nullable(),
  low_balance_threshold: usd.nullable(),
  top_up: z.object({
    enabled: z.boolean(),
    threshold: usd.nullable(),
    amount: cents.nullable(),
    /** The most that top-ups may charge in a calendar month (UTC), fees included. */
    monthly_cap: cents.nullable(),
    pending: z.boolean(),
    /** Why topping up has paused. Set it anew, or choose another card, to let it go on. */
    paused_because: z.string().nullable(),
  }),
})

export const purchase = z.object({
  id,
  object: z.literal('purchase'),
  state: z.enum(['pending', 'paid', 'failed', 'expired']),
  source: z.enum(['checkout', 'card', 'top-up']),
  credits: cents,
  fee: cents,
  fee_percent: z.number(),
  total: cents,
  /** What of the total was refunded or charged back. */
  reversed: cents,
  /** Where to pay, while it is pending at Checkout. */
  checkout_url: z.string().nullable(),
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  created_at: time,
  paid_at: time.nullable(),
})

const invoice = z.object({
  id,
  object: z.literal('invoice'),
  number: z.string(),
  kind: z.enum(['invoice', 'credit-note']),
  purchase_id: id,
  total: cents,
  lines: z.array(z.object({ description: z.string(), amount: cents })),
  issued_at: time,
})

const entry = z.object({
  id,
  object: z.literal('ledger_entry'),
  kind: z.string(),
  amount: usd,
  balance_after: usd,
  reference: z.string().nullable(),
  note: z.string().nullable(),
  created_at: time,
})

/** Printable, with line breaks. */
const lines = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cs}\0]*$/u, 'must not have such characters')

const topUpInput = z.union([
  z.strictObject({ enabled: z.literal(false) }),
  z.strictObject({
    enabled: z.literal(true),
    threshold: usdInput.refine(
      (nanos) => nanos > 0n && nanos <= nanosOf(PURCHASE_CENTS_MAX),
      'must be above 0 and at most 50000',
    ),
    amount: creditsToBuy,
    monthly_cap: centsInput.refine(
      (amount) => amount > 0n && amount <= 100n * PURCHASE_CENTS_MAX,
      'must be above 0 and at most 5000000',
    ),
  }),
])

const cardParams = z.object({ id: z.string().regex(/^[\w-]{1,100}$/) })
const NO_PAYMENTS = '409 payments_not_configured'

export const billingRoutes = {
  getBilling: route({
    method: 'GET',
    path: '/api/billing',
    access: { permission: 'billing:read' },
    summary: 'Balance, tier, and how credits are topped up',
    response: billing,
  }),
  updateBilling: route({
    method: 'PATCH',
    path: '/api/billing',
    access: { permission: 'billing:update' },
    summary: 'Change whom invoices name, the low-balance threshold and the top-up',
    body: z.strictObject({
      company: lines(200).optional(),
      address: lines(1_000).optional(),
      tax_id: lines(100).optional(),
      email: email.nullable().optional(),
      default_card: cardParams.shape.id.optional(),
      low_balance_threshold: usdInput
        .refine((nanos) => nanos > 0n && nanos <= nanosOf(PURCHASE_CENTS_MAX), 'must be above 0 and at most 50000')
        .nullable()
        .optional(),
      top_up: topUpInput.optional(),
    }),
    example: { company: 'Acme Inc.', low_balance_threshold: '5.00' },
    response: billing,
    errors: [NO_PAYMENTS, '409 no_card'],
  }),
  quotePurchase: route({
    method: 'GET',
    path: '/api/billing/quote',
    access: { permission: 'billing:read' },
    summary: 'What credits would cost, fee included',
    query: z.object({ amount: creditsToBuy.meta({ example: '100.00' }) }),
    response: z.object({
      object: z.literal('quote'),
      credits: cents,
      fee: cents,
      fee_percent: z.number(),
      total: cents,
    }),
  }),
  createPurchase: route({
    method: 'POST',
    path: '/api/billing/purchases',
    access: { permission: 'billing:purchase' },
    summary: 'Buy credits, at Checkout or with a saved card',
    description:
      'The fee of your tier comes on top, and is fixed now. With `pay_with: "checkout"` the answer has a `checkout_url` to pay at. A saved card is charged at once. The same `request_key` asks for the same purchase, however often it is sent.',
    body: z.strictObject({
      amount: creditsToBuy,
      pay_with: z.enum(['checkout', 'card']),
      /** A saved card; the default one unless it says so. */
      card: cardParams.shape.id.optional(),
      /** Keeps the card that pays at Checkout. */
      save_card: z.boolean().optional(),
      request_key: z.string().min(1).max(200).optional(),
    }),
    example: { amount: '100.00', pay_with: 'checkout' },
    response: purchase,
    status: 201,
    errors: [NO_PAYMENTS, '409 no_card', '409 request_key_in_use', '503 payments_unavailable'],
    limits: [{ by: 'user', max: 30, seconds: 3_600 }],
  }),
  listPurchases: route({
    method: 'GET',
    path: '/api/billing/purchases',
    access: { permission: 'billing:read' },
    summary: 'Purchases, newest first',
    query: listQuery,
    response: listOf(purchase),
  }),
  getPurchase: route({
    method: 'GET',
    path: '/api/billing/purchases/:id',
    access: { permission: 'billing:read' },
    summary: 'A purchase',
    params: idParams,
    response: purchase,
  }),
  listEntries: route({
    method: 'GET',
    path: '/api/billing/entries',
    access: { permission: 'billing:read' },
    summary: 'What went into the balance and out of it, newest first',
    query: listQuery,
    response: listOf(entry),
  }),
  listInvoices: route({
    method: 'GET',
    path: '/api/billing/invoices',
    access: { permission: 'billing:read' },
    summary: 'Invoices and credit notes, newest first',
    query: listQuery,
    response: listOf(invoice),
  }),
  getInvoice: route({
    method: 'GET',
    path: '/api/billing/invoices/:id',
    access: { permission: 'billing:read' },
    summary: 'An invoice or a credit note',
    params: idParams,
    response: invoice,
  }),
  getInvoicePage: route({
    method: 'GET',
    path: '/api/billing/invoices/:id/html',
    access: { permission: 'billing:read' },
    summary: 'An invoice or a credit note, as a page',
    params: idParams,
    response: 'text/html',
  }),
  getInvoicePdf: route({
    method: 'GET',
    path: '/api/billing/invoices/:id/pdf',
    access: { permission: 'billing:read' },
    summary: 'An invoice or a credit note, as a PDF',
    params: idParams,
    response: 'application/pdf',
  }),
  listCards: route({
    method: 'GET',
    path: '/api/billing/cards',
    access: { permission: 'billing:read' },
    summary: 'Saved cards',
    response: listOf(card),
  }),
  addCard: route({
    method: 'POST',
    path: '/api/billing/cards',
    access: { permission: 'billing:update' },
    summary: 'Open a page of Stripe’s to save a card at',
    response: z.object({ object: z.literal('card_page'), url: z.string() }),
    status: 201,
    errors: [NO_PAYMENTS],
    limits: [{ by: 'user', max: 30, seconds: 3_600 }],
  }),
  removeCard: route({
    method: 'DELETE',
    path: '/api/billing/cards/:id',
    access: { permission: 'billing:update' },
    summary: 'Forget a saved card',
    params: cardParams,
    response: listOf(card),
    errors: [NO_PAYMENTS],
  }),
  listTiers: route({
    method: 'GET',
    path: '/api/billing/tiers',
    access: { permission: 'billing:read' },
    summary: 'Every tier, and its fee',
    response: listOf(tier),
  }),
  receiveStripeEvent: route({
    method: 'POST',
    path: '/api/stripe/webhook',
    access: 'public',
    summary: 'Where Stripe sends its events, signed',
    body: 'raw',
    example: '{}',
    response: z.object({ received: z.literal(true) }),
    errors: [NO_PAYMENTS],
  }),
}
