import { inspect } from 'node:util'
import { feeOf, nanosOf } from '@nemo/domain/billing'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { findBillingAccount, lockCredits } from '@nemo/postgres/billing-accounts'
import { listInvoices } from '@nemo/postgres/billing-invoices'
import { createPurchase, findPurchase, type Purchase } from '@nemo/postgres/billing-purchases'
import { saveTier, setTier } from '@nemo/postgres/billing-tiers'
import { creditsOf, latestEntries } from '@nemo/postgres/ledger-entries'
import { deleteDueOrganizations } from '@nemo/postgres/organization-deletion'
import { type Organization, postEntry } from '@nemo/postgres/organizations'
import { inTransaction, withOrganization } from '@nemo/postgres/tenancy'
import type { StripeEvent } from '@nemo/sandbox/stripe/objects'
import { openShop, type Shop, STRIPE } from '@nemo/testing/shop'
import { makeWorld, type World } from '@nemo/testing/world'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { carryOut } from './buy.ts'
import { leaveStripe } from './leave-stripe.ts'
import { takeBackAllReleased } from './released.ts'
import { settleStale } from './settle-stale.ts'
import { openStripe } from './stripe.ts'
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

/** Whatever happened, the ledger adds up. */
async function expectSound(organization: Organization) {
  expect(await proveLedger(world.database.operator, organization.id)).toMatchObject(SOUND)
}

async function newOrganization(tier = 'pay-as-you-go', credits = '0'): Promise<Organization> {
  const organization = await world.organization(`buyer-${++organizations}`, credits)
  await setTier(world.database.operator, organization.id, tier)
  return organization
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

/** As when calls end that cost nothing. */
async function endHolds({ id }: Organization) {
  await world.database.owner.query('delete from allotments where organization_id = $1', [id])
  await world.database.owner.query('update counters set held = 0 where organization_id = $1', [id])
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
      const purchase = await shop.begin(acme, 10_000n)
      expect(purchase).toMatchObject({ state: 'pending', feeCents: fee, totalCents: 10_000n + fee })
      expect(purchase.checkoutUrl).toContain(shop.emulator.url)
      await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))

      expect(shop.intentOf(purchase)).toMatchObject({ amount_received: Number(10_000n + fee), status: 'succeeded' })
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
    const purchase = await shop.begin(acme, 10_000n)
    await setTier(world.database.operator, acme.id, 'pay-as-you-go')
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
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
    const purchase = await shop.begin(acme, 1_263n, true)
    const events = shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['payment_intent.succeeded', 'checkout.session.completed', 'payment_method.attached']),
    )
    await shop.hearAll(events, 50)
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
    const purchase = await shop.begin(acme, 10_000n)
    const events = shop.eventsOf(() => {
      shop.emulator.till.complete(purchase.checkoutSessionId!)
      const { id } = shop.intentOf(purchase)
      shop.emulator.till.createRefund({ payment_intent: id, amount: '3333' })
      shop.emulator.till.createRefund({ payment_intent: id, amount: '2000' })
      shop.emulator.till.closeDispute(shop.emulator.till.dispute(id, { amount: 5_067 }).id, 'lost')
    })
    await shop.hearAll(events, 50)
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
          const purchase = await shop.begin(acme, cents)
          let gone = 0
          const events = shop.eventsOf(() => {
            shop.emulator.till.complete(purchase.checkoutSessionId!)
            const { id, amount } = shop.intentOf(purchase)
            for (const percent of refunds) {
              const part = Math.min(Math.ceil((amount * percent) / 100), amount - gone)
              if (part === 0) continue
              const refund = shop.emulator.till.createRefund({ payment_intent: id, amount: String(part) })
              if (failing && refunds.indexOf(percent) === 0) shop.emulator.till.failRefund(refund.id)
              else gone += part
            }
            if (dispute && gone < amount) {
              const { id: disputeId } = shop.emulator.till.dispute(id, { inquiry: dispute === 'warning_closed' })
              shop.emulator.till.closeDispute(disputeId, dispute)
              if (dispute === 'lost') gone = amount
            }
          })
          const left = [...events]
          while (left.length > 0) await shop.hear(left.splice(order.next().value % left.length, 1)[0]!)

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
    const [event] = shop.emulator.till.events as [StripeEvent]
    const { body, headers } = shop.emulator.sign(event)
    const signature = headers['stripe-signature']!
    const refused = { status: 400, param: 'stripe-signature' }
    await expect(hearStripe(shop.desk, STRIPE, Buffer.from(body), undefined)).rejects.toMatchObject(refused)
    await expect(
      hearStripe(shop.desk, { ...STRIPE, webhookSecret: 'whsec_other' }, Buffer.from(body), signature),
    ).rejects.toMatchObject(refused)
    await expect(hearStripe(shop.desk, STRIPE, Buffer.from(`${body} `), signature)).rejects.toMatchObject(refused)
    const old = shop.emulator.sign(event, Date.now() - 10 * 60_000).headers['stripe-signature']
    await expect(hearStripe(shop.desk, STRIPE, Buffer.from(body), old)).rejects.toMatchObject(refused)
  })

  test('of a payment that isn’t what was asked credit nothing, and say so', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 10_000n)
    const events = shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!))
    const forged = structuredClone(events.find(({ type }) => type === 'payment_intent.succeeded')!)
    Object.assign(forged, { id: 'evt_less' })
    Object.assign(forged.data.object, { amount_received: 100 })
    shop.problems.length = 0
    expect(await shop.hear(forged)).toBe('mismatch')
    expect(await balanceOf(acme)).toBe(0n)
    expect(shop.problems).toHaveLength(1)
  })

  test('of a payment for something else of the same account are let be', async () => {
    const stranger = { id: 'pi_stranger', metadata: {}, amount_received: 500, currency: 'usd' }
    const [known] = shop.emulator.till.events as [StripeEvent]
    const event = { ...known, id: 'evt_stranger', type: 'payment_intent.succeeded', data: { object: stranger } }
    expect(await shop.hear(event)).toBe('unknown')
  })
})

describe('money that goes back', () => {
  test('is taken from what is unspent; the rest is the platform’s loss, and the balance is never negative', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 10_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 7_000n, 'spend')
    await shop.hearAll(
      shop.eventsOf(() => shop.emulator.till.createRefund({ payment_intent: shop.intentOf(purchase).id })),
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
    const purchase = await shop.begin(acme, 1_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 400n, 'hold')
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.dispute(shop.intentOf(purchase).id)))
    expect(await balanceOf(acme)).toBe(nanosOf(400n))
    expect(await entriesOf(acme)).toContainEqual(['platform_loss', 'platform_loss', nanosOf(400n)])
    await expectSound(acme)
  })

  test('is taken also from what calls under way held and turn out not to spend, and from nothing that was bought since', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 1_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 400n, 'hold')
    let id = ''
    await shop.hearAll(shop.eventsOf(() => ({ id } = shop.emulator.till.dispute(shop.intentOf(purchase).id))))
    await takeBackAllReleased(shop.desk)
    expect(sumOf(await entriesOf(acme), 'platform_loss')).toBe(nanosOf(400n))

    const later = await shop.begin(acme, 500n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(later.checkoutSessionId!)))
    await endHolds(acme)
    await use(acme, 250n, 'spend')
    await Promise.all([1, 2, 3].map(() => takeBackAllReleased(shop.desk)))
    expect(await balanceOf(acme)).toBe(nanosOf(500n))
    expect(sumOf(await entriesOf(acme), 'platform_loss')).toBe(nanosOf(250n))
    await expectSound(acme)
    // What was spent since has its own hold: nothing more is taken.
    await use(acme, 100n, 'spend')
    await takeBackAllReleased(shop.desk)
    expect(await balanceOf(acme)).toBe(nanosOf(400n))

    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.closeDispute(id, 'won')))
    expect(await balanceOf(acme)).toBe(nanosOf(1_150n))
    expect(sumOf(await entriesOf(acme), 'platform_loss')).toBe(0n)
    await expectSound(acme)
  })

  test('comes back when the dispute is won, and with it what the platform had lost', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 1_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    await use(acme, 250n, 'spend')
    let id = ''
    await shop.hearAll(shop.eventsOf(() => ({ id } = shop.emulator.till.dispute(shop.intentOf(purchase).id))))
    expect(await balanceOf(acme)).toBe(0n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.closeDispute(id, 'won')))
    expect(await balanceOf(acme)).toBe(nanosOf(750n))
    const entries = await entriesOf(acme)
    expect([sumOf(entries, 'platform_loss'), sumOf(entries, 'platform_fee')]).toEqual([0n, nanosOf(40n)])
    await expectSound(acme)
  })

  test('is taken in full where a refund was cut off by another that turns out later not to have gone through', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 10_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    const { id } = shop.intentOf(purchase)
    let failed = ''
    const first = shop.eventsOf(
      () => ({ id: failed } = shop.emulator.till.createRefund({ payment_intent: id, amount: '6000' })),
    )
    const failure = shop.eventsOf(() => shop.emulator.till.failRefund(failed))
    const second = shop.eventsOf(() => shop.emulator.till.createRefund({ payment_intent: id, amount: '7000' }))
    for (const event of [...first, ...second, ...failure]) await shop.hear(event)
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ reversedCents: 7_000n })
    const entries = await entriesOf(acme)
    expect(sumOf(entries, 'credits') + sumOf(entries, 'platform_fee')).toBe(nanosOf(3_400n))
    expect((await invoicesOf(acme)).reduce((sum, { totalCents }) => sum + totalCents, 0n)).toBe(3_400n)
    await expectSound(acme)
  })

  test('stays with us while it is only an inquiry', async () => {
    const acme = await newOrganization()
    const purchase = await shop.begin(acme, 1_000n)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.dispute(shop.intentOf(purchase).id, { inquiry: true })))
    expect(await balanceOf(acme)).toBe(nanosOf(1_000n))
  })
})

describe('invoices', () => {
  test('have numbers without a gap, however many are issued at once and whatever fails', async () => {
    const buyers = await Promise.all(Array.from({ length: 6 }, () => newOrganization()))
    const purchases = await Promise.all(buyers.map((buyer) => shop.begin(buyer, 500n)))
    const events = shop.eventsOf(() => {
      for (const { checkoutSessionId } of purchases) shop.emulator.till.complete(checkoutSessionId!)
    })
    await shop.hearAll(events, 3)
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
    const first = await shop.begin(acme, 500n, true)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(first.checkoutSessionId!, card)))
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
    return carryOut(shop.desk, purchase)
  }

  test('are charged off the session, credited at once, and the events that follow change nothing', async () => {
    const acme = await withCard()
    const from = shop.emulator.till.events.length
    const purchase = await charge(acme, 10_000n)
    expect(purchase).toMatchObject({ state: 'paid', totalCents: 10_400n })
    await shop.hearAll(shop.emulator.till.events.slice(from), 10)
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
    expect([...shop.emulator.till.intents.values()].filter(({ metadata }) => metadata.purchase_id === id)).toHaveLength(
      1,
    )
  })

  test.each([['pm_card_authenticationRequired', 'authentication_required']])(
    'that fail (%s) credit nothing and say why',
    async (card, code) => {
      const acme = await withCard(card)
      const purchase = await charge(acme, 1_000n)
      expect(purchase).toMatchObject({ state: 'failed', failureCode: code })
      expect(shop.intentOf(purchase).status).toBe('canceled')
      expect(await balanceOf(acme)).toBe(nanosOf(500n))
    },
  )

  test('whose charge was never answered are asked about, and credited once', async () => {
    const acme = await withCard()
    // Every try of Stripe's client is carried out, or at least the first, and none is answered.
    shop.emulator.failNext('lost-after', 3)
    const purchase = await charge(acme, 2_000n)
    expect(purchase.state).toBe('pending')
    await settleStale(shop.desk, 0, Date.now())
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ state: 'paid' })
    expect(await balanceOf(acme)).toBe(nanosOf(2_500n))
    expect(chargesOf(purchase)).toBe(1)
    await expectSound(acme)
  })

  test('whose charge nobody lived to make are charged once, by however many that find it', async () => {
    const acme = await withCard()
    const { defaultCardId } = (await findBillingAccount(world.database.operator, acme.id))!
    const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
      createPurchase(tx, { organizationId: acme.id, source: 'card', creditsCents: 2_000n, cardId: defaultCardId! }),
    )
    await Promise.all([
      ...Array.from({ length: 5 }, () => settleStale(shop.desk, 0, Date.now())),
      ...Array.from({ length: 5 }, () => carryOut(shop.desk, purchase)),
    ])
    expect(await balanceOf(acme)).toBe(nanosOf(2_500n))
    expect(chargesOf(purchase)).toBe(1)
    await expectSound(acme)
  })

  test('whose charge was made by a process that died before it could write that down are credited, and not charged again', async () => {
    const acme = await withCard()
    shop.emulator.failNext('lost-after', 3)
    const purchase = await charge(acme, 2_000n)
    // As long ago as Stripe doesn't know the request by its key any more.
    await settleStale(shop.desk, 0, Date.now() + 48 * 3_600_000)
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ state: 'paid' })
    expect([chargesOf(purchase), await balanceOf(acme)]).toEqual([1, nanosOf(2_500n)])
  })

  test('whose charge never arrived are charged when it is asked about', async () => {
    const acme = await withCard()
    shop.emulator.failNext('lost-before', 3)
    const purchase = await charge(acme, 2_000n)
    expect(purchase.state).toBe('pending')
    await settleStale(shop.desk, 0, Date.now())
    expect(await balanceOf(acme)).toBe(nanosOf(2_500n))
  })

  test('that were detached are gone, also where that was said before they were attached', async () => {
    const acme = await newOrganization()
    const first = await shop.begin(acme, 500n, true)
    const events = shop.eventsOf(() => {
      shop.emulator.till.complete(first.checkoutSessionId!)
      shop.emulator.till.detach(shop.intentOf(first).payment_method!)
    })
    for (const event of events.reverse()) await shop.hear(event)
    expect((await findBillingAccount(world.database.operator, acme.id))!.defaultCardId).toBe(null)
  })
})

test('what a card was charged for is asked about at once, however many pages of Checkout were left open', async () => {
  const acme = await newOrganization()
  const first = await shop.begin(acme, 500n, true)
  await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(first.checkoutSessionId!)))
  for (let i = 0; i < 60; i++) await shop.begin(acme, 500n)
  const { defaultCardId } = (await findBillingAccount(world.database.operator, acme.id))!
  const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
    createPurchase(tx, { organizationId: acme.id, source: 'card', creditsCents: 2_000n, cardId: defaultCardId! }),
  )
  await settleStale(shop.desk, 0, Date.now())
  expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ state: 'paid' })
  await endAll(acme)
})

describe('where Stripe doesn’t know the customer any more, as after tests with other keys', () => {
  test('another is made, credits can be bought, and cards that the other one had are gone', async () => {
    const acme = await newOrganization()
    const first = await shop.begin(acme, 500n, true)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(first.checkoutSessionId!)))
    const before = (await findBillingAccount(world.database.operator, acme.id))!
    const { id } = shop.emulator.till.customer(before.stripeCustomerId!)
    shop.emulator.till.customers.delete(id)

    const purchases = await Promise.all([1, 2, 3].map(() => shop.begin(acme, 1_000n)))
    const after = (await findBillingAccount(world.database.operator, acme.id))!
    expect(after.stripeCustomerId).not.toBe(id)
    expect(purchases.map(({ checkoutSessionId }) => shop.emulator.till.session(checkoutSessionId!).customer)).toEqual(
      purchases.map(() => after.stripeCustomerId),
    )
    expect(after.defaultCardId).toBe(null)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchases[0]!.checkoutSessionId!)))
    expect(await balanceOf(acme)).toBe(nanosOf(1_500n))
  })

  test('what was pending there ends, so that nothing waits for it', async () => {
    const acme = await newOrganization()
    const first = await shop.begin(acme, 500n, true)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(first.checkoutSessionId!)))
    const open = await shop.begin(acme, 500n)
    const { defaultCardId, stripeCustomerId } = (await findBillingAccount(world.database.operator, acme.id))!
    const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
      createPurchase(tx, { organizationId: acme.id, source: 'card', creditsCents: 2_000n, cardId: defaultCardId! }),
    )
    shop.emulator.till.customers.delete(stripeCustomerId!)
    shop.emulator.till.methods.delete(defaultCardId!)
    shop.emulator.till.sessions.delete(open.checkoutSessionId!)
    await settleStale(shop.desk, 0, Date.now())
    expect(await findPurchase(world.database.operator, purchase.id)).toMatchObject({ state: 'failed' })
    expect(await findPurchase(world.database.operator, open.id)).toMatchObject({ state: 'expired' })
  })
})

test('of an organization that was deleted Stripe forgets customer and cards, and what is heard late brings none back', async () => {
  const [acme, other] = [await newOrganization(), await newOrganization()]
  for (const organization of [acme, other]) {
    const purchase = await shop.begin(organization, 500n, true)
    await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
  }
  const { stripeCustomerId, defaultCardId } = (await findBillingAccount(world.database.operator, acme.id))!
  const late = shop.eventsOf(() => shop.emulator.till.renew(defaultCardId!))
  await closeAndDelete(acme)
  await shop.hearAll(late)
  late.push(...(await deletedAtStripe()))
  await shop.hearAll(late, 3)

  const cardsOf = async ({ id }: Organization) =>
    (await world.database.owner.query('select id from saved_cards where organization_id = $1', [id])).rows
  expect(shop.emulator.till.customers.has(stripeCustomerId!)).toBe(false)
  expect((await findBillingAccount(world.database.operator, acme.id))!.stripeCustomerId).toBe(null)
  expect([(await cardsOf(acme)).length, (await cardsOf(other)).length]).toEqual([0, 1])
  expect(await invoicesOf(acme)).toHaveLength(1)
})

async function closeAndDelete({ id }: Organization) {
  await world.database.owner.query(`update organizations set delete_after = now() where id = $1`, [id])
  expect(await deleteDueOrganizations(world.database.operator)).toEqual([id])
}

/** What Stripe says when it was asked to delete those customers; twice, as several processes may. */
async function deletedAtStripe(): Promise<StripeEvent[]> {
  const before = shop.emulator.till.events.length
  await Promise.all([leaveStripe(shop.desk), leaveStripe(shop.desk)])
  return shop.emulator.till.events.slice(before)
}

test('a purchase that its entries or its invoice contradict is found by the proof', async () => {
  const acme = await newOrganization()
  const purchase = await shop.begin(acme, 500n)
  await shop.hearAll(shop.eventsOf(() => shop.emulator.till.complete(purchase.checkoutSessionId!)))
  await expectSound(acme)
  for (const [harm, mend] of [
    [`set state = 'failed', paid_at = null`, `set state = 'paid', paid_at = now()`],
    ['set fee_cents = 19, total_cents = 519', 'set fee_cents = 20, total_cents = 520'],
    ['set reversed_cents = 1', 'set reversed_cents = 0'],
  ]) {
    const change = (what: string) => world.database.owner.query(`update purchases ${what} where id = $1`, [purchase.id])
    await change(harm!)
    expect((await proveLedger(world.database.operator, acme.id)).purchaseDrift, harm).toMatchObject([
      { id: purchase.id },
    ])
    await change(mend!)
  }
  await expectSound(acme)
})

test('who has locked a balance has it alone: a grant waits for him', async () => {
  const acme = await newOrganization()
  const grant = { organizationId: acme.id, kind: 'grant' as const, amountNanos: 1n }
  let granted: Promise<unknown> | undefined
  await inTransaction(world.database.operator, async (tx) => {
    await lockCredits(tx, acme.id)
    granted = postEntry(world.database.operator, grant)
    await vi.waitFor(async () => {
      const { rows } = await world.database.owner.query(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%post_entry%'`,
      )
      expect(rows).toHaveLength(1)
    }, 5_000)
    expect(await balanceOf(acme)).toBe(0n)
  })
  await granted
  expect(await balanceOf(acme)).toBe(1n)
})

test('the fee that is frozen is the one that is quoted, for any amount and any tier', async () => {
  const acme = await newOrganization()
  await fc.assert(
    fc.asyncProperty(
      fc.bigInt({ min: 1n, max: 100_000_000n }),
      fc.integer({ min: 0, max: 10_000 }),
      async (creditsCents, feeBasisPoints) => {
        await saveTier(world.database.operator, { id: 'any', name: 'Any', feeBasisPoints })
        await setTier(world.database.operator, acme.id, 'any')
        const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
          createPurchase(tx, { organizationId: acme.id, source: 'checkout', creditsCents }),
        )
        const feeCents = feeOf(creditsCents, feeBasisPoints)
        expect(purchase).toMatchObject({ feeBasisPoints, feeCents, totalCents: creditsCents + feeCents })
      },
    ),
    { numRuns: 50 },
  )
  await endAll(acme)
})

test('no role may change what a purchase costs, nor say that one was paid without being the operator', async () => {
  const acme = await newOrganization()
  const { id } = await shop.begin(acme, 500n)
  for (const change of ['fee_cents = 0', 'total_cents = 500', 'fee_basis_points = 0', 'credits_cents = 5000'])
    await expect(
      world.database.operator.query(`update purchases set ${change} where id = $1`, [id]),
      change,
    ).rejects.toThrow('permission denied')
  await expect(
    withOrganization(world.database.app, acme.id, (tx) =>
      tx.query(`update purchases set state = 'paid', paid_at = now() where id = $1`, [id]),
    ),
  ).rejects.toThrow('permission denied')
})

test('nothing of Stripe’s secrets is logged or thrown, nor of a card more than it is known by, whatever fails', async () => {
  const acme = await newOrganization()
  const secretKey = 'sk_test_planted_0123456789'
  shop.logged.length = 0
  const thrown: unknown[] = []
  for (const apiBase of [shop.emulator.url, 'http://127.0.0.1:1']) {
    const stripe = openStripe({ ...STRIPE, secretKey, apiBase })
    for (const source of ['card', 'checkout'] as const) {
      const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
        createPurchase(tx, { organizationId: acme.id, source, creditsCents: 500n, cardId: 'pm_1' }),
      )
      await carryOut({ ...shop.desk, stripe }, purchase).catch((error) => thrown.push(error))
    }
  }
  const [body, secret] = ['{"id":"evt_1"}', 'whsec_planted_0123456789']
  await hearStripe(shop.desk, { ...STRIPE, webhookSecret: secret }, Buffer.from(body), 't=1,v1=00').catch((error) =>
    thrown.push(error),
  )
  expect([shop.logged.length > 1, thrown.length]).toEqual([true, 3])
  const said = inspect([shop.logged, thrown], { depth: 20, showHidden: true })
  expect(said).not.toContain('planted')
  await endAll(acme)
})

test('a Checkout whose events were lost is asked about; one that ran out ends', async () => {
  const acme = await newOrganization()
  const [paid, left] = [await shop.begin(acme, 500n), await shop.begin(acme, 500n)]
  shop.emulator.till.complete(paid.checkoutSessionId!)
  shop.emulator.till.expire(left.checkoutSessionId!)
  await settleStale(shop.desk, 0, Date.now())
  expect(await findPurchase(world.database.operator, paid.id)).toMatchObject({ state: 'paid' })
  expect(await findPurchase(world.database.operator, left.id)).toMatchObject({ state: 'expired' })
  expect(await balanceOf(acme)).toBe(nanosOf(500n))
})

test('without Stripe the operator’s grant is all there is, and it is made once by its reference', async () => {
  const acme = await newOrganization()
  const grant = { organizationId: acme.id, kind: 'grant' as const, amountNanos: nanosOf(500n), reference: 'welcome' }
  await Promise.all([1, 2, 3].map(() => postEntry(world.database.operator, grant)))
  expect(await balanceOf(acme)).toBe(nanosOf(500n))
})

/** How often the card was charged for it. */
function chargesOf({ id }: Purchase): number {
  return [...shop.emulator.till.intents.values()].filter(({ metadata }) => metadata.purchase_id === id).length
}

/** Ends what is left open, so that nobody is asked about it. */
async function endAll({ id }: Organization) {
  await world.database.operator.query(
    `update purchases set state = 'expired' where state = 'pending' and organization_id = $1`,
    [id],
  )
}

function sumOf(entries: readonly unknown[][], account: string): bigint {
  return entries.filter(([of]) => of === account).reduce((sum, [, , amount]) => sum + (amount as bigint), 0n)
}
