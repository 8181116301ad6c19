import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseNetwork } from '@nemo/domain/address'
import { uuidv7 } from '@nemo/domain/ids'
import { seal, unseal } from '@nemo/domain/vault'
import { newWebhookSecret } from '@nemo/domain/webhook-signature'
import { appendAudit, listAudit } from '@nemo/postgres/audit'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { changeSealedSecrets } from '@nemo/postgres/sealed-secrets'
import { withOrganization } from '@nemo/postgres/tenancy'
import { emitEvent } from '@nemo/postgres/webhook-events'
import {
  announceLimitEvents,
  createWebhookEndpoint,
  findWebhookDelivery,
  findWebhookEndpoint,
  forgetOldEvents,
  listWebhookDeliveries,
  replayDelivery,
  rotateWebhookSecret,
  updateWebhookEndpoint,
} from '@nemo/postgres/webhooks'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { memberWithToken } from '@nemo/testing/signed-in'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Letter } from '../mail/mail.ts'
import { Outbound } from '../outbound/outbound.ts'
import { secretContext, WebhookSender } from './sender.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const masterKey = randomBytes(32)
let database: TestDatabase
let acme: Organization
let outbound: Outbound
let sender: WebhookSender
let server: Server
let url: string
let received: Received[]
let letters: Letter[]
let answer: (response: ServerResponse) => void

beforeAll(async () => {
  database = await freshDatabase()
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers, body })
    answer(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://hook.test:${(server.address() as AddressInfo).port}/hook`
  outbound = new Outbound({ allowHttp: true, allowedNetworks: [parseNetwork('127.0.0.1')!] }, async () => ['127.0.0.1'])
})
beforeEach(async () => {
  received = []
  letters = []
  answer = (response) => response.end('thanks')
  acme = await createOrganization(database.operator, 'acme', `acme-${uuidv7()}`)
  sender = newSender()
})
afterEach(async () => {
  // What a test leaves behind is nothing for the next one to send.
  await database.owner.query('truncate webhook_endpoints, webhook_events cascade')
})
afterAll(async () => {
  server.close().closeAllConnections()
  await outbound.close()
  await database.close()
})

const unexpected = (context: object, message: string) => expect.fail(`${message} ${JSON.stringify(context)}`)

const newSender = (key = masterKey, warn: (context: object, message: string) => void = unexpected) =>
  new WebhookSender({
    operator: database.operator,
    outbound,
    masterKey: key,
    chance: () => 0.5,
    mail: { send: (letter) => letters.push(letter) },
    publicUrl: 'https://nemo.test',
    log: { warn },
  })

const asAcme = <T>(act: Parameters<typeof withOrganization<T>>[2]) => withOrganization(database.app, acme.id, act)

async function endpoint(events = ['*'], to = url): Promise<{ id: string; secret: string }> {
  const [id, secret] = [uuidv7(), newWebhookSecret()]
  const sealedSecret = seal(masterKey, secret, secretContext(id))
  await asAcme((tx) =>
    createWebhookEndpoint(tx, { id, organizationId: acme.id, url: to, description: '', events, sealedSecret }),
  )
  return { id, secret }
}

const emit = (type = 'credits.low', data: object = { balance_usd: '1.00' }) =>
  asAcme((tx) => emitEvent(tx, { organizationId: acme.id, type, data }))

async function send(by = sender): Promise<void> {
  while ((await by.sendDue()) > 0) await by.settled()
}

/** Lets time pass for what waits to be tried. */
const sendLater = async () => {
  await database.owner.query(`update webhook_deliveries set next_try_at = now() where state = 'pending'`)
  await send()
}

const deliveries = async (endpointId: string) =>
  asAcme((tx) => listWebhookDeliveries(tx, { endpointId }, { limit: 100 }))

function verified({ headers, body }: Received, secret: string): boolean {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
    .update(signed)
    .digest('base64')
  const fresh = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300
  return fresh && String(headers['webhook-signature']).split(' ').includes(`v1,${expected}`)
}

test('an event is sent once, signed, to each endpoint that asked for it', async () => {
  const [all, some, none] = [
    await endpoint(),
    await endpoint(['credits.*', 'credits.low']),
    await endpoint(['key.created']),
  ]
  await emit()
  await send()
  await send()
  expect(received).toHaveLength(2)
  expect(received.filter((one) => verified(one, all.secret))).toHaveLength(1)
  expect(received.filter((one) => verified(one, some.secret))).toHaveLength(1)
  const [first, second] = received
  expect(first!.headers['webhook-id']).toBe(second!.headers['webhook-id'])
  expect(first!.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': expect.stringMatching(/^msg_[0-9a-f]{32}$/),
  })
  expect(JSON.parse(first!.body)).toEqual({
    type: 'credits.low',
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    organization_id: acme.id,
    data: { balance_usd: '1.00' },
  })
  expect(await deliveries(all.id)).toMatchObject([
    { state: 'delivered', tries: 1, last_status: 200, last_error: null, next_try_at: null },
  ])
  expect(await deliveries(none.id)).toEqual([])
})

test('what is rolled back is never sent, and what nobody asked for leaves no trace', async () => {
  await endpoint(['key.created'])
  await emit()
  await asAcme(async (tx) => {
    await emitEvent(tx, { organizationId: acme.id, type: 'key.created', data: {} })
    throw new Error('rolled back')
  }).catch(() => {})
  await send()
  expect(received).toEqual([])
  expect(
    (await database.owner.query('select from webhook_events where organization_id = $1', [acme.id])).rowCount,
  ).toBe(0)
})

test('the audit log is sent to who asked for it, with what shows that nothing is missing', async () => {
  const siem = await endpoint(['audit.*'])
  const entry = await asAcme((tx) =>
    appendAudit(tx, {
      organizationId: acme.id,
      actor: { kind: 'user', id: 'u1' },
      address: '192.0.2.1',
      action: 'key.created',
      subject: { type: 'key', id: 'k1' },
      after: { key: 'sk-nemo-abcdefghijklmnopqrstuvwxyz' },
    }),
  )
  await send()
  expect(received).toHaveLength(1)
  expect(verified(received[0]!, siem.secret)).toBe(true)
  expect(JSON.parse(received[0]!.body)).toMatchObject({ type: 'audit.key.created', data: entry })
  expect(received[0]!.body).not.toContain('abcdefghijkl')
})

test('a try that fails is made again later and later, ten times in all, with the same id and body', async () => {
  const { id, secret } = await endpoint()
  const wanted = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
  answer = (response) => response.writeHead(503).end('down')
  await emit()
  await send()
  for (const [i, seconds] of wanted.entries()) {
    const { rows } = await database.owner.query(
      `select state, tries, extract(epoch from next_try_at - clock_timestamp())::float as wait from webhook_deliveries where endpoint_id = $1`,
      [id],
    )
    expect(rows[0]).toMatchObject({ state: 'pending', tries: i + 1 })
    expect(rows[0].wait).toBeGreaterThan(seconds * 0.9 - 5)
    expect(rows[0].wait).toBeLessThanOrEqual(seconds)
    await sendLater()
  }
  await sendLater()
  expect(received).toHaveLength(10)
  expect(new Set(received.map((one) => one.headers['webhook-id'] + one.body)).size).toBe(1)
  expect(received.every((one) => verified(one, secret))).toBe(true)
  const [delivery] = await deliveries(id)
  expect(delivery).toMatchObject({ state: 'dead', tries: 10, last_status: 503, next_try_at: null })
  const shown = await asAcme((tx) => findWebhookDelivery(tx, delivery!.id))
  expect(shown!.attempts).toHaveLength(10)
  expect(shown).toMatchObject({
    body: received[0]!.body,
    attempts: expect.arrayContaining([expect.objectContaining({ status: 503, response: 'down' })]),
  })
  // Ten tries at once are no reason to switch it off: only days are.
  expect(await asAcme((tx) => findWebhookEndpoint(tx, id))).toMatchObject({
    enabled: true,
    failing_since: expect.any(Date),
  })

  answer = (response) => response.writeHead(204).end()
  expect(await asAcme((tx) => replayDelivery(tx, delivery!.id))).toBe(true)
  await send()
  expect(received).toHaveLength(11)
  expect(received[10]!.headers['webhook-id']).toBe(received[0]!.headers['webhook-id'])
  expect(await deliveries(id)).toMatchObject([{ state: 'delivered', tries: 1 }])
  expect(await asAcme((tx) => findWebhookEndpoint(tx, id))).toMatchObject({ failing_since: null })
})

test.each([
  ['a redirect', (response: ServerResponse) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end()],
  ['a hang-up', (response: ServerResponse) => response.destroy()],
  ['400', (response: ServerResponse) => response.writeHead(400).end()],
])('%s is a failure', async (_, how) => {
  const { id } = await endpoint()
  answer = how
  await emit()
  await send()
  expect(await deliveries(id)).toMatchObject([{ state: 'pending', tries: 1 }])
  expect(received).toHaveLength(1)
})

test('a receiver that asks for time gets it', async () => {
  const { id } = await endpoint()
  answer = (response) => response.writeHead(429, { 'retry-after': '900' }).end()
  await emit()
  await send()
  const [delivery] = await deliveries(id)
  expect(delivery!.next_try_at!.getTime() - Date.now()).toBeGreaterThan(890_000)
})

test('an address that isn’t public is never called, and the log says so without naming it', async () => {
  const { id } = await endpoint(['*'], 'https://169.254.169.254/latest/meta-data')
  await emit()
  await send()
  expect(await deliveries(id)).toMatchObject([
    { state: 'pending', last_status: null, last_error: 'the host has an address that is not public' },
  ])
  expect(received).toEqual([])
})

test('only the first kilobyte of an answer is kept, and what no text can hold is replaced', async () => {
  const { id } = await endpoint()
  answer = (response) => response.end(`\u0000${'é'.repeat(3_000)}`)
  await emit()
  await send()
  const [delivery] = await deliveries(id)
  const shown = await asAcme((tx) => findWebhookDelivery(tx, delivery!.id))
  expect(shown!.attempts[0]!.response).toMatch(/^\ufffdé{500,511}\ufffd?$/)
})

test('an endpoint that is gone is switched off at once; one that fails for days with its last try; the audit log and a mail say so', async () => {
  const [owner, admin] = [
    await memberWithToken(database, acme.id),
    await memberWithToken(database, acme.id, 'admin'),
    await memberWithToken(database, acme.id, 'member'),
  ]
  const [gone, failing] = [await endpoint(['key.created']), await endpoint(['credits.low'])]
  answer = (response) => response.writeHead(410).end()
  await emit('key.created', {})
  await send()
  expect(await asAcme((tx) => findWebhookEndpoint(tx, gone.id))).toMatchObject({
    enabled: false,
    disabled_because: 'gone',
  })

  answer = (response) => response.writeHead(500).end()
  await emit()
  await send()
  const off = async () => asAcme(async (tx) => (await findWebhookEndpoint(tx, failing.id))!.disabled_because)
  await database.owner.query(`update webhook_endpoints set failing_since = now() - interval '4 days' where id = $1`, [
    failing.id,
  ])
  await sendLater()
  expect(await off()).toBe(null)
  await database.owner.query('update webhook_deliveries set tries = 9 where endpoint_id = $1', [failing.id])
  await emit()
  await sendLater()
  expect(await off()).toBe('failing')
  const entries = await asAcme((tx) => listAudit(tx, { action: 'webhook.disabled' }, { limit: 10 }))
  expect(entries.map((one) => [one.actor.kind, one.subject.id, one.after])).toEqual([
    ['system', failing.id, { enabled: false, disabled_because: 'failing' }],
    ['system', gone.id, { enabled: false, disabled_because: 'gone' }],
  ])

  expect(letters.map(({ to }) => to)).toEqual([owner.email, admin.email, owner.email, admin.email])
  expect(letters[0]!.text).toContain('It answered 410')
  expect(letters[2]!.text).toContain('Nothing has reached it for days')
  for (const { subject, text } of letters) {
    expect(subject).toMatch(/^Your webhook at hook\.test:\d+ was switched off$/)
    expect(text).not.toContain('/hook')
  }

  // Nothing more comes, new or waiting, until someone switches it on.
  const before = received.length
  await emit()
  await sendLater()
  expect(received).toHaveLength(before)
  answer = (response) => response.end()
  await asAcme((tx) => updateWebhookEndpoint(tx, failing.id, { enabled: true }))
  await sendLater()
  expect((await deliveries(failing.id)).map((one) => one.state)).toEqual(['delivered', 'dead'])
})

test('after a change of secret both sign for a while, and then only the new one', async () => {
  const { id, secret } = await endpoint()
  const next = newWebhookSecret()
  await asAcme((tx) => rotateWebhookSecret(tx, id, seal(masterKey, next, secretContext(id)), 3_600))
  await emit()
  await send()
  expect([secret, next].map((one) => verified(received[0]!, one))).toEqual([true, true])
  await database.owner.query(`update webhook_endpoints set previous_secret_until = now()`)
  await emit()
  await send()
  expect([secret, next].map((one) => verified(received[1]!, one))).toEqual([false, true])
})

test('secrets can be sealed anew under another master key, and sign as before', async () => {
  const { id, secret } = await endpoint()
  const next = newWebhookSecret()
  await asAcme((tx) => rotateWebhookSecret(tx, id, seal(masterKey, next, secretContext(id)), 3_600))
  const otherKey = randomBytes(32)
  await changeSealedSecrets(
    database.operator,
    ({ sealed, context }) => seal(otherKey, unseal(masterKey, sealed, context), context),
    () => {},
  )
  await emit()
  await send(newSender(otherKey))
  expect([secret, next].map((one) => verified(received[0]!, one))).toEqual([true, true])
})

test('a secret that doesn’t open is our trouble: the log of deliveries doesn’t say which key is missing', async () => {
  const { id } = await endpoint()
  await emit()
  const told: string[] = []
  await send(newSender(randomBytes(32), (_, message) => told.push(message)))
  expect(await deliveries(id)).toMatchObject([{ state: 'pending', last_error: 'something failed on our side' }])
  expect(told).toEqual(['a webhook could not be sent'])
})

test('several processes send each event once between them', async () => {
  const { id } = await endpoint()
  for (let i = 0; i < 60; i++) await emit('credits.low', { i })
  await Promise.all([newSender(), newSender(), newSender()].map((one) => send(one)))
  expect(new Set(received.map(({ body }) => JSON.parse(body).data.i)).size).toBe(60)
  expect(received).toHaveLength(60)
  expect((await deliveries(id)).every((delivery) => delivery.state === 'delivered' && delivery.tries === 1)).toBe(true)
})

test('an endpoint that doesn’t answer keeps no other waiting', async () => {
  const slow = await endpoint(['key.created'])
  await endpoint(['credits.low'])
  for (let i = 0; i < 60; i++) await emit('key.created', { i })
  const held: ServerResponse[] = []
  answer = (response) => held.push(response)
  while ((await sender.sendDue()) > 0);
  await expect.poll(() => held.length).toBe(10)
  answer = (response) => response.end()
  await emit('credits.low', {})
  expect(await sender.sendDue()).toBe(1)
  await expect.poll(() => received.length).toBe(11)
  expect(JSON.parse(received[10]!.body).type).toBe('credits.low')
  for (const response of held) response.end()
  await sender.settled()
  await send()
  expect((await deliveries(slow.id)).every((delivery) => delivery.state === 'delivered')).toBe(true)
})

test('what a process took and never told of is sent by another, once its lease has passed', async () => {
  const { id } = await endpoint()
  await emit()
  await database.owner.query(`update webhook_deliveries set tries = 1, next_try_at = now() + interval '1 minute'`)
  await send()
  expect(received).toEqual([])
  await sendLater()
  expect(received).toHaveLength(1)
  expect(await deliveries(id)).toMatchObject([{ state: 'delivered', tries: 2 }])
})

test('a limit that was crossed is told once, with what it is', async () => {
  await endpoint(['limit.crossed'])
  await database.owner.query(`update limit_events set announced = true`)
  const limit = uuidv7()
  await database.operator.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound) values ($1, $2, 'team', $3, 'cost', 'day', 5000000000)`,
    [limit, acme.id, acme.defaultTeamId],
  )
  await database.owner.query(
    `insert into limit_events (limit_id, window_start, percent, organization_id) values ($1, '2026-01-02', 80, $2)`,
    [limit, acme.id],
  )
  const announced = await Promise.all([1, 2, 3].map(() => announceLimitEvents(database.operator)))
  expect(announced.reduce((sum, count) => sum + count, 0)).toBe(1)
  await send()
  expect(received.map(({ body }) => JSON.parse(body))).toMatchObject([
    {
      type: 'limit.crossed',
      data: {
        limit_id: limit,
        subject: { type: 'team', id: acme.defaultTeamId, name: 'Default' },
        resource: 'cost',
        window: 'day',
        window_start: '2026-01-02T00:00:00.000Z',
        percent: 80,
        bound: '5.00',
      },
    },
  ])
})

test('events are forgotten after 30 days, with what became of them', async () => {
  const { id } = await endpoint()
  await emit()
  await send()
  await database.owner.query(`update webhook_events set created_at = now() - interval '31 days'`)
  await emit()
  expect(await forgetOldEvents(database.operator)).toBe(1)
  expect(await deliveries(id)).toHaveLength(1)
  expect((await database.owner.query('select from webhook_attempts')).rowCount).toBe(0)
})

test('tenants can’t read a secret, sealed as it is', async () => {
  await endpoint()
  for (const column of ['secret', 'previous_secret', '*'])
    await expect(asAcme((tx) => tx.query(`select ${column} from webhook_endpoints`))).rejects.toThrow(
      'permission denied',
    )
})
