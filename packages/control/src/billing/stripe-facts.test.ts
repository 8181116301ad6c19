import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import { parseForm } from '@nemo/sandbox/stripe/form'
import Stripe from 'stripe'
import { expect, test } from 'vitest'
import { factOf, STRIPE_EVENTS } from './stripe-facts.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../../docs/billing.md'), 'utf8')

test('guide, client and emulator are of one version of Stripe’s API', async () => {
  expect(guide).toContain(`of API version \`${Stripe.API_VERSION}\``)
  const emulator = await startStripeEmulator({ secretKey: 'sk_test_1', webhookSecret: 'whsec_test' })
  emulator.till.complete(emulator.till.createSession(parseForm('mode=setup&success_url=x'), '').id)
  expect(emulator.till.events.map(({ api_version }) => api_version)).toContain(Stripe.API_VERSION)
  await emulator.close()
})

test('the guide names exactly the events that are understood', () => {
  expect(/```\n(payment_intent[^`]+)```/.exec(guide)![1]!.trim().split('\n')).toEqual([...STRIPE_EVENTS])
})

const dispute = (status: string) =>
  factOf({
    type: 'charge.dispute.updated',
    created: 1,
    data: { object: { id: 'dp_1', payment_intent: 'pi_1', amount: 500, status, created: 1 } },
  } as unknown as Stripe.Event)

test.each([
  ['warning_needs_response', false],
  ['warning_under_review', false],
  ['warning_closed', false],
  ['needs_response', true],
  ['under_review', true],
  ['appeal_needs_response', true],
  ['appeal_under_review', true],
  ['lost', true],
  ['won', false],
  ['prevented', false],
  ['a_status_of_tomorrow', false],
])('a dispute that is %s takes money: %s', (status, isEffective) => {
  expect(dispute(status)).toMatchObject({ kind: 'dispute', isEffective })
})

test('events of no interest, and those of what has no payment, say nothing', () => {
  const event = (type: string, object: object) => ({ type, created: 1, data: { object } }) as unknown as Stripe.Event
  expect(factOf(event('customer.created', {}))).toBe(null)
  expect(factOf(event('refund.created', { id: 're_1', payment_intent: null }))).toBe(null)
  const setup = { id: 'cs_1', mode: 'setup', payment_status: 'no_payment_required', payment_intent: null }
  expect(factOf(event('checkout.session.completed', setup))).toBe(null)
})
