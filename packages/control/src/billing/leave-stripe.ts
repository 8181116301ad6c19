import { customersOfTheDeleted, forgetStripeCustomer } from '@nemo/postgres/billing-accounts'
import { isGone } from './buy.ts'
import type { Desk } from './desk.ts'

const BATCH = 20

/**
 * Has Stripe delete the customers of organizations that were deleted, cards and all. What was paid stays known there, as invoices do here: law asks for it
 * (https://docs.stripe.com/api/customers/delete).
 */
export async function leaveStripe(desk: Desk): Promise<void> {
  for (const { organizationId, customerId } of await customersOfTheDeleted(desk.operator, BATCH)) {
    try {
      await desk.stripe.customers.del(customerId)
    } catch (err) {
      if (!isGone(err)) {
        desk.log.warn({ err, organization: organizationId }, 'Stripe could not be asked to delete a customer')
        continue
      }
    }
    await forgetStripeCustomer(desk.operator, organizationId)
  }
}
