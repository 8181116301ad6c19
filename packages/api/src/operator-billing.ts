import { z } from 'zod'
import { centsInput, purchase, tier } from './billing.ts'
import { route } from './route.ts'
import { id, idParams, listOf, usd, usdInput } from './schema.ts'

const tierId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cs}\0]*$/u, 'must not have such characters')

const seller = z.object({
  object: z.literal('seller'),
  name: z.string(),
  address: z.string(),
  tax_id: z.string(),
  email: z.string(),
  footer: z.string(),
  number_prefix: z.string(),
})

export const operatorBillingRoutes = {
  operatorListTiers: route({
    method: 'GET',
    path: '/api/operator/tiers',
    access: 'operator',
    summary: 'Tiers and their fees',
    response: listOf(tier),
  }),
  operatorSaveTier: route({
    method: 'PUT',
    path: '/api/operator/tiers/:id',
    access: 'operator',
    summary: 'Make a tier or change its fee',
    description: 'What was bought keeps the fee that it was bought with.',
    params: z.object({ id: tierId }),
    body: z.strictObject({
      name: text(100).min(1),
      fee_percent: z
        .number()
        .min(0)
        .max(100)
        .refine((percent) => Math.abs(percent * 100 - Math.round(percent * 100)) < 1e-9, 'has at most two decimals'),
    }),
    example: { name: 'Tier 2', fee_percent: 2 },
    response: tier,
  }),
  operatorSetTier: route({
    method: 'PUT',
    path: '/api/operator/organizations/:id/tier',
    access: 'operator',
    summary: 'Move an organization to a tier',
    params: idParams,
    body: z.strictObject({ tier: tierId }),
    example: { tier: 'tier-2' },
    response: z.object({ object: z.literal('organization_tier'), organization_id: id, tier: z.string() }),
  }),
  operatorGrant: route({
    method: 'POST',
    path: '/api/operator/organizations/:id/grants',
    access: 'operator',
    summary: 'Grant credits',
    description: 'With a `reference` the same grant is made once, however often it is sent.',
    params: idParams,
    body: z.strictObject({
      amount: usdInput.refine(
        (nanos) => nanos > 0n && nanos <= 1_000_000_000_000_000n,
        'must be above 0 and at most 1000000',
      ),
      note: text(500).optional(),
      reference: text(200).min(1).optional(),
    }),
    example: { amount: '25.00', note: 'Welcome' },
    response: z.object({ object: z.literal('grant'), entry_id: id, applied: z.boolean(), balance_after: usd }),
    status: 201,
  }),
  operatorRefund: route({
    method: 'POST',
    path: '/api/operator/purchases/:id/refunds',
    access: 'operator',
    summary: 'Refund a purchase, in whole or in part',
    description:
      'Of the credits, what is unspent is taken back; the rest is the platform’s loss. The same `request_key` asks for the same refund.',
    params: idParams,
    body: z.strictObject({
      amount: centsInput.refine((amount) => amount > 0n, 'must be above 0').optional(),
      request_key: z.string().regex(/^[\w.-]{1,100}$/),
    }),
    example: { request_key: 'ticket-17' },
    response: purchase,
    status: 201,
    errors: ['409 payments_not_configured', '409 not_refundable', '409 request_key_in_use'],
  }),
  operatorGetSeller: route({
    method: 'GET',
    path: '/api/operator/seller',
    access: 'operator',
    summary: 'Who sells, as invoices say',
    response: seller,
  }),
  operatorUpdateSeller: route({
    method: 'PATCH',
    path: '/api/operator/seller',
    access: 'operator',
    summary: 'Change who sells, for invoices from now on',
    body: z.strictObject({
      name: text(200).optional(),
      address: text(1_000).optional(),
      tax_id: text(100).optional(),
      email: text(320).optional(),
      footer: text(1_000).optional(),
      number_prefix: z
        .string()
        .regex(/^[A-Za-z0-9/_-]{0,20}$/)
        .optional(),
    }),
    example: { name: 'Nemo Ltd.' },
    response: seller,
  }),
}
