import type { Route } from '@nemo/api/route'
import { ROUTES } from '@nemo/api/routes'
import { uuidv7 } from '@nemo/domain/ids'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { memberWithToken, operatorWithSession } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

let world: World
let gateway: RunningGateway
let control: RunningControl
let cookie: string

beforeAll(async () => {
  world = await makeWorld()
  gateway = await runGateway(world)
  control = await runControl(world.database, { masterKey: world.masterKey, gateway: gateway.gateway })
  cookie = (await operatorWithSession(world.database)).cookie
})
afterAll(async () => {
  await control?.close()
  await gateway?.close()
  await world?.close()
})

const api = (method: string, path: string, body?: object) =>
  control.call(method, path, { cookie, ...(body && { body }) })
const chat = (key: string) =>
  httpCall(`${gateway.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hi' }] },
  })
const becomes = (key: string, status: number) =>
  vi.waitFor(async () => expect((await chat(key)).status).toBe(status), { timeout: 1_000, interval: 10 })

test('no route of the operator’s is for tenants, whatever they are in their organization', async () => {
  const { token } = await memberWithToken(world.database, world.acme.id, 'owner')
  let tried = 0
  for (const [operation, route] of Object.entries(ROUTES) as [string, Route][]) {
    if (route.access !== 'operator') continue
    tried++
    const answer = await control.call(route.method, route.path.replaceAll(/:[a-z_]+/g, uuidv7()), {
      key: token,
      ...(route.body && { body: route.example as object }),
    })
    expect([operation, answer.status, answer.json.error.code]).toEqual([operation, 403, 'permission_denied'])
  }
  expect(tried).toBeGreaterThan(35)
})

test('an organization is found by its name, its id, and the address of a member', async () => {
  const { email } = await memberWithToken(world.database, world.rival.id, 'viewer')
  const found = async (query: string) =>
    (await api('GET', `/api/operator/organizations?${query}`)).json.data.map(({ slug }: { slug: string }) => slug)
  expect(await found('q=RIV')).toEqual(['rival'])
  expect(await found(`q=${world.acme.id}`)).toEqual(['acme'])
  expect(await found(`q=${encodeURIComponent(email.toUpperCase())}`)).toEqual(['rival'])
  expect(await found('q=%25')).toEqual([])
  expect(await found('suspended=true')).toEqual([])
  const page = (await api('GET', '/api/operator/organizations?limit=1')).json
  expect(page).toMatchObject({ has_more: true, data: [{ slug: 'rival', tier: 'pay-as-you-go', balance: '5.00' }] })
  expect(await found(`limit=1&after=${page.last_id}`)).toEqual(['acme'])
  expect((await api('GET', `/api/operator/organizations/${uuidv7()}`)).status).toBe(404)
})

test('the keys of an organization that is suspended are refused within a second, and taken again as soon', async () => {
  const { id } = world.acme
  const { token } = await memberWithToken(world.database, id, 'owner')
  const { key } = world.researcher
  expect((await chat(key)).status).toBe(200)
  const suspended = await api('POST', `/api/operator/organizations/${id}/suspend`, { reason: 'Chargeback' })
  expect(suspended.json).toMatchObject({ id, suspended_at: expect.any(String) })
  await becomes(key, 401)
  expect((await chat(world.rivalKey.key)).status).toBe(200)
  expect((await control.call('GET', '/api/keys', { key: token })).status).toBe(200)
  const change = await control.call('POST', '/api/keys', { key: token, body: { alias: 'x' } })
  expect([change.status, change.json.error.code]).toEqual([403, 'organization_suspended'])
  // Again is no news.
  await api('POST', `/api/operator/organizations/${id}/suspend`, {})
  expect((await api('POST', `/api/operator/organizations/${id}/unsuspend`)).json.suspended_at).toBeNull()
  await becomes(key, 200)

  const { rows } = await world.database.operator.query(
    `select action, after->>'reason' as reason, actor_kind from audit_log where organization_id = $1 order by sequence`,
    [id],
  )
  expect(rows).toEqual([
    { action: 'organization.suspended', reason: 'Chargeback', actor_kind: 'operator' },
    { action: 'organization.unsuspended', reason: null, actor_kind: 'operator' },
  ])
})

test('what is decided for the platform holds for the next who signs up', async () => {
  expect((await api('GET', '/api/operator/settings')).json).toMatchObject({ sign_up: 'open', sign_up_grant: '5' })
  const changed = await api('PATCH', '/api/operator/settings', { sign_up: 'invited', sign_up_grant: '7.50' })
  expect(changed.json).toMatchObject({ sign_up: 'invited', sign_up_grant: '7.5' })
  const refused = await control.call('POST', '/api/auth/sign-up', {
    body: { email: 'new@example.com', password: 'correct horse battery', name: 'New' },
  })
  expect(refused.status).toBe(403)
  expect((await api('PATCH', '/api/operator/settings', { sign_up_grant: '-1' })).status).toBe(400)
  expect((await api('PATCH', '/api/operator/settings', { sign_up: 'open' })).json).toMatchObject({
    sign_up: 'open',
    sign_up_grant: '7.5',
  })
})

test('the platform tells how it is: its database, its processes, this one’s journal, what cools, and its books', async () => {
  const health = (await api('GET', '/api/operator/health')).json
  expect(health).toMatchObject({
    database: { version: expect.stringMatching(/^\d+/), pending_migrations: [], connections: expect.any(Number) },
    processes: [{ id: gateway.gateway.ledger.processId, state: 'alive' }],
    this_process: { id: gateway.gateway.ledger.processId, active_calls: 0 },
    cooling: [],
    quarantined_prices: 0,
  })
  const cooling = await world.deploy('dying', 'http://127.0.0.1:1')
  await world.database.owner.query(
    `insert into deployment_health (organization_id, deployment_id, cooling_until, asked, fault) values ($1, $2, now() + interval '1 hour', false, '503')`,
    [world.acme.id, cooling],
  )
  expect((await api('GET', '/api/operator/health')).json.cooling).toMatchObject([
    {
      deployment_id: cooling,
      group: 'dying',
      model: 'sandbox/sandbox-chat',
      organization_id: world.acme.id,
      fault: '503',
    },
  ])
  const alone = await runControl(world.database)
  const answer = await alone.call('GET', '/api/operator/health', { cookie })
  expect(answer.json.this_process).toBeNull()
  const types = await alone.call('GET', '/api/operator/provider-types', { cookie })
  expect([types.status, types.json.error.code]).toEqual([409, 'gateway_elsewhere'])
  await alone.close()
  expect((await api('POST', '/api/operator/proof')).json).toEqual({
    object: 'ledger_proof',
    ...{ sound: true, overspent: 0, held_drift: 0, balance_drift: 0, entry_drift: 0, purchase_drift: 0 },
  })
})
