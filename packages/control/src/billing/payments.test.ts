import { setTimeout as sleep } from 'node:timers/promises'
import { feeOf, nanosOf } from '@nemo/domain/billing'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { findBillingAccount } from '@nemo/postgres/billing-accounts'
import { listInvoices } from '@nemo/postgres/billing-invoices'
import { createPurchase, findPurchase, type Purchase } from '@nemo/postgres/billing-purchases'
import { setTier } from '@nemo/postgres/billing-tiers'
import { creditsOf, latestEntries } from '@nemo/postgres/ledger-entries'
import { type Organization, postEntry } from '@nemo/postgres/organizations'
import { withOrganization } from '@nemo/postgres/tenancy'
import { type StripeEmulator, startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import type { PaymentIntent, StripeEvent } from '@nemo/sandbox/stripe/objects'
import { makeWorld, type World } from '@nemo/testing/world'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { carryOut } from './buy.ts'
import type { Desk } from './desk.ts'
import { settleStale } from './settle-stale.ts'
import { openStripe } from './stripe.ts'
import { hearStripe } from './webhook.ts'

const SECRET = 'whsec_test'
let world: World
let emulator: StripeEmulator
let desk: Desk
const problems: string[] = []
let organizations = 0

beforeAll(async () => {
  world = await makeWorld()
  emulator = await startStripeEmulator({ secretKey: 'sk_test_1', webhookSecret: SECRET })
  const log = { info() {}, warn() {}, error: (_: object, message: string) => void problems.push(message) }
  const stripe = openStripe({ secretKey: 'sk_test_1', webhookSecret: SECRET, apiBase: emulator.url })
  desk = { operator: world.database.operator, stripe, publicUrl: 'https://nemo.example', log }
})

afterAll(async () => {
  await emulator?.close()
  await world?.close()
})

/** Whatever happened, the ledger adds up. */
async function expectSound(organization: Organization) {
  expect(await proveLedger(world.database.operator, organization.id)).toMatchObject(SOUND)
}

async function newOrganization(tier = 'pay-as-you-go', credits = '0'): Promise<Organization> {
  const organization = await world.organization(`buyer-${++organizations}`, credits)
  await setTier(world.database.operator, organization.id, tier)
  return organization
}

/** A purchase at Checkout, its session open. */
async function begin(organization: Organization, creditsCents: bigint, savesCard = false): Promise<Purchase> {
  const { purchase } = await withOrganization(world.database.app, organization.id, (tx) =>
    createPurchase(tx, { organizationId: organization.id, source: 'checkout', creditsCents, savesCard }),
  )
  return carryOut(desk, purchase)
}

/** The events that this made happen. */
function eventsOf(act: () => void): StripeEvent[] {
  const before = emulator.till.events.length
  act()
  return emulator.till.events.slice(before)
}

async function hear(event: StripeEvent) {
  const { body, headers } = emulator.sign(event)
  return hearStripe(desk, SECRET, Buffer.from(body), headers['stripe-signature'])
}

/** Delivers each so many times at once, in an order of chance. */
async function hearAll(events: readonly StripeEvent[], times = 1) {
  const deliveries = events.flatMap((event) => Array.from({ length: times }, () => event))
  for (let i = deliveries.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[deliveries[i], deliveries[j]] = [deliveries[j]!, deliveries[i]!]
  }
  await Promise.all(deliveries.map(hear))
}

function intentOf(purchase: Purchase): PaymentIntent {
  const intent = [...emulator.till.intents.values()].findLast(({ metadata }) => metadata.purchase_id === purchase.id)
  return intent!
}

async function balanceOf(organization: Organization) {
  return (await creditsOf(world.database.operator, organization.id)).balanceNanos
}

async function entriesOf(organization: Organization) {
  const entries = await latestEntries(world.database.operator, organization.id, 100)
  return entries.map(({ account, kind, amountNanos }) => [account, kind, amountNanos])
}

async function invoicesOf(organization: Organization) {
  return listInvoices(world.database.operator, organization.id, { limit: 100 })
}

/** Spends of the balance as a gateway's process does, or only holds it. */
async function use(organization: Organization, cents: bigint, how: 'spend' | 'hold') {
  const { owner } = world.database
  const { rows } = await owner.query(`select id from limits where organization_id = $1 and window_name = 'lifetime'`, [
    organization.id,
  ])
  const amount = nanosOf(cents)
  const start = `'-infinity'`
  const window = (await owner.query(`select window_start('lifetime', now()) as start`)).rows[0]?.start ?? start
  await owner.query(
    `insert into counters as c (limit_id, window_start, organization_id, used, held) values ($1, $2, $3, $4, $5)
     on conflict (limit_id, window_start) do update set used = c.used + excluded.used, held = c.held + excluded.held`,
    [rows[0].id, window, organization.id, how === 'spend' ? amount : 0n, how === 'hold' ? amount : 0n],
  )
  if (how === 'hold')
    await owner.query(
      `with p as (insert into processes (id) values (gen_random_uuid()) returning id)
       insert into allotments (limit_id, window_start, process_id, organization_id, amount) select $1, $2, p.id, $3, $4 from p`,
      [rows[0].id, window, organization.id, amount],
    )
  // What was spent has its requests: one row of the log, and the entry that names it.
  else
    await owner.query(
      `select write_request_logs(json_build_array(json_build_object('id', gen_random_uuid(), 'organization_id', $1::uuid, 'started_at', now(),
         'key_id', $2::uuid, 'key_alias', 'a', 'team_id', $3::uuid, 'endpoint', 'chat', 'streamed', false, 'status', 200, 'latency_ms', 1, 'cost_nanos', $4::bigint)))`,
      [organization.id, world.researcher.id, organization.defaultTeamId, amount],
    )
}

describe('a purchase of $100', () => {
  test.each([
    ['pay-as-you-go', 400n],
    ['tier-2', 200n],
    ['tier-3', 0n],
  ])(
    'at %s charges its fee on top and gives $100.00 of credits; ledger, invoice and Stripe agree',
    async (tier, fee) => {
      const acme = await newOrganization(tier)
      const purchase = await begin(acme, 10_000n)
      expect(purchase).toMatchObject({ state: 'pending', feeCents: fee, totalCents: 10_000n + fee })
      expect(purchase.checkoutUrl).toContain(emulator.url)
      await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))

      expect(intentOf(purchase)).toMatchObject({ amount_received: Number(10_000n + fee), status: 'succeeded' })
      expect(await balanceOf(acme)).toBe(100_000_000_000n)
      const feeEntry = fee === 0n ? [] : [['platform_fee', 'fee', nanosOf(fee)]]
      expect(await entriesOf(acme)).toEqual(
        expect.arrayContaining([['credits', 'purchase', 100_000_000_000n], ...feeEntry]),
      )
      expect(await entriesOf(acme)).toHaveLength(1 + feeEntry.length)
      const [invoice, ...more] = await invoicesOf(acme)
      expect(more).toEqual([])
      expect(invoice).toMatchObject({ kind: 'invoice', totalCents: 10_000n + fee, purchaseId: purchase.id })
      expect(invoice!.lines.map(({ cents }) => cents)).toEqual(fee === 0n ? [10_000n] : [10_000n, fee])
      await expectSound(acme)
    },
  )

  test('keeps the fee it was begun with when the tier changes before it is paid', async () => {
    const acme = await newOrganization('tier-2')
    const purchase = await begin(acme, 10_000n)
    await setTier(world.database.operator, acme.id, 'pay-as-you-go')
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({
      state: 'paid',
      feeBasisPoints: 200,
      feeCents: 200n,
      totalCents: 10_200n,
    })
  })
})

describe('webhooks', () => {
  test('delivered 50 times each at once, in an order of chance, credit once, with the fee right to the cent', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 1_263n, true)
    const events = eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!))
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['payment_intent.succeeded', 'checkout.session.completed', 'payment_method.attached']),
    )
    await hearAll(events, 50)
    expect(await balanceOf(acme)).toBe(nanosOf(1_263n))
    expect(feeOf(1_263n, 400)).toBe(51n)
    expect((await entriesOf(acme)).sort()).toEqual([
      ['credits', 'purchase', nanosOf(1_263n)],
      ['platform_fee', 'fee', nanosOf(51n)],
    ])
    expect(await invoicesOf(acme)).toHaveLength(1)
    const { rows } = await world.database.owner.query('select action from audit_log where organization_id = $1', [
      acme.id,
    ])
    expect(rows).toEqual([{ action: 'purchase.paid' }])
    await expectSound(acme)
  })

  test('of a payment, its refund in two parts and a lost dispute end alike in any order, 50 times each', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 10_000n)
    const events = eventsOf(() => {
      emulator.till.complete(purchase.checkoutSessionId!)
      const { id } = intentOf(purchase)
      emulator.till.createRefund({ payment_intent: id, amount: '3333' })
      emulator.till.createRefund({ payment_intent: id, amount: '2000' })
      emulator.till.closeDispute(emulator.till.dispute(id, { amount: 5_067 }).id, 'lost')
    })
    await hearAll(events, 50)
    // All of it has gone back, and nothing had been spent.
    expect(await balanceOf(acme)).toBe(0n)
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ reversedCents: 10_400n })
    const entries = await entriesOf(acme)
    expect(sumOf(entries, 'platform_fee')).toBe(0n)
    expect(sumOf(entries, 'platform_loss')).toBe(0n)
    expect(entries.filter(([, kind]) => kind === 'refund')).toHaveLength(3)
    await expectSound(acme)
  })

  test('in any order of any of them leave the balance that the same in their own order leave', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cents: fc.bigInt({ min: 500n, max: 50_000n }),
          tier: fc.constantFrom('pay-as-you-go', 'tier-2', 'tier-3'),
          refunds: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }),
          failing: fc.boolean(),
          dispute: fc.constantFrom(null, 'won', 'lost', 'warning_closed'),
          order: fc.infiniteStream(fc.nat()),
        }),
        async ({ cents, tier, refunds, failing, dispute, order }) => {
          const acme = await newOrganization(tier)
          const purchase = await begin(acme, cents)
          let gone = 0
          const events = eventsOf(() => {
            emulator.till.complete(purchase.checkoutSessionId!)
            const { id, amount } = intentOf(purchase)
            for (const percent of refunds) {
              const part = Math.min(Math.ceil((amount * percent) / 100), amount - gone)
              if (part === 0) continue
              const refund = emulator.till.createRefund({ payment_intent: id, amount: String(part) })
              if (failing && refunds.indexOf(percent) === 0) emulator.till.failRefund(refund.id)
              else gone += part
            }
            if (dispute && gone < amount) {
              const { id: disputeId } = emulator.till.dispute(id, { inquiry: dispute === 'warning_closed' })
              emulator.till.closeDispute(disputeId, dispute)
              if (dispute === 'lost') gone = amount
            }
          })
          const left = [...events]
          while (left.length > 0) await hear(left.splice(order.next().value % left.length, 1)[0]!)

          const after = (await findPurchase(world.database.operator, purchase.id))!
          expect(after.reversedCents).toBe(BigInt(gone))
          const entries = await entriesOf(acme)
          // What Stripe has kept is what stands in the ledger, as credits and as fee.
          expect(sumOf(entries, 'credits') + sumOf(entries, 'platform_fee')).toBe(
            nanosOf(after.totalCents - after.reversedCents),
          )
          expect(sumOf(entries, 'platform_loss')).toBe(0n)
          const documents = (await invoicesOf(acme)).filter(() => dispute !== 'lost')
          if (documents.length > 0)
            expect(documents.reduce((sum, { totalCents }) => sum + totalCents, 0n)).toBe(
              after.totalCents - after.reversedCents,
            )
          await expectSound(acme)
        },
      ),
      { numRuns: 20 },
    )
  })

  test('with a signature that isn’t Stripe’s, of another body, or of long ago are refused', async () => {
    const [event] = emulator.till.events as [StripeEvent]
    const { body, headers } = emulator.sign(event)
    const signature = headers['stripe-signature']!
    const refused = { status: 400, param: 'stripe-signature' }
    await expect(hearStripe(desk, SECRET, Buffer.from(body), undefined)).rejects.toMatchObject(refused)
    await expect(hearStripe(desk, 'whsec_other', Buffer.from(body), signature)).rejects.toMatchObject(refused)
    await expect(hearStripe(desk, SECRET, Buffer.from(`${body} `), signature)).rejects.toMatchObject(refused)
    const old = emulator.sign(event, Date.now() - 10 * 60_000).headers['stripe-signature']
    await expect(hearStripe(desk, SECRET, Buffer.from(body), old)).rejects.toMatchObject(refused)
  })

  test('of a payment that isn’t what was asked credit nothing, and say so', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 10_000n)
    const events = eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!))
    const forged = structuredClone(events.find(({ type }) => type === 'payment_intent.succeeded')!)
    Object.assign(forged, { id: 'evt_less' })
    Object.assign(forged.data.object, { amount_received: 100 })
    problems.length = 0
    expect(await hear(forged)).toBe('mismatch')
    expect(await balanceOf(acme)).toBe(0n)
    expect(problems).toHaveLength(1)
  })

  test('of a payment for something else of the same account are let be', async () => {
    const stranger = { id: 'pi_stranger', metadata: {}, amount_received: 500, currency: 'usd' }
    const [known] = emulator.till.events as [StripeEvent]
    const event = { ...known, id: 'evt_stranger', type: 'payment_intent.succeeded', data: { object: stranger } }
    expect(await hear(event)).toBe('unknown')
  })
})

describe('money that goes back', () => {
  test('is taken from what is unspent; the rest is the platform’s loss, and the balance is never negative', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 10_000n)
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 7_000n, 'spend')
    await hearAll(
      eventsOf(() => emulator.till.createRefund({ payment_intent: intentOf(purchase).id })),
      10,
    )
    expect(await balanceOf(acme)).toBe(0n)
    const entries = await entriesOf(acme)
    expect(entries).toContainEqual(['credits', 'refund', -nanosOf(3_000n)])
    expect(entries).toContainEqual(['platform_loss', 'platform_loss', nanosOf(7_000n)])
    expect(sumOf(entries, 'platform_fee')).toBe(0n)
    const [note] = await invoicesOf(acme)
    expect(note).toMatchObject({ kind: 'credit-note', totalCents: -10_400n })
    await expectSound(acme)
  })

  test('leaves alone what calls under way hold', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 1_000n)
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 400n, 'hold')
    await hearAll(eventsOf(() => emulator.till.dispute(intentOf(purchase).id)))
    expect(await balanceOf(acme)).toBe(nanosOf(400n))
    expect(await entriesOf(acme)).toContainEqual(['platform_loss', 'platform_loss', nanosOf(400n)])
    await expectSound(acme)
  })

  test('comes back when the dispute is won, and with it what the platform had lost', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 1_000n)
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 250n, 'spend')
    let id = ''
    await hearAll(eventsOf(() => ({ id } = emulator.till.dispute(intentOf(purchase).id))))
    expect(await balanceOf(acme)).toBe(0n)
    await hearAll(eventsOf(() => emulator.till.closeDispute(id, 'won')))
    expect(await balanceOf(acme)).toBe(nanosOf(750n))
    const entries = await entriesOf(acme)
    expect([sumOf(entries, 'platform_loss'), sumOf(entries, 'platform_fee')]).toEqual([0n, nanosOf(40n)])
    await expectSound(acme)
  })

  test('is taken in full where a refund was cut off by another that turns out later not to have gone through', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 10_000n)
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    const { id } = intentOf(purchase)
    let failed = ''
    const first = eventsOf(() => ({ id: failed } = emulator.till.createRefund({ payment_intent: id, amount: '6000' })))
    const failure = eventsOf(() => emulator.till.failRefund(failed))
    const second = eventsOf(() => emulator.till.createRefund({ payment_intent: id, amount: '7000' }))
    for (const event of [...first, ...second, ...failure]) await hear(event)
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ reversedCents: 7_000n })
    const entries = await entriesOf(acme)
    expect(sumOf(entries, 'credits') + sumOf(entries, 'platform_fee')).toBe(nanosOf(3_400n))
    expect((await invoicesOf(acme)).reduce((sum, { totalCents }) => sum + totalCents, 0n)).toBe(3_400n)
    await expectSound(acme)
  })

  test('stays with us while it is only an inquiry', async () => {
    const acme = await newOrganization()
    const purchase = await begin(acme, 1_000n)
    await hearAll(eventsOf(() => emulator.till.complete(purchase.checkoutSessionId!)))
    await hearAll(eventsOf(() => emulator.till.dispute(intentOf(purchase).id, { inquiry: true })))
    expect(await balanceOf(acme)).toBe(nanosOf(1_000n))
  })
})

describe('invoices', () => {
  test('have numbers without a gap, however many are issued at once and whatever fails', async () => {
    const buyers = await Promise.all(Array.from({ length: 6 }, () => newOrganization()))
    const purchases = await Promise.all(buyers.map((buyer) => begin(buyer, 500n)))
    const events = eventsOf(() => {
      for (const { checkoutSessionId } of purchases) emulator.till.complete(checkoutSessionId!)
    })
    await hearAll(events, 3)
    const { rows } = await world.database.owner.query('select sequence, number from invoices order by sequence')
    expect(rows.length).toBeGreaterThan(6)
    expect(rows.map(({ sequence }) => Number(sequence))).toEqual(rows.map((_, i) => i + 1))
    expect(rows[0].number).toBe('NEMO-000001')
  })

  test('are never changed, by any role', async () => {
    for (const verb of ['update invoices set total_cents = 0', 'delete from invoices'])
      await expect(world.database.operator.query(verb)).rejects.toThrow('permission denied')
  })
})

describe('saved cards', () => {
  async function withCard(card?: string): Promise<Organization> {
    const acme = await newOrganization()
    const first = await begin(acme, 500n, true)
    await hearAll(eventsOf(() => emulator.till.complete(first.checkoutSessionId!, card)))
    return acme
  }

  async function charge(organization: Organization, creditsCents: bigint, requestKey?: string) {
    const { defaultCardId } = (await findBillingAccount(world.database.operator, organization.id))!
    const { purchase } = await withOrganization(world.database.app, organization.id, (tx) =>
      createPurchase(tx, {
        organizationId: organization.id,
        source: 'card',
        creditsCents,
        cardId: defaultCardId!,
        ...(requestKey !== undefined && { requestKey }),
      }),
    )
    return carryOut(desk, purchase)
  }

  test('are charged off the session, credited at once, and the events that follow change nothing', async () => {
    const acme = await withCard()
    const from = emulator.till.events.length
    const purchase = await charge(acme, 10_000n)
    expect(purchase).toMatchObject({ state: 'paid', totalCents: 10_400n })
    await hearAll(emulator.till.events.slice(from), 10)
    expect(await balanceOf(acme)).toBe(nanosOf(10_500n))
    expect(await invoicesOf(acme)).toHaveLength(2)
    await expectSound(acme)
  })

  test('are charged once for the same request, however often it is made at once', async () => {
    const acme = await withCard()
    const purchases = await Promise.all(Array.from({ length: 10 }, () => charge(acme, 1_000n, 'the same')))
    expect(new Set(purchases.map(({ id }) => id)).size).toBe(1)
    expect(await balanceOf(acme)).toBe(nanosOf(1_500n))
    const [{ id }] = purchases as [Purchase]
    expect([...emulator.till.intents.values()].filter(({ metadata }) => metadata.purchase_id === id)).toHaveLength(1)
  })

  test.each([['pm_card_authenticationRequired', 'authentication_required']])(
    'that fail (%s) credit nothing and say why',
    async (card, code) => {
      const acme = await withCard(card)
      const purchase = await charge(acme, 1_000n)
      expect(purchase).toMatchObject({ state: 'failed', failureCode: code })
      expect(intentOf(purchase).status).toBe('canceled')
      expect(await balanceOf(acme)).toBe(nanosOf(500n))
    },
  )

  test('whose charge was never answered are asked about, and credited once', async () => {
    const acme = await withCard()
    // Every try of Stripe's client is carried out, or at least the first, and none is answered.
    emulator.failNext('lost-after', 3)
    const purchase = await charge(acme, 2_000n)
    expect(purchase.state).toBe('pending')
    await settleStale(desk, 0, Date.now())
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ state: 'paid' })
    expect(await balanceOf(acme)).toBe(nanosOf(2_500n))
    await expectSound(acme)
  })

  test('whose charge never arrived are charged when it is asked about', async () => {
    const acme = await withCard()
    emulator.failNext('lost-before', 3)
    const purchase = await charge(acme, 2_000n)
    expect(purchase.state).toBe('pending')
    await settleStale(desk, 0, Date.now())
    expect(await balanceOf(acme)).toBe(nanosOf(2_500n))
  })

  test('that were detached are gone, also where that was said before they were attached', async () => {
    const acme = await newOrganization()
    const first = await begin(acme, 500n, true)
    const events = eventsOf(() => {
      emulator.till.complete(first.checkoutSessionId!)
      emulator.till.detach(intentOf(first).payment_method!)
    })
    for (const event of events.reverse()) await hear(event)
    expect((await findBillingAccount(world.database.operator, acme.id))!.defaultCardId).toBe(null)
  })
})

test('a Checkout whose events were lost is asked about; one that ran out ends', async () => {
  const acme = await newOrganization()
  const [paid, left] = [await begin(acme, 500n), await begin(acme, 500n)]
  emulator.till.complete(paid.checkoutSessionId!)
  emulator.till.expire(left.checkoutSessionId!)
  await settleStale(desk, 0, Date.now())
  expect(await findPurchase(world.database.operator, paid.id)).toMatchObject({ state: 'paid' })
  expect(await findPurchase(world.database.operator, left.id)).toMatchObject({ state: 'expired' })
  expect(await balanceOf(acme)).toBe(nanosOf(500n))
})

test('without Stripe the operator’s grant is all there is, and it is made once by its reference', async () => {
  const acme = await newOrganization()
  const grant = { organizationId: acme.id, kind: 'grant' as const, amountNanos: nanosOf(500n), reference: 'welcome' }
  await Promise.all([1, 2, 3].map(() => postEntry(world.database.operator, grant)))
  await sleep(0)
  expect(await balanceOf(acme)).toBe(nanosOf(500n))
})

function sumOf(entries: readonly unknown[][], account: string): bigint {
  return entries.filter(([of]) => of === account).reduce((sum, [, , amount]) => sum + (amount as bigint), 0n)
}
