import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { memberWithToken } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** How an organization wants its calls treated, as its admins say, and as the data plane then does. */
let world: World
let control: RunningControl
let gateway: RunningGateway
let admin: string
const path = '/api/organization/settings'

beforeAll(async () => {
  world = await makeWorld()
  control = await runControl(world.database)
  gateway = await runGateway(world)
  admin = (await memberWithToken(world.database, world.acme.id, 'admin')).token
})
afterAll(async () => {
  await gateway?.close()
  await control?.close()
  await world?.close()
})

const change = (body: object) => control.call('PATCH', path, { key: admin, body })

const call = (body: object = {}) =>
  httpCall(`${gateway.url}/chat/completions`, {
    key: world.researcher.key,
    body: { model: 'sandbox-chat', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }], ...body },
  })

test('a strategy, a chain and the rest are said, shown, audited, and held to by the data plane within a second', async () => {
  await world.deploy('spare', world.sandbox.url)
  expect((await control.call('GET', path, { key: admin })).json).toEqual({
    object: 'organization_settings',
    ...{ strategy: 'simple-shuffle', uncapped: 'clamp', drop_unsupported: false, keep_responses: false, routing: {} },
  })
  const routing = { retries_max: 0, cooldown_ms: 100, groups: { 'sandbox-chat': { chain: ['spare'] } } }
  const changed = await change({ strategy: 'least-busy', routing })
  expect(changed.json).toMatchObject({ strategy: 'least-busy', uncapped: 'clamp', routing })
  expect((await control.call('GET', path, { key: admin })).json).toEqual(changed.json)
  await vi.waitFor(async () => expect((await call()).headers['x-nemo-strategy']).toBe('least-busy'), 5_000)
  const failing = await call({ sandbox: { status: 500 } })
  expect(failing.headers['x-nemo-attempts']).toMatch(/=500, .*=500$/)
  expect(failing.headers['x-nemo-fallback-used']).toBe('true')

  // What isn't named stays; routing is replaced as a whole.
  expect((await change({ drop_unsupported: true })).json).toMatchObject({ routing, drop_unsupported: true })
  expect((await change({ routing: {} })).json).toMatchObject({ strategy: 'least-busy', routing: {} })
  const { json } = await control.call('GET', '/api/audit?action=organization.settings_updated', { key: admin })
  expect(json.data.map(({ after }: { after: object }) => after)).toEqual([
    { routing: {} },
    { drop_unsupported: true },
    { strategy: 'least-busy', routing },
  ])
})

const named = (group: object) => ({ routing: { groups: { 'sandbox-chat': group } } })

test.each<[string, object]>([
  ['strategy', { strategy: 'fastest' }],
  ['routing.retries_max', { routing: { retries_max: 11 } }],
  ['routing.total_timeout_ms', { routing: { total_timeout_ms: 0 } }],
  ['routing.retriesMax', { routing: { retriesMax: 1 } }],
  ['routing.groups.x.chain', { routing: { groups: { x: { chain: ['a', 'b', 'c', 'd', 'e'] } } } }],
  ['routing.groups.x.weights.y', { routing: { groups: { x: { weights: { y: -1 } } } } }],
  ['routing.groups.no-such-group', { routing: { groups: { 'no-such-group': { chain: [] } } } }],
  ['routing.groups.sandbox-chat.chain[1]', named({ chain: ['sandbox-chat', 'sandbox-chaat'] })],
  ['routing.groups.sandbox-chat.drop[0]', named({ drop: ['sandbox/sandbox-chaat'] })],
  ['routing.groups.sandbox-chat.drop[1]', named({ drop: ['sandbox/sandbox-chat', 'a\0b'] })],
  ['routing.groups.sandbox-chat.weights.sandbox/x', named({ weights: { 'sandbox/sandbox-chat': 2, 'sandbox/x': 3 } })],
  ['routing.groups', { routing: { groups: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [i, {}])) } }],
])('a wrong %s is named', async (param, body) => {
  const { status, json } = await change(body)
  expect([status, json.error.param]).toEqual([400, param])
})

test('another organization’s groups are as unknown as those that aren’t there', async () => {
  await world.deploy('theirs', world.sandbox.url, { organization: world.rival })
  const { status, json } = await change(named({ chain: ['theirs'] }))
  expect([status, json.error.param]).toEqual([400, 'routing.groups.sandbox-chat.chain[0]'])
  expect(json.error.message).toBe('There is no model group "theirs".')
})

test('a member only looks', async () => {
  const { token: key } = await memberWithToken(world.database, world.acme.id, 'member')
  expect((await control.call('GET', path, { key })).status).toBe(200)
  expect((await control.call('PATCH', path, { key, body: { drop_unsupported: false } })).status).toBe(403)
})
