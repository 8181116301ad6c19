import type { operatorBillingRoutes } from '@nemo/api/operator-billing'
import { invalidRequest } from '@nemo/domain/errors'
import { findSeller, type Seller, setSeller } from '@nemo/postgres/billing-invoices'
import { findPurchase } from '@nemo/postgres/billing-purchases'
import { listTiers, saveTier, setTier } from '@nemo/postgres/billing-tiers'
import { post } from '@nemo/postgres/organizations'
import { inTransaction } from '@nemo/postgres/tenancy'
import Stripe from 'stripe'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { refund } from './refund.ts'
import { deskOf, orUnavailable, purchaseOf, tierOf, wholeList } from './routes.ts'

export const operatorBillingHandlers: Handlers<typeof operatorBillingRoutes> = {
  operatorListTiers: async ({ control }) => wholeList((await listTiers(control.operator)).map(tierOf)),

  operatorSaveTier: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const before = (await listTiers(tx)).find(({ id }) => id === params.id)
      const tier = { id: params.id, name: body.name, feeBasisPoints: Math.round(body.fee_percent * 100) }
      await saveTier(tx, tier)
      await audit(tx, {
        organizationId: null,
        action: 'tier.saved',
        subject: { type: 'tier', id: tier.id },
        ...(before && { before: tierOf(before) }),
        after: tierOf(tier),
      })
      return tierOf(tier)
    }),

  operatorSetTier: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      if (!(await listTiers(tx)).some(({ id }) => id === body.tier))
        throw invalidRequest('tier', 'There is no such tier.')
      const before = await setTier(tx, params.id, body.tier)
      if (before === null) throw notFound('organization')
      await audit(tx, {
        organizationId: params.id,
        action: 'organization.tier_changed',
        subject: { type: 'organization', id: params.id },
        before: { tier: before },
        after: { tier: body.tier },
      })
      return { object: 'organization_tier', organization_id: params.id, tier: body.tier }
    }),

  operatorGrant: ({ control, params, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const entry = await post(tx, {
        organizationId: params.id,
        kind: 'grant',
        amountNanos: body.amount,
        ...(body.reference !== undefined && { reference: body.reference }),
        ...(body.note !== undefined && { note: body.note }),
      }).catch((error: { code?: string }) => {
        // Raised by post_entry: there is no balance, so there is no organization.
        throw error.code === 'P0002' ? notFound('organization') : error
      })
      if (entry.applied)
        await audit(tx, {
          organizationId: params.id,
          action: 'credits.granted',
          subject: { type: 'ledger_entry', id: entry.id },
          after: { amount_nanos: String(body.amount), note: body.note ?? null },
        })
      return { object: 'grant', entry_id: entry.id, applied: entry.applied, balance_after: entry.balanceAfterNanos }
    }),

  operatorRefund: async ({ control, params, body, audit }) => {
    const desk = deskOf(control)
    const purchase = await findPurchase(control.operator, params.id)
    if (!purchase) throw notFound('purchase')
    if (purchase.state !== 'paid' || purchase.paymentIntentId === null)
      throw conflict('not_refundable', 'Nothing was paid for this purchase.')
    await inTransaction(control.operator, (tx) =>
      audit(tx, {
        organizationId: purchase.organizationId,
        action: 'purchase.refund_requested',
        subject: { type: 'purchase', id: purchase.id },
        after: { amount_cents: body.amount === undefined ? null : Number(body.amount), request_key: body.request_key },
      }),
    )
    await orUnavailable(control, () =>
      refund(desk, purchase, body.amount ?? null, body.request_key).catch((error) => {
        if (error instanceof Stripe.errors.StripeIdempotencyError)
          throw conflict('request_key_in_use', 'This request_key was used for another refund.', 'request_key')
        if (error instanceof Stripe.errors.StripeInvalidRequestError) throw conflict('not_refundable', error.message)
        throw error
      }),
    )
    return purchaseOf((await findPurchase(control.operator, purchase.id))!)
  },

  operatorGetSeller: async ({ control }) => sellerOf(await findSeller(control.operator)),

  operatorUpdateSeller: ({ control, body, audit }) =>
    inTransaction(control.operator, async (tx) => {
      const { tax_id, number_prefix, ...rest } = body
      const before = sellerOf(await findSeller(tx))
      await setSeller(tx, {
        ...(rest as Partial<Seller>),
        ...(tax_id !== undefined && { taxId: tax_id }),
        ...(number_prefix !== undefined && { numberPrefix: number_prefix }),
      })
      const after = sellerOf(await findSeller(tx))
      await audit(tx, {
        organizationId: null,
        action: 'seller.updated',
        subject: { type: 'seller', id: null },
        before,
        after,
      })
      return after
    }),
}

function sellerOf({ name, address, taxId, email, footer, numberPrefix }: Seller) {
  return { object: 'seller' as const, name, address, tax_id: taxId, email, footer, number_prefix: numberPrefix }
}
