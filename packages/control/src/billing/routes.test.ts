import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { billingContacts } from '@nemo/postgres/billing-accounts'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { type StripeEmulator, startStripeEmulator } from '@nemo/sandbox/stripe/emulator'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { memberWithToken } from '@nemo/testing/signed-in'
import { decodePDFRawStream, PDFDocument, PDFRawStream, StandardFonts } from 'pdf-lib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { invoicePdf } from './invoice-pdf.ts'
import { readStripeSettings } from './stripe.ts'

const stripe = { secretKey: 'sk_test_1', webhookSecret: 'whsec_test' }
let database: TestDatabase
let control: RunningControl
let withoutStripe: RunningControl
let emulator: StripeEmulator
let operator: { token: string }
let organizations = 0

beforeAll(async () => {
  database = await freshDatabase()
  emulator = await startStripeEmulator(stripe)
  control = await runControl(database, { stripe: { ...stripe, apiBase: emulator.url } })
  withoutStripe = await runControl(database)
  const someone = await memberWithToken(database, (await createOrganization(database.operator, 'ops', 'ops')).id)
  await database.owner.query('update users set is_operator = true where id = $1', [someone.userId])
  operator = someone
})

afterAll(async () => {
  await Promise.all([control?.close(), withoutStripe?.close()])
  await emulator?.close()
  await database?.close()
})

interface Buyer {
  readonly organization: Organization
  readonly token: string
  call(method: string, path: string, body?: object): Promise<Answer>
}

async function newBuyer(role: Parameters<typeof memberWithToken>[2] = 'owner', of?: Organization): Promise<Buyer> {
  const slug = `buyer-${++organizations}`
  const organization = of ?? (await createOrganization(database.operator, slug, slug))
  const { token } = await memberWithToken(database, organization.id, role)
  return {
    organization,
    token,
    call: (method, path, body) => control.call(method, path, { key: token, ...(body && { body }) }),
  }
}

const asOperator = (method: string, path: string, body?: object) =>
  control.call(method, path, { key: operator.token, ...(body && { body }) })

/** Every event from there on, over HTTP, several times each at once. */
async function deliver(from: number, times = 1) {
  const deliveries = emulator.till.events
    .slice(from)
    .flatMap((event) => Array.from({ length: times }, () => emulator.sign(event)))
  const answers = await Promise.all(
    deliveries.map(({ body, headers }) => control.call('POST', '/api/stripe/webhook', { body, headers })),
  )
  for (const { status, json } of answers) expect([status, json]).toEqual([200, { received: true }])
}

/** Buys at Checkout, pays on its page, and has Stripe tell of it. */
async function buy(buyer: Buyer, amount: string, more: object = {}) {
  const begun = await buyer.call('POST', '/api/billing/purchases', { amount, pay_with: 'checkout', ...more })
  expect(begun.status, begun.body).toBe(201)
  const from = emulator.till.events.length
  const paid = await httpCall(begun.json.checkout_url, {
    body: 'card=pm_card_visa',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect(paid.status).toBe(303)
  await deliver(from)
  return (await buyer.call('GET', `/api/billing/purchases/${begun.json.id}`)).json
}

test('credits are bought by the API alone: quote, Checkout, webhook, balance, entries, invoice', async () => {
  const buyer = await newBuyer()
  const quote = await buyer.call('GET', '/api/billing/quote?amount=100.00')
  expect(quote.json).toEqual({ object: 'quote', credits: '100.00', fee: '4.00', fee_percent: 4, total: '104.00' })
  const purchase = await buy(buyer, '100.00')
  expect(purchase).toMatchObject({ state: 'paid', credits: '100.00', fee: '4.00', total: '104.00', checkout_url: null })
  expect((await buyer.call('GET', '/api/billing')).json).toMatchObject({ balance: '100.00', can_purchase: true })
  expect((await buyer.call('GET', '/api/billing/entries')).json.data).toMatchObject([
    { kind: 'purchase', amount: '100.00', balance_after: '100.00', reference: purchase.id },
  ])
  const invoices = (await buyer.call('GET', '/api/billing/invoices')).json
  expect(invoices.data).toMatchObject([
    {
      kind: 'invoice',
      purchase_id: purchase.id,
      total: '104.00',
      lines: [
        { description: 'Prepaid credits', amount: '100.00' },
        { description: 'Platform fee (4 %)', amount: '4.00' },
      ],
    },
  ])
  expect(await proveLedger(database.operator, buyer.organization.id)).toMatchObject(SOUND)
})

test('what another organization bought is answered as what there isn’t', async () => {
  const [acme, rival] = [await newBuyer(), await newBuyer()]
  const { id } = await buy(rival, '10.00', { save_card: true })
  const invoice = (await rival.call('GET', '/api/billing/invoices')).json.first_id
  const card = (await rival.call('GET', '/api/billing/cards')).json.first_id
  const none = '019a0000-0000-7000-8000-000000000000'
  for (const [method, path, theirs] of [
    ['GET', '/api/billing/purchases/:id', id],
    ['GET', '/api/billing/invoices/:id', invoice],
    ['GET', '/api/billing/invoices/:id/html', invoice],
    ['GET', '/api/billing/invoices/:id/pdf', invoice],
    ['DELETE', '/api/billing/cards/:id', card],
  ] as const) {
    const [one, other] = [theirs, none].map((which) => acme.call(method, path.replace(':id', which)))
    expect((await one!).status, path).toBe(404)
    expect((await one!).body, path).toBe((await other!).body)
  }
  for (const path of ['purchases', 'invoices', 'entries', 'cards'])
    expect((await acme.call('GET', `/api/billing/${path}`)).json.data, path).toEqual([])
  const stolen = await acme.call('POST', '/api/billing/purchases', { amount: '10.00', pay_with: 'card', card })
  expect(stolen.status).toBe(404)
  expect((await acme.call('PATCH', '/api/billing', { default_card: card })).status).toBe(404)
})

test('only who may buy buys, and only who may change billing changes it', async () => {
  const owner = await newBuyer()
  for (const role of ['viewer', 'member'] as const) {
    const someone = await newBuyer(role, owner.organization)
    const body = { amount: '10.00', pay_with: 'checkout' }
    expect((await someone.call('POST', '/api/billing/purchases', body)).json.error.code).toBe('permission_denied')
    expect((await someone.call('PATCH', '/api/billing', { company: 'x' })).json.error.code).toBe('permission_denied')
    expect((await someone.call('GET', '/api/billing')).status).toBe(200)
  }
  const tier = `/api/operator/organizations/${owner.organization.id}/tier`
  expect((await owner.call('PUT', tier, { tier: 'tier-3' })).status).toBe(403)
  expect(
    (await owner.call('POST', `/api/operator/organizations/${owner.organization.id}/grants`, { amount: '1.00' }))
      .status,
  ).toBe(403)
})

test.each([
  ['4.99', 'amount'],
  ['50000.01', 'amount'],
  ['10.005', 'amount'],
  ['-10.00', 'amount'],
  ['1e3', 'amount'],
])('an amount of %s is refused, and the field is named', async (amount, param) => {
  const buyer = await newBuyer()
  const answer = await buyer.call('POST', '/api/billing/purchases', { amount, pay_with: 'checkout' })
  expect([answer.status, answer.json.error.param]).toEqual([400, param])
})

test('the same request key asks for the same purchase, and for no other', async () => {
  const buyer = await newBuyer()
  const body = { amount: '20.00', pay_with: 'checkout', request_key: 'order-1' }
  const answers = await Promise.all(Array.from({ length: 8 }, () => buyer.call('POST', '/api/billing/purchases', body)))
  expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1)
  expect(new Set(answers.map(({ json }) => json.checkout_url)).size).toBe(1)
  const { rows } = await database.owner.query('select action from audit_log where organization_id = $1', [
    buyer.organization.id,
  ])
  expect(rows).toEqual([{ action: 'purchase.created' }])
  const other = await buyer.call('POST', '/api/billing/purchases', { ...body, amount: '30.00' })
  expect([other.status, other.json.error.code]).toEqual([409, 'request_key_in_use'])
})

test('a saved card is charged at once, listed, made the default, and forgotten', async () => {
  const buyer = await newBuyer()
  expect(
    (await buyer.call('POST', '/api/billing/purchases', { amount: '10.00', pay_with: 'card' })).json.error.code,
  ).toBe('no_card')
  await buy(buyer, '10.00', { save_card: true })
  const page = (await buyer.call('POST', '/api/billing/cards')).json.url
  const from = emulator.till.events.length
  await httpCall(page, { body: 'card=pm_card_mastercard' })
  await deliver(from, 5)
  const cards = (await buyer.call('GET', '/api/billing/cards')).json.data
  expect(cards).toMatchObject([
    { brand: 'visa', last4: '4242', is_default: true },
    { brand: 'mastercard', last4: '4444', is_default: false },
  ])
  expect((await buyer.call('PATCH', '/api/billing', { default_card: cards[1].id })).status).toBe(200)
  const bought = await buyer.call('POST', '/api/billing/purchases', { amount: '20.00', pay_with: 'card' })
  expect(bought.json).toMatchObject({ state: 'paid', total: '20.80' })
  const once = { amount: '20.00', pay_with: 'card', card: cards[0].id, request_key: 'once' }
  expect((await buyer.call('POST', '/api/billing/purchases', once)).json.state).toBe('paid')
  const other = await buyer.call('POST', '/api/billing/purchases', { ...once, card: cards[1].id })
  expect([other.status, other.json.error.code]).toEqual([409, 'request_key_in_use'])
  const left = await buyer.call('DELETE', `/api/billing/cards/${cards[1].id}`)
  expect(left.json.data).toMatchObject([{ last4: '4242', is_default: true }])
  // Of what Stripe has forgotten without being heard, nothing is left here either.
  emulator.till.detach(cards[0].id)
  const none = await buyer.call('DELETE', `/api/billing/cards/${cards[0].id}`)
  expect([none.status, none.json.data]).toEqual([200, []])
})

test('a top-up needs a card; its setting is audited', async () => {
  const buyer = await newBuyer()
  const top_up = { enabled: true, threshold: '5.00', amount: '20.00', monthly_cap: '100.00' }
  expect((await buyer.call('PATCH', '/api/billing', { top_up })).json.error.code).toBe('no_card')
  await buy(buyer, '10.00', { save_card: true })
  const set = await buyer.call('PATCH', '/api/billing', {
    top_up,
    company: 'Acme & Sons',
    low_balance_threshold: '3.00',
  })
  expect(set.json).toMatchObject({ company: 'Acme & Sons', low_balance_threshold: '3.00', top_up })
  const { rows } = await database.owner.query(
    `select action, after from audit_log where organization_id = $1 order by sequence`,
    [buyer.organization.id],
  )
  expect(rows.map(({ action }) => action)).toEqual(['purchase.created', 'purchase.paid', 'billing.updated'])
  expect(rows[2].after).toMatchObject({ company: 'Acme & Sons', top_up: { enabled: true, amount_cents: '2000' } })
})

test('events without Stripe’s signature change nothing', async () => {
  const buyer = await newBuyer()
  const begun = await buyer.call('POST', '/api/billing/purchases', { amount: '10.00', pay_with: 'checkout' })
  const from = emulator.till.events.length
  await httpCall(begun.json.checkout_url, { body: '' })
  for (const event of emulator.till.events.slice(from)) {
    const answer = await control.call('POST', '/api/stripe/webhook', {
      body: JSON.stringify(event),
      headers: { 'content-type': 'application/json', 'stripe-signature': 't=1,v1=00' },
    })
    expect(answer.status).toBe(400)
  }
  expect((await buyer.call('GET', '/api/billing')).json.balance).toBe('0.00')
})

test('the operator sets tiers and fees; what was bought keeps its own', async () => {
  const buyer = await newBuyer()
  const path = `/api/operator/organizations/${buyer.organization.id}/tier`
  const begun = await buyer.call('POST', '/api/billing/purchases', { amount: '100.00', pay_with: 'checkout' })
  expect((await asOperator('PUT', path, { tier: 'tier-2' })).status).toBe(200)
  expect((await buyer.call('GET', '/api/billing/quote?amount=100.00')).json.total).toBe('102.00')
  expect((await buyer.call('GET', `/api/billing/purchases/${begun.json.id}`)).json.total).toBe('104.00')
  expect(
    (await asOperator('PUT', '/api/operator/tiers/partner', { name: 'Partner', fee_percent: 1.25 })).json,
  ).toMatchObject({
    fee_percent: 1.25,
  })
  expect((await asOperator('PUT', path, { tier: 'partner' })).status).toBe(200)
  expect((await buyer.call('GET', '/api/billing/quote?amount=100.00')).json.fee).toBe('1.25')
  expect((await asOperator('PUT', path, { tier: 'nonesuch' })).status).toBe(400)
  const nowhere = '/api/operator/organizations/019a0000-0000-7000-8000-000000000000'
  expect((await asOperator('PUT', `${nowhere}/tier`, { tier: 'tier-2' })).status).toBe(404)
  expect((await asOperator('POST', `${nowhere}/grants`, { amount: '1.00' })).status).toBe(404)
  const { rows } = await database.owner.query(
    `select before, after from audit_log where organization_id = $1 and action = 'organization.tier_changed' order by sequence`,
    [buyer.organization.id],
  )
  expect(rows).toEqual([
    { before: { tier: 'pay-as-you-go' }, after: { tier: 'tier-2' } },
    { before: { tier: 'tier-2' }, after: { tier: 'partner' } },
  ])
})

test('the operator refunds a purchase in parts, and not more than was paid', async () => {
  const buyer = await newBuyer()
  const { id } = await buy(buyer, '100.00')
  const path = `/api/operator/purchases/${id}/refunds`
  const from = emulator.till.events.length
  const part = { amount: '52.00', request_key: 'ticket-1' }
  const [one, two] = await Promise.all([asOperator('POST', path, part), asOperator('POST', path, part)])
  expect([one!.json.reversed, two!.json.reversed]).toEqual(['52.00', '52.00'])
  expect((await buyer.call('GET', '/api/billing')).json.balance).toBe('50.00')
  const tooMuch = await asOperator('POST', path, { amount: '52.01', request_key: 'ticket-2' })
  expect([tooMuch.status, tooMuch.json.error.code]).toEqual([409, 'not_refundable'])
  const otherwise = await asOperator('POST', path, { ...part, amount: '1.00' })
  expect([otherwise.status, otherwise.json.error.code]).toEqual([409, 'request_key_in_use'])
  expect((await asOperator('POST', path, { request_key: 'ticket-3' })).json.reversed).toBe('104.00')
  await deliver(from, 10)
  expect((await buyer.call('GET', '/api/billing')).json.balance).toBe('0.00')
  const documents = (await buyer.call('GET', '/api/billing/invoices')).json.data
  expect(documents.map(({ kind, total }: { kind: string; total: string }) => [kind, total])).toEqual([
    ['credit-note', '-52.00'],
    ['credit-note', '-52.00'],
    ['invoice', '104.00'],
  ])
  // A credit note says which invoice it is about.
  const note = await buyer.call('GET', `/api/billing/invoices/${documents[0].id}/html`)
  expect(note.body).toContain(`Credit note ${documents[0].number}`)
  expect(note.body).toContain(`Refund of $52.00 of purchase ${id} (invoice ${documents[2].number})`)
  expect(await proveLedger(database.operator, buyer.organization.id)).toMatchObject(SOUND)
})

test('where Stripe isn’t configured credits can’t be bought, and the operator grants them', async () => {
  const buyer = await newBuyer()
  const call = (method: string, path: string, key: string, body?: object) =>
    withoutStripe.call(method, path, { key, ...(body && { body }) })
  const refused = await call('POST', '/api/billing/purchases', buyer.token, { amount: '10.00', pay_with: 'checkout' })
  expect([refused.status, refused.json.error.code]).toEqual([409, 'payments_not_configured'])
  expect((await withoutStripe.call('POST', '/api/stripe/webhook', { body: '{}' })).status).toBe(409)
  expect((await call('GET', '/api/billing', buyer.token)).json).toMatchObject({ can_purchase: false, balance: '0.00' })
  const path = `/api/operator/organizations/${buyer.organization.id}/grants`
  const grant = { amount: '25.00', reference: 'contract-7', note: 'Contract' }
  const grants = await Promise.all([1, 2, 3].map(() => call('POST', path, operator.token, grant)))
  expect(grants.filter(({ json }) => json.applied)).toHaveLength(1)
  expect((await call('GET', '/api/billing', buyer.token)).json.balance).toBe('25.00')
})

test('while Stripe can’t be reached a purchase says so, and the same request goes on later', async () => {
  const buyer = await newBuyer()
  const body = { amount: '10.00', pay_with: 'checkout', request_key: 'again' }
  // The customer is made first; neither that nor the two tries after it are answered.
  emulator.failNext('lost-before', 3)
  const refused = await buyer.call('POST', '/api/billing/purchases', body)
  expect([refused.status, refused.json.error.code]).toEqual([503, 'payments_unavailable'])
  expect(refused.headers['retry-after']).toBeDefined()
  const again = await buyer.call('POST', '/api/billing/purchases', body)
  expect(again.status).toBe(201)
  expect((await buyer.call('GET', '/api/billing/purchases')).json.data).toHaveLength(1)
})

test('an invoice is a page and a PDF, which say what was bought, by whom and from whom, whatever the names are', async () => {
  await asOperator('PATCH', '/api/operator/seller', {
    name: 'Nemo <Ltd>',
    address: '1 Reef Road\nSydney',
    tax_id: 'AU 1',
  })
  const buyer = await newBuyer()
  await buyer.call('PATCH', '/api/billing', { company: 'Łódź & 東京 <script>alert(1)</script>', email: 'a@b.test' })
  await buy(buyer, '100.00')
  const { id, number } = (await buyer.call('GET', '/api/billing/invoices')).json.data[0]
  const page = await buyer.call('GET', `/api/billing/invoices/${id}/html`)
  expect(page.headers['content-type']).toContain('text/html')
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  expect(page.body).not.toContain('<script')
  for (const text of [number, 'Nemo &lt;Ltd&gt;', 'Łódź &amp; 東京', '100.00', '4.00', '104.00', '1 Reef Road'])
    expect(page.body).toContain(text)
  const pdf = await fetch(`${control.url}/api/billing/invoices/${id}/pdf`, {
    headers: { authorization: `Bearer ${buyer.token}` },
  })
  expect(pdf.headers.get('content-type')).toBe('application/pdf')
  expect(pdf.headers.get('content-disposition')).toContain(`${number}.pdf`)
  const read = await PDFDocument.load(await pdf.arrayBuffer())
  const drawn = textOf(read)
  // Letters that the fonts don't have lose their accents, or are question marks.
  for (const text of [
    `Invoice ${number}`,
    'Nemo <Ltd>',
    '1 Reef Road',
    'Tax id AU 1',
    'Lódz & ?? <script>alert(1)</script>',
    'Prepaid credits',
    '100.00',
    '4.00',
    '104.00',
  ])
    expect(drawn).toContain(text)
  expect([read.getPageCount(), read.getTitle()]).toEqual([1, `Invoice ${number}`])
  // What is changed later changes no document.
  await buyer.call('PATCH', '/api/billing', { company: 'Other' })
  expect((await buyer.call('GET', `/api/billing/invoices/${id}/html`)).body).toBe(page.body)
})

test('a PDF takes names of any length in any script', async () => {
  const party = {
    name: '語'.repeat(200),
    address: `${'x'.repeat(900)}\n\n\u0301`,
    taxId: '\t\u200b',
    email: 'é@ü.test',
  }
  const bytes = await invoicePdf({
    number: 'N-1',
    kind: 'credit-note',
    issuedAt: new Date('2026-11-21T00:00:00Z'),
    seller: party,
    buyer: { ...party, address: Array.from({ length: 100 }, (_, i) => `line ${i}`).join('\n') },
    lines: [{ description: 'Prepaid credits', cents: -10_000n }],
    totalCents: -10_000n,
    note: 'Refund',
    footer: '🐠'.repeat(500),
  })
  const pdf = await PDFDocument.load(bytes)
  expect(pdf.getPageCount()).toBeGreaterThan(1)
  // Nothing is lost where a page ends, and nothing goes beyond its edge.
  for (const text of ['line 0', 'line 50', 'line 99', '-100.00', 'Total', 'Refund']) expect(textOf(pdf)).toContain(text)
  const font = await pdf.embedFont(StandardFonts.Helvetica)
  for (const text of textOf(pdf)) expect(font.widthOfTextAtSize(text, 10), text).toBeLessThan(595 - 2 * 56)
})

test('a PDF is one that other readers read: a header, a table of what is where, an end', async () => {
  const buyer = await newBuyer()
  await buy(buyer, '10.00')
  const { first_id } = (await buyer.call('GET', '/api/billing/invoices')).json
  const answer = await fetch(`${control.url}/api/billing/invoices/${first_id}/pdf`, {
    headers: { authorization: `Bearer ${buyer.token}` },
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  expect(answer.headers.get('content-length')).toBe(String(bytes.length))
  const text = bytes.toString('latin1')
  expect(text).toMatch(/^%PDF-1\.\d\n/)
  const [, at] = /startxref\n(\d+)\n%%EOF\s*$/.exec(text)!
  expect(text.slice(Number(at))).toMatch(/^(xref\n|\d+ 0 obj)/)
})

test('settings that would take money and never credit it are refused at start', () => {
  expect(readStripeSettings({})).toBe(null)
  expect(() => readStripeSettings({ STRIPE_SECRET_KEY: 'sk' })).toThrow('STRIPE_WEBHOOK_SECRET')
  const both = { STRIPE_SECRET_KEY: 'sk', STRIPE_WEBHOOK_SECRET: 'whsec' }
  expect(readStripeSettings(both)).toMatchObject({ apiBase: null })
  expect(() => readStripeSettings({ ...both, STRIPE_API_BASE: 'stripe' })).toThrow('STRIPE_API_BASE')
})

test('mail about money goes to the address for it, and else to who may buy', async () => {
  const owner = await newBuyer()
  const { organization } = owner
  const admin = await memberWithToken(database, organization.id, 'admin')
  await memberWithToken(database, organization.id, 'member')
  const contacts = await billingContacts(database.operator, organization.id)
  expect(contacts).toHaveLength(2)
  expect(contacts).toContain(admin.email)
  await owner.call('PATCH', '/api/billing', { email: 'money@acme.test' })
  expect(await billingContacts(database.operator, organization.id)).toEqual(['money@acme.test'])
})

/** What is drawn on the pages of a PDF of ours: texts are hexadecimal, in Latin-1 as far as these tests go. */
function textOf(pdf: PDFDocument): string[] {
  const streams = pdf.context.enumerateIndirectObjects().map(([, object]) => object)
  return streams
    .filter((object) => object instanceof PDFRawStream)
    .map((stream) => Buffer.from(decodePDFRawStream(stream).decode()).toString('latin1'))
    .flatMap((content) => [...content.matchAll(/<([0-9A-F]+)> Tj/g)])
    .map(([, hex]) => Buffer.from(hex!, 'hex').toString('latin1'))
}
