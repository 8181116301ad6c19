import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseNetwork } from '@nemo/domain/address'
import { uuidv7 } from '@nemo/domain/ids'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { memberWithToken } from '@nemo/testing/signed-in'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl
let acme: Organization
let ada: Awaited<ReturnType<typeof memberWithToken>>
let grace: typeof ada
let server: Server
let url: string
let status = 200
let received: { headers: IncomingHttpHeaders; body: string }[] = []

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers, body })
    response.writeHead(status).end('seen')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  database = await freshDatabase()
  control = await runControl(database, { outbound: { allowHttp: true, allowedNetworks: [parseNetwork('127.0.0.1')!] } })
  acme = await createOrganization(database.operator, 'acme', 'acme')
  const rival = await createOrganization(database.operator, 'rival', 'rival')
  ada = await memberWithToken(database, acme.id)
  grace = await memberWithToken(database, rival.id)
})
beforeEach(() => {
  received = []
  status = 200
})
afterAll(async () => {
  server?.close().closeAllConnections()
  await control?.close()
  await database?.close()
})

const call = (method: string, path: string, body?: object, who = ada) =>
  control.call(method, `/api/webhooks${path}`, { key: who.token, ...(body && { body }) })

const create = async (events: string[], to = url) =>
  (await call('POST', '', { url: to, events, description: 'SIEM' })).json

const arrived = (count = 1) => expect.poll(() => received.length, { timeout: 5_000 }).toBe(count)

function verified({ headers, body }: (typeof received)[number], secret: string): boolean {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const signature = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
    .update(signed)
    .digest('base64')
  return String(headers['webhook-signature']).split(' ').includes(`v1,${signature}`)
}

const NOWHERE = { url: 'https://hook.test/', events: ['webhook.test'] }

test('an endpoint is made with a secret that is shown once, listed, changed, and deleted', async () => {
  const made = await call('POST', '', { ...NOWHERE, description: 'first' })
  expect(made.status).toBe(201)
  expect(made.json).toMatchObject({
    object: 'webhook',
    enabled: true,
    secret: expect.stringMatching(/^whsec_/),
    events: ['webhook.test'],
  })
  const { id, secret } = made.json
  const shown = await call('GET', `/${id}`)
  expect(shown.json).toMatchObject({ id, url: 'https://hook.test/', description: 'first', disabled_because: null })
  const list = await call('GET', '')
  expect(list.json.data[0].id).toBe(id)
  expect(shown.body + list.body).not.toContain('whsec_')

  const changed = await call('PATCH', `/${id}`, { enabled: false, events: ['key.*'] })
  expect(changed.json).toMatchObject({
    enabled: false,
    disabled_because: 'asked',
    events: ['key.*'],
    description: 'first',
  })
  expect((await call('PATCH', `/${id}`, { enabled: true })).json).toMatchObject({
    enabled: true,
    disabled_because: null,
  })
  const rotated = (await call('POST', `/${id}/rotate`, { overlap_hours: 1 })).json
  expect(rotated.secret).not.toBe(secret)
  expect(Date.parse(rotated.previous_secret_until) - Date.now()).toBeGreaterThan(3_500_000)
  expect((await call('DELETE', `/${id}`)).json).toEqual({ id, object: 'webhook', deleted: true })
  expect((await call('GET', `/${id}`)).status).toBe(404)

  const { json } = await control.call('GET', '/api/audit?subject=webhook', { key: ada.token })
  expect(json.data.map((entry: { action: string }) => entry.action)).toEqual([
    'webhook.deleted',
    'webhook.secret_rotated',
    'webhook.updated',
    'webhook.updated',
    'webhook.created',
  ])
  expect(json.data[3]).toMatchObject({
    before: { enabled: true, events: ['webhook.test'] },
    after: { enabled: false, events: ['key.*'] },
  })
  expect(JSON.stringify(json)).not.toMatch(/whsec_/)
})

test.each([
  ['an address that isn’t public', { ...NOWHERE, url: 'https://10.0.0.1/' }, 'webhook_url_refused', 'url'],
  ['metadata', { ...NOWHERE, url: 'http://169.254.169.254/latest' }, 'webhook_url_refused', 'url'],
  ['a port of mail', { ...NOWHERE, url: 'https://hook.test:25/' }, 'webhook_url_refused', 'url'],
  ['what is no URL', { ...NOWHERE, url: 'hook' }, 'invalid_request', 'url'],
  ['what is no event', { ...NOWHERE, events: ['audit.*', 'nothing'] }, 'invalid_request', 'events[1]'],
  ['no events', { ...NOWHERE, events: [] }, 'invalid_request', 'events'],
  ['what isn’t asked for', { ...NOWHERE, secret: 'whsec_mine' }, 'invalid_request', 'secret'],
])('an endpoint is refused with %s', async (_, body, code, param) => {
  const answer = await call('POST', '', body)
  expect([answer.status, answer.json.error.code, answer.json.error.param]).toEqual([400, code, param])
})

test('a test event arrives, signed, is in the log of deliveries, and can be sent again', async () => {
  const { id, secret } = await create(['limit.crossed'])
  const sent = await call('POST', `/${id}/test`)
  expect(sent.status).toBe(202)
  await arrived()
  expect(verified(received[0]!, secret)).toBe(true)
  expect(received[0]!.headers['webhook-id']).toBe(sent.json.id)
  const delivered = () => call('GET', `/${id}/deliveries?state=delivered`)
  await expect.poll(async () => (await delivered()).json.data.length).toBe(1)
  const [delivery] = (await delivered()).json.data
  expect(delivery).toMatchObject({
    webhook_id: id,
    event_id: sent.json.id,
    event_type: 'webhook.test',
    tries: 1,
    last_status: 200,
  })
  const detail = await call('GET', `/${id}/deliveries/${delivery.id}`)
  expect(detail.json).toMatchObject({
    body: received[0]!.body,
    attempts: [{ status: 200, response: 'seen', error: null }],
  })

  expect((await call('POST', `/${id}/deliveries/${delivery.id}/replay`)).json).toMatchObject({
    state: 'pending',
    tries: 0,
  })
  await arrived(2)
  expect(received[1]!.headers['webhook-id']).toBe(sent.json.id)
  const replays = await database.owner.query(
    `select after from audit_log where action = 'webhook.replayed' and subject_id = $1`,
    [id],
  )
  expect(replays.rows).toEqual([{ after: { delivery_id: delivery.id } }])

  await call('PATCH', `/${id}`, { enabled: false })
  for (const path of [`/${id}/test`, `/${id}/deliveries/${delivery.id}/replay`])
    expect((await call('POST', path)).json.error.code).toBe('webhook_disabled')
  await call('DELETE', `/${id}`)
})

test('what is done over the API reaches a SIEM, from its own beginning on', async () => {
  const siem = await create(['audit.*'])
  const { id } = await create(['key.created'])
  await arrived(2)
  expect(received.every((one) => verified(one, siem.secret))).toBe(true)
  const events = received.map(({ body }) => JSON.parse(body)).sort((a, b) => a.data.sequence - b.data.sequence)
  expect(events.map((event) => event.data.subject.id)).toEqual([siem.id, id])
  expect(events[1]).toMatchObject({
    type: 'audit.webhook.created',
    organization_id: acme.id,
    data: { action: 'webhook.created', actor: { id: ada.userId }, previous_hash: events[0].data.hash },
  })
  expect(JSON.stringify(received.map((one) => one.body))).not.toContain('whsec_')
  await call('DELETE', `/${siem.id}`)
})

test('of another organization there is nothing to be seen, changed or sent again: the same 404 as for what there isn’t', async () => {
  const { id } = await create(['limit.crossed'])
  await call('POST', `/${id}/test`)
  await arrived()
  const delivery = (await call('GET', `/${id}/deliveries`)).json.data[0].id
  const none = uuidv7()
  const calls: [string, (id: string, delivery: string) => string, object?][] = [
    ['GET', (id) => `/${id}`],
    ['PATCH', (id) => `/${id}`, { enabled: false }],
    ['DELETE', (id) => `/${id}`],
    ['POST', (id) => `/${id}/rotate`, {}],
    ['POST', (id) => `/${id}/test`],
    ['GET', (id) => `/${id}/deliveries`],
    ['GET', (id, delivery) => `/${id}/deliveries/${delivery}`],
    ['POST', (id, delivery) => `/${id}/deliveries/${delivery}/replay`],
  ]
  for (const [method, path, body] of calls) {
    const [foreign, missing] = [
      await call(method, path(id, delivery), body, grace),
      await call(method, path(none, none), body, grace),
    ]
    expect([foreign.status, foreign.body], path(':id', ':delivery')).toEqual([404, missing.body])
  }
  expect((await call('GET', '', undefined, grace)).json.data).toEqual([])
  // A delivery is found under its own endpoint only.
  const other = await create(['limit.crossed'])
  expect((await call('GET', `/${other.id}/deliveries/${delivery}`)).status).toBe(404)
})

test('an organization has at most fifty, also when they are made at once', async () => {
  const tenth = await createOrganization(database.operator, 'many', 'many')
  const many = await memberWithToken(database, tenth.id)
  const answers = await Promise.all(Array.from({ length: 55 }, () => call('POST', '', NOWHERE, many)))
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(50)
  expect(answers.find((answer) => answer.status === 409)!.json.error.code).toBe('too_many_webhooks')
})

test('the secret is in the database only sealed', async () => {
  const { secret } = await create(['limit.crossed'])
  const { rows } = await database.owner.query(
    `select encode(secret, 'escape') as text, webhook_endpoints::text as row from webhook_endpoints`,
  )
  for (const { text, row } of rows) for (const part of [secret, secret.slice(6)]) expect(text + row).not.toContain(part)
})
