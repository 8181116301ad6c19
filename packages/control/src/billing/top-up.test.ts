import { nanosOf } from '@nemo/domain/billing'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { findBillingAccount, setBillingAccount } from '@nemo/postgres/billing-accounts'
import { listCards } from '@nemo/postgres/billing-cards'
import { beginTopUp, createPurchase, listPurchases } from '@nemo/postgres/billing-purchases'
import { creditsOf } from '@nemo/postgres/ledger-entries'
import type { Organization } from '@nemo/postgres/organizations'
import { withOrganization } from '@nemo/postgres/tenancy'
import { type StripeEmulator, startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { type IssuedKey, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Letter } from '../mail/mail.ts'
import { carryOut } from './buy.ts'
import { openCardPage } from './cards.ts'
import type { Desk } from './desk.ts'
import { tellOfLowBalances, tellOfPausedTopUps } from './letters.ts'
import { settleStale } from './settle-stale.ts'
import { openStripe } from './stripe.ts'
import { topUp } from './top-up.ts'
import { hearStripe } from './webhook.ts'

const STRIPE = { secretKey: 'sk_test_1', webhookSecret: 'whsec_test' }
let world: World
let emulator: StripeEmulator
let desk: Desk
let gateway: RunningGateway
let buyers = 0

beforeAll(async () => {
  world = await makeWorld()
  gateway = await runGateway(world)
  emulator = await startStripeEmulator(STRIPE)
  const stripe = openStripe({ ...STRIPE, apiBase: emulator.url })
  const log = { info() {}, warn() {}, error() {} }
  desk = { operator: world.database.operator, stripe, publicUrl: 'https://nemo.example', log }
})

afterAll(async () => {
  await gateway?.close()
  await emulator?.close()
  await world?.close()
})

/** An organization with $5 and a saved card, that is topped up by $10 below $6, for at most so much a month. */
async function newOrganization(monthCents = 10_000n, card?: string): Promise<Organization> {
  const organization = await world.organization(`topped-up-${++buyers}`, '0')
  const { purchase } = await withOrganization(world.database.app, organization.id, (tx) =>
    createPurchase(tx, { organizationId: organization.id, source: 'checkout', creditsCents: 500n, savesCard: true }),
  )
  const { checkoutSessionId } = await carryOut(desk, purchase)
  const from = emulator.till.events.length
  emulator.till.complete(checkoutSessionId!, card)
  await hearFrom(from)
  await withOrganization(world.database.app, organization.id, (tx) =>
    setBillingAccount(tx, organization.id, {
      topUp: { enabled: true, belowNanos: nanosOf(600n), cents: 1_000n, monthCents },
      email: 'money@acme.test',
    }),
  )
  return organization
}

async function hearFrom(from: number) {
  for (const event of emulator.till.events.slice(from)) {
    const { body, headers } = emulator.sign(event)
    await hearStripe(desk, STRIPE, Buffer.from(body), headers['stripe-signature'])
  }
}

async function topUpsOf({ id }: Organization) {
  return (await listPurchases(world.database.operator, id, { limit: 100 })).filter(({ source }) => source === 'top-up')
}

async function balanceOf({ id }: Organization) {
  return (await creditsOf(world.database.operator, id)).balanceNanos
}

/** A call that costs a cent. */
function askForACent({ key }: IssuedKey, sandbox: object = {}) {
  return httpCall(`${gateway.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-flat', messages: [{ role: 'user', content: 'hello' }], sandbox },
  })
}

/** Takes all but so much out of the balance. */
async function spendAllBut(nanos: bigint, organization: Organization) {
  const amount = nanos - (await balanceOf(organization))
  if (amount !== 0n)
    await world.database.operator.query(`select post_entry($1, 'adjustment', $2, null, 'spent')`, [
      organization.id,
      amount,
    ])
}

const spendAll = (organization: Organization) => spendAllBut(0n, organization)

test('many processes that top up at once begin one top-up, and the card is charged once', async () => {
  const acme = await newOrganization()
  await Promise.all(Array.from({ length: 20 }, () => topUp(desk)))
  expect(await topUpsOf(acme)).toMatchObject([{ state: 'paid', creditsCents: 1_000n, feeCents: 40n }])
  expect(await balanceOf(acme)).toBe(nanosOf(1_500n))
  // Above the threshold now: nothing more is bought.
  await topUp(desk)
  expect(await topUpsOf(acme)).toHaveLength(1)
  expect(await proveLedger(world.database.operator, acme.id)).toMatchObject(SOUND)
})

test('one top-up is pending at a time, however many are begun at once', async () => {
  const acme = await newOrganization()
  const begun = await Promise.all(Array.from({ length: 20 }, () => beginTopUp(world.database.operator, acme.id)))
  expect(begun.filter((purchase) => purchase !== null)).toHaveLength(1)
})

test('a month’s cap is never charged beyond, fees included', async () => {
  // Two top-ups of $10.40 fit into $25, and a third doesn't.
  const acme = await newOrganization(2_500n)
  for (let i = 0; i < 4; i++) {
    await spendAll(acme)
    await topUp(desk)
  }
  const charged = (await topUpsOf(acme)).map(({ totalCents }) => totalCents)
  expect(charged).toEqual([1_040n, 1_040n])
  expect(await balanceOf(acme)).toBe(0n)
})

test('while a top-up is pending a call that doesn’t fit is told to come back, never that credits are out; after it the call goes through', async () => {
  // The month's cap has room for this one and no other: only that it is pending tells that credits will come.
  const acme = await newOrganization(1_040n)
  await spendAll(acme)
  const key = await world.issueKey(acme, 'agent')
  // The charge isn't answered, so the top-up stays pending.
  emulator.failNext('lost-after', 3)
  await topUp(desk)
  expect(await topUpsOf(acme)).toMatchObject([{ state: 'pending' }])
  const answers = await Promise.all(Array.from({ length: 20 }, () => askForACent(key)))
  for (const { status, json, headers } of answers) {
    expect([status, json.error.code]).toEqual([503, 'top_up_pending'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  }
  const [intent] = [...emulator.till.intents.values()].reverse()
  await hearFrom(emulator.till.events.findIndex(({ data }) => (data.object as { id: string }).id === intent!.id))
  await vi.waitFor(async () => expect((await askForACent(key)).status).toBe(200), 5_000)
})

test('a call is told to come back also in the moment before the top-up begins', async () => {
  const acme = await newOrganization()
  await spendAll(acme)
  const key = await world.issueKey(acme, 'agent')
  expect((await askForACent(key)).json.error.code).toBe('top_up_pending')
})

test('where no top-up will come the 402 stands: without one, when it has paused, when the month’s cap is reached', async () => {
  const none = await world.organization('never-topped-up', '0')
  const paused = await newOrganization()
  await world.database.operator.query(
    `update billing_accounts set top_up_failure = 'card_declined' where organization_id = $1`,
    [paused.id],
  )
  const capped = await newOrganization(1_039n)
  for (const organization of [none, paused, capped]) {
    if (organization !== none) await spendAll(organization)
    const answer = await askForACent(await world.issueKey(organization, 'agent'))
    expect([answer.status, answer.json.error.code], organization.slug).toEqual([402, 'insufficient_credits'])
  }
})

test.each(['suspended_at', 'delete_after', 'deleted_at'])(
  'an organization that has %s isn’t charged, and not written to',
  async (column) => {
    const acme = await newOrganization()
    await world.database.owner.query(`update organizations set ${column} = now() + interval '1 day' where id = $1`, [
      acme.id,
    ])
    await spendAll(acme)
    await topUp(desk)
    expect(await beginTopUp(world.database.operator, acme.id)).toBe(null)
    expect(await topUpsOf(acme)).toEqual([])
    const letters: Letter[] = []
    const mail = { send: (letter: Letter) => void letters.push(letter), settled: async () => {}, close: async () => {} }
    await tellOfLowBalances({ operator: world.database.operator, publicUrl: 'https://nemo.example', mail })
    expect(letters.filter(({ subject }) => subject.includes(acme.name))).toEqual([])
  },
)

test('a call that doesn’t fit while the balance is above the threshold gets its 402: no top-up will come for it', async () => {
  const acme = await newOrganization()
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, {
      topUp: { enabled: true, belowNanos: 1_000_000n, cents: 1_000n, monthCents: 10_000n },
    }),
  )
  // Half a cent, of which the call takes a whole one; the threshold is a tenth of one.
  await spendAllBut(5_000_000n, acme)
  const answer = await askForACent(await world.issueKey(acme, 'agent'))
  expect([answer.status, answer.json.error.code]).toEqual([402, 'insufficient_credits'])
})

test('a card that fails pauses the top-up, is told once, and another setting lets it go on', async () => {
  const acme = await newOrganization(10_000n, 'pm_card_authenticationRequired')
  const letters: Letter[] = []
  const post = {
    operator: world.database.operator,
    publicUrl: 'https://nemo.example',
    mail: { send: (letter: Letter) => void letters.push(letter), settled: async () => {}, close: async () => {} },
  }
  await tellOfPausedTopUps(post)
  letters.length = 0
  for (let i = 0; i < 3; i++) await topUp(desk)
  expect(await topUpsOf(acme)).toMatchObject([{ state: 'failed', failureCode: 'authentication_required' }])
  expect((await findBillingAccount(world.database.operator, acme.id))!.topUp.failure).toBe('authentication_required')
  await Promise.all([tellOfPausedTopUps(post), tellOfPausedTopUps(post), tellOfPausedTopUps(post)])
  expect(letters.map(({ to, subject }) => [to, subject])).toEqual([
    ['money@acme.test', `The credits of ${acme.name} could not be topped up`],
  ])
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, {
      topUp: { enabled: true, belowNanos: nanosOf(600n), cents: 1_000n, monthCents: 9_000n },
    }),
  )
  await topUp(desk)
  expect(await topUpsOf(acme)).toHaveLength(2)
})

test('a card that is declined pauses the top-up: it is charged once, nothing is credited, and a call gets its 402', async () => {
  const acme = await newOrganization()
  const page = await openCardPage(desk, acme.id)
  const from = emulator.till.events.length
  emulator.till.complete(page.split('/').at(-1)!, 'pm_card_chargeCustomerFail')
  await hearFrom(from)
  const declined = (await listCards(world.database.operator, acme.id)).find(({ last4 }) => last4 === '0341')!
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, { defaultCardId: declined.id }),
  )
  await spendAll(acme)
  for (let i = 0; i < 3; i++) await Promise.all([topUp(desk), topUp(desk)])
  const [failed, ...more] = await topUpsOf(acme)
  expect([failed!.state, failed!.failureCode, more.length]).toEqual(['failed', 'card_declined', 0])
  expect(await balanceOf(acme)).toBe(0n)
  const answer = await askForACent(await world.issueKey(acme, 'agent'))
  expect([answer.status, answer.json.error.code]).toEqual([402, 'insufficient_credits'])
  // Another card lets it go on, as the mail says.
  const [visa] = await listCards(world.database.operator, acme.id)
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, { defaultCardId: visa!.id }),
  )
  await topUp(desk)
  expect((await topUpsOf(acme)).map(({ state }) => state)).toEqual(['paid', 'failed'])
})

test('a key of the operator’s that Stripe doesn’t take pauses nobody’s top-up: it goes on with one that works', async () => {
  const acme = await newOrganization()
  const { stripeCustomerId } = (await findBillingAccount(world.database.operator, acme.id))!
  expect(stripeCustomerId).not.toBe(null)
  await topUp({ ...desk, stripe: openStripe({ ...STRIPE, secretKey: 'sk_test_old', apiBase: emulator.url }) })
  expect(await topUpsOf(acme)).toMatchObject([{ state: 'pending' }])
  expect((await findBillingAccount(world.database.operator, acme.id))!.topUp.failure).toBe(null)
  await settleStale(desk, 0, Date.now())
  expect(await topUpsOf(acme)).toMatchObject([{ state: 'paid' }])
})

test('a top-up that is under way is waited for also after it was turned off', async () => {
  const acme = await newOrganization()
  await spendAll(acme)
  const begun = await beginTopUp(world.database.operator, acme.id)
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, { topUp: { enabled: false } }),
  )
  const key = await world.issueKey(acme, 'agent')
  expect((await askForACent(key)).json.error.code).toBe('top_up_pending')
  await carryOut(desk, begun!)
  await vi.waitFor(async () => expect((await askForACent(key)).status).toBe(200), 5_000)
})

test.each([
  [
    'is told to come back where that would bring it below the threshold, as a top-up begins then',
    10_000_000n,
    'top_up_pending',
  ],
  ['gets its 402 where none would', 4_000_000n, 'insufficient_credits'],
])('a call that what others hold leaves no room for %s', async (_, belowNanos, code) => {
  const acme = await newOrganization()
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, { topUp: { enabled: true, belowNanos, cents: 1_000n, monthCents: 10_000n } }),
  )
  // A cent and a half, of which a call that takes its time holds one.
  await spendAllBut(15_000_000n, acme)
  const key = await world.issueKey(acme, 'agent')
  const slow = askForACent(key, { latency_ms: 1_000 })
  await vi.waitFor(async () =>
    expect((await creditsOf(world.database.operator, acme.id)).heldNanos).toBeGreaterThan(0n),
  )
  expect((await askForACent(key)).json.error.code).toBe(code)
  expect((await slow).status).toBe(200)
})

test('a balance that runs low is told of once for each time that it does, also by many at once', async () => {
  const acme = await world.organization('running-low', '5')
  await withOrganization(world.database.app, acme.id, (tx) =>
    setBillingAccount(tx, acme.id, { lowBalanceNanos: nanosOf(300n), email: 'low@acme.test' }),
  )
  const letters: Letter[] = []
  const mail = { send: (letter: Letter) => void letters.push(letter), settled: async () => {}, close: async () => {} }
  const tell = async () => {
    const post = { operator: world.database.operator, publicUrl: 'https://nemo.example', mail }
    await Promise.all(Array.from({ length: 8 }, () => tellOfLowBalances(post)))
    return letters.filter(({ to }) => to === 'low@acme.test').length
  }
  const move = (cents: bigint) =>
    world.database.operator.query(`select post_entry($1, 'adjustment', $2, null, null)`, [acme.id, nanosOf(cents)])
  expect(await tell()).toBe(0)
  await move(-250n)
  expect([await tell(), await tell()]).toEqual([1, 1])
  await move(-10n)
  expect(await tell()).toBe(1)
  await move(500n)
  expect(await tell()).toBe(1)
  await move(-600n)
  expect([await tell(), await tell()]).toEqual([2, 2])
})

test('a refund takes back also what a gateway’s process holds idle: only what was spent is lost', async () => {
  const acme = await world.organization(`refunded-${++buyers}`, '0')
  const { purchase } = await withOrganization(world.database.app, acme.id, (tx) =>
    createPurchase(tx, { organizationId: acme.id, source: 'checkout', creditsCents: 10_000n }),
  )
  const { checkoutSessionId } = await carryOut(desk, purchase)
  const from = emulator.till.events.length
  const { payment_intent } = emulator.till.complete(checkoutSessionId!)
  await hearFrom(from)
  expect((await askForACent(await world.issueKey(acme, 'agent'))).status).toBe(200)
  await gateway.gateway.ledger.flush()
  expect((await creditsOf(world.database.operator, acme.id)).heldNanos).toBeGreaterThan(0n)

  const refunded = emulator.till.events.length
  emulator.till.createRefund({ payment_intent: payment_intent! })
  await hearFrom(refunded)
  const { rows } = await world.database.owner.query(
    `select kind, amount_nanos as amount from ledger_entries where organization_id = $1 and kind in ('refund', 'platform_loss') order by 1`,
    [acme.id],
  )
  // The owner's pool reads bigint as text.
  expect(rows).toEqual([
    { kind: 'platform_loss', amount: String(nanosOf(1n)) },
    { kind: 'refund', amount: String(-nanosOf(9_999n)) },
  ])
  expect(await balanceOf(acme)).toBe(0n)
  expect(await proveLedger(world.database.operator, acme.id)).toMatchObject(SOUND)
})
