import { setTimeout as sleep } from 'node:timers/promises'
import {
  applyPaymentFact,
  type FactOutcome,
  type PaymentFact,
  type StripeEventSeen,
} from '@nemo/postgres/billing-payments'
import type pg from 'pg'
import type Stripe from 'stripe'
import type { ControlLog } from '../control.ts'

/** What selling credits takes. */
export interface Desk {
  readonly operator: pg.Pool
  readonly stripe: Stripe
  /** Where people reach the control plane: Checkout leads back there. */
  readonly publicUrl: string
  readonly log: ControlLog
}

/** Takes in what is known of a payment. What was paid and isn't what was asked is for people to look at: nothing is credited for it. */
export async function takeIn(
  desk: Desk,
  fact: PaymentFact,
  event: StripeEventSeen | null = null,
): Promise<FactOutcome> {
  const outcome = await applyPaymentFact(desk.operator, fact, event, sleep)
  if (outcome === 'mismatch')
    desk.log.error({ fact: withoutBigints(fact), event }, 'a payment is not what was asked for: nothing was credited')
  return outcome
}

function withoutBigints(fact: object): object {
  return Object.fromEntries(
    Object.entries(fact).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  )
}
