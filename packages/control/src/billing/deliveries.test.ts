import { nanosOf } from '@nemo/domain/billing'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { listInvoices } from '@nemo/postgres/billing-invoices'
import { findPurchase, type Purchase } from '@nemo/postgres/billing-purchases'
import { creditsOf, latestEntries } from '@nemo/postgres/ledger-entries'
import { type Organization, postEntry } from '@nemo/postgres/organizations'
import type { StripeEvent } from '@nemo/sandbox/stripe/objects'
import { openShop, type Shop, STRIPE } from '@nemo/testing/shop'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STRIPE_EVENTS } from './stripe-facts.ts'
import { hearStripe } from './webhook.ts'

let world: World
let shop: Shop
let organizations = 0

beforeAll(async () => {
  world = await makeWorld()
  shop = await openShop(world.database)
})

afterAll(async () => {
  await shop?.close()
  await world?.close()
})

/** $12.63 at 4 %: 50.52 cents of fee are 51. */
const CREDITS = 1_263n
const FEE = 51n
const TOTAL = CREDITS + FEE

interface Story {
  /** What happens at Stripe. */
  readonly happen: (till: Shop['emulator']['till'], purchase: Purchase, pay: () => string) => void
  readonly state: Purchase['state']
  readonly credits: bigint
  readonly fee: bigint
  readonly documents: readonly bigint[]
}

const bought = { state: 'paid', credits: CREDITS, fee: FEE, documents: [TOTAL] } as const
const gone = { state: 'paid', credits: 0n, fee: 0n } as const

const stories: Record<string, Story> = {
  'is paid, and its card saved, renewed and forgotten': {
    ...bought,
    happen(till, _, pay) {
      const method = till.intent(pay()).payment_method!
      till.renew(method)
      till.detach(method)
    },
  },
  'is paid with the second card, the first being declined': {
    ...bought,
    happen(till, { checkoutSessionId }, pay) {
      till.complete(checkoutSessionId!, 'pm_card_chargeCustomerFail')
      pay()
    },
  },
  'runs out': {
    state: 'expired',
    credits: 0n,
    fee: 0n,
    documents: [],
    happen: (till, { checkoutSessionId }) => void till.expire(checkoutSessionId!),
  },
  'is paid and refunded in three parts': {
    ...gone,
    documents: [TOTAL, -438n, -438n, -438n],
    happen(till, _, pay) {
      const payment_intent = pay()
      for (let i = 0; i < 3; i++) till.createRefund({ payment_intent, amount: '438' })
    },
  },
  'is paid, and its refund fails': {
    ...bought,
    documents: [],
    happen: (till, _, pay) => void till.failRefund(till.createRefund({ payment_intent: pay() }).id),
  },
  'is paid, and a dispute of it lost': {
    ...gone,
    documents: [TOTAL],
    happen: (till, _, pay) => void till.closeDispute(till.dispute(pay()).id, 'lost'),
  },
  'is paid, and a dispute of it won': {
    ...bought,
    happen: (till, _, pay) => void till.closeDispute(till.dispute(pay()).id, 'won'),
  },
}

/** Every event of a story; and what a payment that takes its time says besides, which cards don't. */
function eventsOf(story: Story, purchase: Purchase): StripeEvent[] {
  const events = shop.eventsOf(() =>
    story.happen(
      shop.emulator.till,
      purchase,
      () => shop.emulator.till.complete(purchase.checkoutSessionId!).payment_intent!,
    ),
  )
  const kept = { card: { exp_month: 12 } }
  return events.flatMap((event) => {
    if (event.type === 'checkout.session.completed')
      return [event, { ...event, id: `${event.id}_late`, type: 'checkout.session.async_payment_succeeded' }]
    if (event.type === 'payment_method.automatically_updated')
      return [
        event,
        { ...event, id: `${event.id}_by_hand`, type: 'payment_method.updated', data: { ...event.data, ...kept } },
      ]
    return [event]
  })
}

const seeds = [1, 2, 3]
const heard = new Set<string>()

describe.each(Object.entries(stories))('a purchase that %s', (_, story) => {
  test.each(seeds)(
    'counts once when each of its events comes 50 times at once, half of them under other ids, in order %d',
    async (seed) => {
      const acme = await newOrganization()
      const purchase = await shop.begin(acme, CREDITS, true)
      const events = eventsOf(story, purchase)
      for (const { type } of events) heard.add(type)
      const again = events.flatMap((event) =>
        Array.from({ length: 25 }, (_, i) => ({ ...event, id: `${event.id}_${i}` })),
      )
      const same = events.flatMap((event) => Array.from({ length: 25 }, () => event))
      await shop.hearAll([...again, ...same], 1, seed)

      expect((await findPurchase(world.database.operator, purchase.id))!.state).toBe(story.state)
      expect(await balanceOf(acme)).toBe(nanosOf(story.credits))
      const entries = await entriesOf(acme)
      const isPaid = story.state === 'paid'
      expect(entries.filter(({ kind }) => kind === 'purchase').map(({ amountNanos }) => amountNanos)).toEqual(
        isPaid ? [nanosOf(CREDITS)] : [],
      )
      expect(sumOf(entries, 'platform_fee')).toBe(nanosOf(story.fee))
      expect(sumOf(entries, 'platform_loss')).toBe(0n)
      const documents = (await listInvoices(world.database.operator, acme.id, { limit: 100 })).map(
        ({ totalCents }) => totalCents,
      )
      // A refund that is known to have failed before it was ever taken has no documents, else two that cancel out.
      if (story.documents.length > 0) expect(documents.sort()).toEqual([...story.documents].sort())
      else expect(documents.reduce((sum, cents) => sum + cents, 0n)).toBe(isPaid ? TOTAL : 0n)
      expect(await proveLedger(world.database.operator, acme.id)).toMatchObject(SOUND)
    },
  )
})

test('each kind of event that is understood has been delivered so', () => {
  expect([...STRIPE_EVENTS].filter((type) => !heard.has(type))).toEqual([])
})

describe('a payment credits nothing, and is told of, when', () => {
  test.each<[string, string, (rival: Organization, customer: string) => object]>([
    ['less was paid', 'payment_intent.succeeded', () => ({ amount_received: Number(TOTAL) - 1 })],
    ['more was paid', 'payment_intent.succeeded', () => ({ amount_received: Number(TOTAL) + 1 })],
    [
      'only the credits were paid, and not the fee',
      'checkout.session.completed',
      () => ({ amount_total: Number(CREDITS) }),
    ],
    ['it was paid in another currency', 'payment_intent.succeeded', () => ({ currency: 'jpy' })],
    ['its session was in another currency', 'checkout.session.completed', () => ({ currency: 'eur' })],
    ['it says that it is another organization’s', 'payment_intent.succeeded', (rival) => ({ organization: rival.id })],
    ['its session says so', 'checkout.session.completed', (rival) => ({ organization: rival.id })],
    ['another organization paid it', 'payment_intent.succeeded', (_, customer) => ({ customer })],
  ])('%s', async (_, type, change) => {
    const [acme, rival] = [await newOrganization(), await newOrganization()]
    const purchase = await shop.begin(acme, CREDITS)
    const { customer } = shop.emulator.till.session((await shop.begin(rival, CREDITS)).checkoutSessionId!)
    const events = shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))
    const { organization, ...changes } = change(rival, customer!) as { organization?: string }
    const forged = structuredClone(events.find((event) => event.type === type)!)
    Object.assign(forged, { id: `${forged.id}_forged` })
    const object = forged.data.object as { metadata: Record<string, string> }
    Object.assign(object, changes)
    if (organization) object.metadata.organization_id = organization

    shop.problems.length = 0
    expect(await shop.hear(forged)).toBe('mismatch')
    expect(shop.problems).toHaveLength(1)
    for (const organization of [acme, rival]) expect(await entriesOf(organization)).toEqual([])
    // What is true of it credits it all the same.
    await shop.hearAll(events, 5)
    expect(await balanceOf(acme)).toBe(nanosOf(CREDITS))
    expect(await balanceOf(rival)).toBe(0n)
  })

  test('its purchase was paid by another one already', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, CREDITS)
    const events = shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))
    await shop.hearAll(events)
    const twice = structuredClone(events.find(({ type }) => type === 'payment_intent.succeeded')!)
    Object.assign(twice, { id: 'evt_twice' })
    Object.assign(twice.data.object, { id: 'pi_twice' })
    expect(await shop.hear(twice)).toBe('mismatch')
    expect(await balanceOf(acme)).toBe(nanosOf(CREDITS))
  })
})

describe('events that aren’t of our account’s money are let be', () => {
  test.each([
    ['of an account that is connected to ours', { account: 'acct_other' }, STRIPE],
    ['of a test, where the key is live', {}, { ...STRIPE, secretKey: 'sk_live_1' }],
    ['of a test, where a restricted key is live', {}, { ...STRIPE, secretKey: 'rk_live_1' }],
    ['that is live, where the key is for tests', { livemode: true }, STRIPE],
  ])('one %s', async (_, more, settings) => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, CREDITS)
    for (const event of shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))) {
      const { body, headers } = shop.emulator.sign({ ...event, ...more } as StripeEvent)
      expect(await hearStripe(shop.desk, settings, Buffer.from(body), headers['stripe-signature'])).toBe('ignored')
    }
    expect(await balanceOf(acme)).toBe(0n)
    expect((await findPurchase(world.database.operator, purchase.id))!.state).toBe('pending')
  })
})

test('an event that was overheard changes nothing when it is played again: neither in time, nor later', async () => {
  const acme = await newOrganization()
  const purchase = await shop.begin(acme, CREDITS)
  const [event] = shop
    .eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))
    .filter(({ type }) => type === 'payment_intent.succeeded')
  const at = (secondsAgo: number) => {
    const { body, headers } = shop.emulator.sign(event!, Date.now() - secondsAgo * 1_000)
    return hearStripe(shop.desk, STRIPE, Buffer.from(body), headers['stripe-signature'])
  }
  // Stripe's own tolerance, either way: five minutes.
  expect(await at(240)).toBe('applied')
  expect(await at(200)).toBe('repeated')
  await expect(at(400)).rejects.toMatchObject({ status: 400, param: 'stripe-signature' })
  expect(await balanceOf(acme)).toBe(nanosOf(CREDITS))
})

test('an event that is signed with several secrets, one of them ours, is taken in: so secrets are changed', async () => {
  const acme = await newOrganization()
  const purchase = await shop.begin(acme, CREDITS)
  for (const event of shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))) {
    const { body, headers } = shop.emulator.sign(event)
    const signature = headers['stripe-signature']!.replace(',v1=', `,v1=${'0'.repeat(64)},v1=`)
    await hearStripe(shop.desk, STRIPE, Buffer.from(body), signature)
  }
  expect(await balanceOf(acme)).toBe(nanosOf(CREDITS))
})

test('what was granted and bought is kept apart: a refund’s reference is no grant’s', async () => {
  const acme = await newOrganization()
  const purchase = await shop.begin(acme, CREDITS)
  await postEntry(world.database.operator, {
    organizationId: acme.id,
    kind: 'grant',
    amountNanos: nanosOf(500n),
    reference: purchase.id,
  })
  await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
  expect(await balanceOf(acme)).toBe(nanosOf(500n + CREDITS))
})

function newOrganization(): Promise<Organization> {
  return world.organization(`heard-${++organizations}`, '0')
}

async function balanceOf({ id }: Organization): Promise<bigint> {
  return (await creditsOf(world.database.operator, id)).balanceNanos
}

function entriesOf({ id }: Organization) {
  return latestEntries(world.database.operator, id, 100)
}

function sumOf(entries: Awaited<ReturnType<typeof entriesOf>>, of: string): bigint {
  return entries.filter(({ account }) => account === of).reduce((sum, { amountNanos }) => sum + amountNanos, 0n)
}
