import { carryOut } from '@nemo/control/billing/buy'
import type { Desk } from '@nemo/control/billing/desk'
import { openStripe } from '@nemo/control/billing/stripe'
import { hearStripe } from '@nemo/control/billing/webhook'
import { createPurchase, type Purchase } from '@nemo/postgres/billing-purchases'
import type { Organization } from '@nemo/postgres/organizations'
import { withOrganization } from '@nemo/postgres/tenancy'
import { randomFrom } from '@nemo/sandbox/random'
import { type StripeEmulator, startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import type { PaymentIntent, StripeEvent } from '@nemo/sandbox/stripe/objects'
import type { TestDatabase } from './fresh-database.ts'

export const STRIPE = { secretKey: 'sk_test_1', webhookSecret: 'whsec_test' }

/** Where credits are sold: Stripe's emulator, and what talks to it, on a database. */
export interface Shop {
  readonly emulator: StripeEmulator
  readonly desk: Desk
  /** What was logged as an error. */
  readonly problems: string[]
  /** All that was logged, with what came with it. */
  readonly logged: object[]
  /** A purchase at Checkout, its session open. */
  begin(organization: Organization, creditsCents: bigint, savesCard?: boolean): Promise<Purchase>
  /** The events that this made happen. */
  eventsOf(act: () => void): StripeEvent[]
  hear(event: StripeEvent): ReturnType<typeof hearStripe>
  /** Delivers each so many times at once, in an order of chance, which the seed decides. */
  hearAll(events: readonly StripeEvent[], times?: number, seed?: number): Promise<void>
  intentOf(purchase: Purchase): PaymentIntent
  close(): Promise<void>
}

export async function openShop(database: TestDatabase): Promise<Shop> {
  const emulator = await startStripeEmulator(STRIPE)
  const problems: string[] = []
  const logged: object[] = []
  const note = (context: object) => void logged.push(context)
  const log: Desk['log'] = {
    info: note,
    warn: note,
    error(context, message) {
      note(context)
      problems.push(message)
    },
  }
  const stripe = openStripe({ ...STRIPE, apiBase: emulator.url })
  const desk = { operator: database.operator, stripe, publicUrl: 'https://nemo.example', log }
  const hear: Shop['hear'] = (event) => {
    const { body, headers } = emulator.sign(event)
    return hearStripe(desk, STRIPE, Buffer.from(body), headers['stripe-signature'])
  }
  return {
    emulator,
    desk,
    problems,
    logged,
    async begin(organization, creditsCents, savesCard = false) {
      const { purchase } = await withOrganization(database.app, organization.id, (tx) =>
        createPurchase(tx, { organizationId: organization.id, source: 'checkout', creditsCents, savesCard }),
      )
      return carryOut(desk, purchase)
    },
    eventsOf(act) {
      const before = emulator.till.events.length
      act()
      return emulator.till.events.slice(before)
    },
    hear,
    async hearAll(events, times = 1, seed = 1) {
      const deliveries = events.flatMap((event) => Array.from({ length: times }, () => event))
      await Promise.all(shuffled(deliveries, seed).map(hear))
    },
    intentOf: ({ id }) => [...emulator.till.intents.values()].findLast(({ metadata }) => metadata.purchase_id === id)!,
    close: () => emulator.close(),
  }
}

/** In an order of chance, the same for the same seed. */
export function shuffled<T>(all: readonly T[], seed: number): T[] {
  const random = randomFrom(seed)
  const order = [...all]
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
