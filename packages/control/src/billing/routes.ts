import type { billingRoutes, purchase as purchaseSchema } from '@nemo/api/billing'
import { pageOf } from '@nemo/api/page'
import { feeOf } from '@nemo/domain/billing'
import { ApiError } from '@nemo/domain/errors'
import { type BillingAccount, findBillingAccount, setBillingAccount } from '@nemo/postgres/billing-accounts'
import { listCards, type SavedCard } from '@nemo/postgres/billing-cards'
import { findInvoice, listInvoices, type StoredInvoice } from '@nemo/postgres/billing-invoices'
import { createPurchase, findPurchase, listPurchases, type Purchase } from '@nemo/postgres/billing-purchases'
import { listTiers, type Tier } from '@nemo/postgres/billing-tiers'
import { pageOfEntries } from '@nemo/postgres/ledger-entries'
import type { Transaction } from '@nemo/postgres/tenancy'
import type { z } from 'zod'
import type { Control } from '../control.ts'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { carryOut } from './buy.ts'
import { forgetCard, openCardPage } from './cards.ts'
import type { Desk } from './desk.ts'
import { invoiceHtml } from './invoice-html.ts'
import { invoicePdf } from './invoice-pdf.ts'
import { hearStripe } from './webhook.ts'

export const billingHandlers: Handlers<typeof billingRoutes> = {
  getBilling: ({ control, actor, tenant }) => tenant((tx) => billingOf(control, tx, actor.organizationId)),

  updateBilling: ({ control, actor, body, tenant, audit }) =>
    tenant(async (tx) => {
      const { organizationId } = actor
      if (body.top_up?.enabled) deskOf(control)
      const before = await billingOf(control, tx, organizationId)
      const cards = await listCards(tx, organizationId)
      if (body.default_card !== undefined && !cards.some(({ id }) => id === body.default_card)) throw notFound('card')
      if (body.top_up?.enabled && cards.length === 0)
        throw conflict('no_card', 'Save a card first: it is what a top-up charges.', 'top_up')
      await setBillingAccount(tx, organizationId, {
        ...(body.company !== undefined && { company: body.company }),
        ...(body.address !== undefined && { address: body.address }),
        ...(body.tax_id !== undefined && { taxId: body.tax_id }),
        ...(body.email !== undefined && { email: body.email }),
        ...(body.default_card !== undefined && { defaultCardId: body.default_card }),
        ...(body.low_balance_threshold !== undefined && { lowBalanceNanos: body.low_balance_threshold }),
        ...(body.top_up && {
          topUp: body.top_up.enabled
            ? {
                enabled: true,
                belowNanos: body.top_up.threshold,
                cents: body.top_up.amount,
                monthCents: body.top_up.monthly_cap,
              }
            : { enabled: false },
        }),
      })
      const after = await billingOf(control, tx, organizationId)
      await audit(tx, {
        action: 'billing.updated',
        subject: { type: 'organization', id: organizationId },
        before: settingsOf(before),
        after: settingsOf(after),
      })
      return after
    }),

  quotePurchase: ({ actor, query, tenant }) =>
    tenant(async (tx) => {
      const { tier } = await accountOf(tx, actor.organizationId)
      const fee = feeOf(query.amount, tier.feeBasisPoints)
      return {
        object: 'quote',
        credits: query.amount,
        fee,
        fee_percent: tier.feeBasisPoints / 100,
        total: query.amount + fee,
      }
    }),

  createPurchase: async ({ control, actor, body, tenant, audit }) => {
    const desk = deskOf(control)
    const written = await tenant(async (tx) => {
      const { organizationId } = actor
      const card = body.pay_with === 'card' ? await cardOf(tx, organizationId, body.card) : null
      const { purchase, isNew } = await createPurchase(tx, {
        organizationId,
        source: body.pay_with,
        creditsCents: body.amount,
        savesCard: body.save_card ?? false,
        ...(card !== null && { cardId: card.id }),
        ...(body.request_key !== undefined && { requestKey: body.request_key }),
      })
      const isAnother =
        purchase.creditsCents !== body.amount ||
        purchase.source !== body.pay_with ||
        (body.card !== undefined && purchase.cardId !== body.card)
      if (isAnother)
        throw conflict('request_key_in_use', 'This request_key was used for another purchase.', 'request_key')
      if (!isNew) return purchase
      const { id, credits, fee, total, source } = purchaseOf(purchase)
      await audit(tx, {
        action: 'purchase.created',
        subject: { type: 'purchase', id },
        after: { source, credits_cents: Number(credits), fee_cents: Number(fee), total_cents: Number(total) },
      })
      return purchase
    })
    return purchaseOf(await orUnavailable(control, () => carryOut(desk, written)))
  },

  listPurchases: ({ actor, query, tenant }) =>
    tenant(async (tx) => {
      const rows = await listPurchases(tx, actor.organizationId, { after: query.after, limit: query.limit + 1 })
      return pageOf(rows.map(purchaseOf), query.limit)
    }),

  getPurchase: ({ params, tenant }) =>
    tenant(async (tx) => {
      const purchase = await findPurchase(tx, params.id)
      if (!purchase) throw notFound('purchase')
      return purchaseOf(purchase)
    }),

  listEntries: ({ actor, query, tenant }) =>
    tenant(async (tx) => {
      const rows = await pageOfEntries(tx, actor.organizationId, { after: query.after, limit: query.limit + 1 })
      return pageOf(
        rows.map((entry) => ({
          id: entry.id,
          object: 'ledger_entry' as const,
          kind: entry.kind,
          amount: entry.amountNanos,
          balance_after: entry.balanceAfterNanos,
          reference: entry.reference,
          note: entry.note,
          created_at: entry.createdAt,
        })),
        query.limit,
      )
    }),

  listInvoices: ({ actor, query, tenant }) =>
    tenant(async (tx) => {
      const rows = await listInvoices(tx, actor.organizationId, { after: query.after, limit: query.limit + 1 })
      return pageOf(rows.map(invoiceOf), query.limit)
    }),

  getInvoice: ({ params, tenant }) => tenant(async (tx) => invoiceOf(await storedInvoice(tx, params.id))),

  getInvoicePage: async ({ params, reply, tenant }) => {
    const invoice = await tenant((tx) => storedInvoice(tx, params.id))
    // The page has its own styles, and nothing else.
    reply.header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    )
    return { content: invoiceHtml(invoice) }
  },

  getInvoicePdf: async ({ params, tenant }) => {
    const invoice = await tenant((tx) => storedInvoice(tx, params.id))
    return { content: await invoicePdf(invoice), filename: `${invoice.number}.pdf` }
  },

  listCards: ({ actor, tenant }) => tenant((tx) => cardsOf(tx, actor.organizationId)),

  addCard: async ({ control, actor }) => {
    const desk = deskOf(control)
    return { object: 'card_page', url: await orUnavailable(control, () => openCardPage(desk, actor.organizationId)) }
  },

  removeCard: async ({ control, actor, params, tenant, audit }) => {
    const { desk, card } = await tenant(async (tx) => {
      const card = await cardOf(tx, actor.organizationId, params.id)
      const desk = deskOf(control)
      await audit(tx, { action: 'card.removed', subject: { type: 'card', id: params.id } })
      return { desk, card }
    })
    await orUnavailable(control, () => forgetCard(desk, actor.organizationId, card))
    return tenant((tx) => cardsOf(tx, actor.organizationId))
  },

  listTiers: ({ tenant }) => tenant(async (tx) => wholeList((await listTiers(tx)).map(tierOf))),

  receiveStripeEvent: async ({ control, body, request }) => {
    const signature = request.headers['stripe-signature']
    await hearStripe(
      deskOf(control),
      control.settings.stripe!,
      body,
      Array.isArray(signature) ? signature[0] : signature,
    )
    return { received: true }
  },
}

/** What selling takes. Throws a 409 where Stripe isn't configured: credits come by grants of the operator then. */
export function deskOf(control: Control): Desk {
  if (!control.stripe)
    throw conflict('payments_not_configured', 'Credits can’t be bought here: ask the operator for a grant.')
  return { ...control, stripe: control.stripe }
}

/** What was written down stays so: a purchase is settled later. Only the caller has to come again. */
export async function orUnavailable<T>(control: Control, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (err) {
    if (err instanceof ApiError) throw err
    control.log.warn({ err }, 'Stripe did not do what it was asked')
    throw new ApiError(
      503,
      'payments_unavailable',
      'The payment provider can’t be reached just now. Send the same request_key again.',
      {
        headers: { 'retry-after': '5' },
        cause: err,
      },
    )
  }
}

export function purchaseOf(purchase: Purchase): z.input<typeof purchaseSchema> {
  return {
    id: purchase.id,
    object: 'purchase',
    state: purchase.state,
    source: purchase.source,
    credits: purchase.creditsCents,
    fee: purchase.feeCents,
    fee_percent: purchase.feeBasisPoints / 100,
    total: purchase.totalCents,
    reversed: purchase.reversedCents,
    checkout_url: purchase.state === 'pending' ? purchase.checkoutUrl : null,
    failure:
      purchase.failureCode === null ? null : { code: purchase.failureCode, message: purchase.failureMessage ?? '' },
    created_at: purchase.createdAt,
    paid_at: purchase.paidAt,
  }
}

export function tierOf({ id, name, feeBasisPoints }: Tier) {
  return { id, object: 'tier' as const, name, fee_percent: feeBasisPoints / 100 }
}

/** A list that is never long. */
export function wholeList<T extends { readonly id: string }>(rows: readonly T[]) {
  return pageOf(rows, rows.length)
}

async function accountOf(tx: Transaction, organizationId: string): Promise<BillingAccount> {
  const account = await findBillingAccount(tx, organizationId)
  if (!account) throw notFound('organization')
  return account
}

async function billingOf(control: Control, tx: Transaction, organizationId: string) {
  const account = await accountOf(tx, organizationId)
  const { topUp } = account
  return {
    object: 'billing' as const,
    balance: account.balanceNanos,
    held: account.heldNanos,
    tier: tierOf(account.tier),
    can_purchase: control.stripe !== null,
    company: account.company,
    address: account.address,
    tax_id: account.taxId,
    email: account.email,
    low_balance_threshold: account.lowBalanceNanos,
    top_up: {
      enabled: topUp.enabled,
      threshold: topUp.belowNanos,
      amount: topUp.cents,
      monthly_cap: topUp.monthCents,
      pending: topUp.isPending,
      paused_because: topUp.failure,
    },
  }
}

/** What the audit log keeps of it: the settings, with amounts as text. */
function settingsOf({
  company,
  address,
  tax_id,
  email,
  low_balance_threshold,
  top_up,
}: Awaited<ReturnType<typeof billingOf>>) {
  const texts = (values: object) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
    )
  const { enabled, threshold, amount, monthly_cap } = top_up
  return {
    ...texts({ company, address, tax_id, email, low_balance_threshold_nanos: low_balance_threshold }),
    top_up: texts({ enabled, threshold_nanos: threshold, amount_cents: amount, monthly_cap_cents: monthly_cap }),
  }
}

async function cardOf(tx: Transaction, organizationId: string, wanted: string | undefined): Promise<SavedCard> {
  const cards = await listCards(tx, organizationId)
  const card = cards.find(({ id, isDefault }) => (wanted === undefined ? isDefault : id === wanted))
  if (card) return card
  throw wanted === undefined ? conflict('no_card', 'Save a card first, or pay at Checkout.') : notFound('card')
}

async function cardsOf(tx: Transaction, organizationId: string) {
  const cards = await listCards(tx, organizationId)
  return wholeList(
    cards.map(({ id, brand, last4, expMonth, expYear, isDefault }) => ({
      id,
      object: 'card' as const,
      brand,
      last4,
      exp_month: expMonth,
      exp_year: expYear,
      is_default: isDefault,
    })),
  )
}

async function storedInvoice(tx: Transaction, id: string): Promise<StoredInvoice> {
  const invoice = await findInvoice(tx, id)
  if (!invoice) throw notFound('invoice')
  return invoice
}

function invoiceOf({ id, number, kind, purchaseId, totalCents, lines, issuedAt }: StoredInvoice) {
  return {
    id,
    object: 'invoice' as const,
    number,
    kind,
    purchase_id: purchaseId,
    total: totalCents,
    lines: lines.map(({ description, cents }) => ({ description, amount: cents })),
    issued_at: issuedAt,
  }
}
