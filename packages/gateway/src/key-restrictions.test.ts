import { parseNetwork } from '@nemo/domain/address'
import { KEY_ENDPOINTS } from '@nemo/domain/key-endpoints'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ROUTES } from './routes.ts'

/** What a key may call, and from where: held on every route of the data plane. */
let world: World
let direct: RunningGateway
let behindProxies: RunningGateway

beforeAll(async () => {
  world = await makeWorld()
  direct = await runGateway(world)
  behindProxies = await runGateway(world, {
    trustedProxies: ['127.0.0.0/8', '10.9.0.0/16', 'fd09::/16'].map((text) => parseNetwork(text)!),
  })
})

afterAll(async () => {
  await Promise.all([direct?.close(), behindProxies?.close()])
  await world?.close()
})

const chat = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }
const call = (key: string, forwarded?: string, through = direct) =>
  httpCall(`${through.url}/chat/completions`, {
    key,
    body: chat,
    ...(forwarded !== undefined && { headers: { 'x-forwarded-for': forwarded } }),
  })

test('a key that is used from elsewhere is the same 401 as one that doesn’t exist, on every route', async () => {
  const { key } = await world.issueKey(world.acme, 'elsewhere', [], {
    allowedNetworks: ['192.0.2.0/24', '2001:db8::/32'],
  })
  for (const { method, path, access } of ROUTES) {
    if (access !== 'key' && access !== 'admitted') continue
    const url = direct.server.url + (path.endsWith('/') ? `${path}sandbox-chat` : path)
    const options = { method, ...(method === 'POST' && { body: chat }) }
    const refused = await httpCall(url, { ...options, key })
    const unknown = await httpCall(url, { ...options, key: 'sk-nemo-unknown' })
    expect([refused.status, refused.body], path).toEqual([401, unknown.body])
    const stable = ({ headers: { date, 'x-nemo-request-id': id, 'x-request-id': other, ...rest } }: typeof refused) =>
      Object.fromEntries(Object.entries(rest).filter(([name]) => !/latency|overhead|^request-id$/.test(name)))
    expect(stable(refused), path).toEqual(stable(unknown))
  }
})

test('it works from an address that it is allowed', async () => {
  const { key } = await world.issueKey(world.acme, 'here', [], { allowedNetworks: ['127.0.0.1/32', '::1/128'] })
  expect((await call(key)).status).toBe(200)
})

test('what a client says of where it comes from is believed from trusted proxies only, and no further than they go', async () => {
  const { key } = await world.issueKey(world.acme, 'office', [], {
    allowedNetworks: ['203.0.113.0/24', '2001:db8:1::/48'],
  })
  const status = async (forwarded?: string, through = behindProxies) => (await call(key, forwarded, through)).status
  expect(await status('203.0.113.7', direct)).toBe(401)
  expect(await status()).toBe(401)
  expect(await status('203.0.113.7')).toBe(200)
  expect(await status('2001:db8:1::7')).toBe(200)
  expect(await status('::ffff:203.0.113.7')).toBe(200)
  expect(await status('203.0.113.7, 10.9.1.1')).toBe(200)
  expect(await status('203.0.113.7, fd09::1, 10.9.1.1')).toBe(200)
  // What stands before the last address that isn't a proxy's is hearsay.
  expect(await status('203.0.113.7, 198.51.100.1')).toBe(401)
  expect(await status('198.51.100.1, 203.0.113.7')).toBe(200)
  expect(await status('203.0.114.7')).toBe(401)
  expect(await status('203.0.113.7, nonsense')).toBe(401)
  expect(await status('0313.0.113.7')).toBe(401)
})

test('a key calls no endpoint but those that it is allowed, whatever there is', async () => {
  for (const allowed of KEY_ENDPOINTS) {
    const { key } = await world.issueKey(world.acme, `only ${allowed}`, [], { allowedEndpoints: [allowed] })
    for (const { path, access } of ROUTES) {
      if (access !== 'admitted') continue
      const answer = await httpCall(direct.server.url + path, { key, body: {} })
      const isAllowed = path === `/v1/${allowed}`
      expect(answer.status, `${path} with ${allowed}`).toBe(isAllowed ? 400 : 403)
      if (!isAllowed && path !== '/v1/messages') expect(answer.json.error.code).toBe('permission_denied')
    }
    expect((await httpCall(`${direct.url}/models`, { key })).status).toBe(200)
    const quoted = await httpCall(`${direct.url}/quote`, { key, body: chat })
    expect(quoted.status).toBe(allowed === 'chat/completions' ? 200 : 403)
    const counted = await httpCall(`${direct.url}/messages/count_tokens`, { key, body: { ...chat, max_tokens: 1 } })
    expect(counted.status).toBe(allowed === 'messages' ? 200 : 403)
  }
})

test('every route that spends has a name that keys can be allowed it by', () => {
  const spending = ROUTES.filter(({ access }) => access === 'admitted').map(({ path }) => path)
  expect(spending.sort()).toEqual(KEY_ENDPOINTS.map((name) => `/v1/${name}`).sort())
})

test('what is changed of a key in use is held within a second', async () => {
  const { id, key } = await world.issueKey(world.acme, 'narrowed')
  expect((await call(key)).status).toBe(200)
  const change = (column: string, value: unknown) =>
    world.database.operator.query(`update virtual_keys set ${column} = $2 where id = $1`, [id, value])
  const becomes = (status: number) =>
    vi.waitFor(async () => expect((await call(key)).status).toBe(status), { timeout: 1_000, interval: 10 })
  await change('allowed_endpoints', ['embeddings'])
  await becomes(403)
  await change('allowed_networks', ['192.0.2.0/24'])
  await becomes(401)
  await change('allowed_networks', null)
  await change('allowed_endpoints', null)
  await becomes(200)
})
