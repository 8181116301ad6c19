import { uuidv7 } from '@nemo/domain/ids'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { operatorWithSession } from '@nemo/testing/signed-in'
import { type IssuedKey, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

let world: World
let gateway: RunningGateway
let control: RunningControl
let cookie: string
let credential: string

beforeAll(async () => {
  world = await makeWorld()
  gateway = await runGateway(world)
  control = await runControl(world.database, { masterKey: world.masterKey, gateway: gateway.gateway })
  cookie = (await operatorWithSession(world.database)).cookie
  credential = (await api('GET', '/credentials')).json.data[0].id
})
afterAll(async () => {
  await control?.close()
  await gateway?.close()
  await world?.close()
})

const api = (method: string, path: string, body?: object) =>
  control.call(method, `/api/operator${path}`, { cookie, ...(body && { body }) })

async function deployed(body: object) {
  const answer = await api('POST', '/deployments', {
    ...{ credential_id: credential, model_id: 'sandbox/sandbox-chat', ...body },
  })
  expect(answer.status, answer.body).toBe(201)
  return answer.json
}

const chat = (model: string, { key }: IssuedKey) =>
  httpCall(`${gateway.url}/chat/completions`, { key, body: { model, messages: [{ role: 'user', content: 'hi' }] } })
const becomes = (model: string, status: number, key = world.researcher) =>
  vi.waitFor(async () => expect((await chat(model, key)).status).toBe(status), { timeout: 1_000, interval: 10 })

const refusal = ({ status, json }: { status: number; json: { error: { code: string; param: string | null } } }) =>
  `${status} ${json.error.code} ${json.error.param}`

test('a model that is deployed is called within a second, and one that is switched off or removed isn’t', async () => {
  const made = await deployed({ group: 'fast', weight: 3, requests_per_minute: 500 })
  expect(made).toMatchObject({
    ...{ group: 'fast', organization_id: null, credential: 'sandbox', upstream_model: 'sandbox-chat' },
    ...{ weight: 3, requests_per_minute: 500, tokens_per_minute: null, enabled: true, has_price: true },
  })
  await becomes('fast', 200)
  expect((await api('PATCH', `/deployments/${made.id}`, { enabled: false })).json).toEqual({ ...made, enabled: false })
  await becomes('fast', 404)
  const changed = await api('PATCH', `/deployments/${made.id}`, {
    ...{ enabled: true, weight: 1, requests_per_minute: null, tokens_per_minute: 9_000 },
  })
  expect(changed.json).toEqual({ ...made, weight: 1, requests_per_minute: null, tokens_per_minute: 9_000 })
  await becomes('fast', 200)
  expect((await api('GET', `/deployments?group_id=${made.group_id}`)).json.data).toEqual([changed.json])
  expect((await api('GET', `/deployments?group_id=${uuidv7()}`)).json.data).toEqual([])
  expect((await api('DELETE', `/deployments/${made.id}`)).json).toMatchObject({ deleted: true })
  await becomes('fast', 404)
  for (const [method, body] of [['GET'], ['PATCH', { weight: 1 }], ['DELETE']] as const)
    expect((await api(method, `/deployments/${made.id}`, body)).status).toBe(404)
})

test('what a deployment needs is there, or is named, and a place serves a model once', async () => {
  const refused = async (body: object) =>
    refusal(await api('POST', '/deployments', { credential_id: credential, model_id: 'sandbox/sandbox-chat', ...body }))
  expect(await refused({ group: 'unmade', credential_id: uuidv7() })).toBe('400 invalid_request credential_id')
  expect(await refused({ group: 'unmade', model_id: 'nobody/nothing' })).toBe('400 invalid_request model_id')
  expect(await refused({ group_id: uuidv7() })).toBe('400 invalid_request group_id')
  expect(await refused({ group: 'unmade', group_id: uuidv7() })).toBe('400 invalid_request group')
  expect(await refused({})).toBe('400 invalid_request group')
  expect(await refused({ group: 'unmade', weight: 0 })).toBe('400 invalid_request weight')
  expect(await refused({ group: 'sandbox-chat' })).toBe('409 deployment_exists null')
  expect((await api('GET', '/groups?q=unmade')).json.data).toEqual([])
})

test('a model that the release knows comes into the catalogue by being deployed, under its usual name', async () => {
  const made = await deployed({ model_id: 'openai/gpt-5' })
  expect(made).toMatchObject({ group: 'gpt-5', upstream_model: 'gpt-5', model_id: 'openai/gpt-5', has_price: true })
  const entry = (await api('GET', `/models/${encodeURIComponent('openai/gpt-5')}`)).json
  expect(entry).toMatchObject({ facts_by: 'sources', deployments: 1, price: { usd_per_million: { input: '1.25' } } })
  // What the operator said of it meanwhile isn't undone by deploying it again.
  await api('POST', `/models/${encodeURIComponent('openai/gpt-5')}/prices`, { usd_per_million: { request: '1' } })
  await deployed({ model_id: 'openai/gpt-5', group: 'best' })
  expect((await api('GET', `/models/${encodeURIComponent('openai/gpt-5')}`)).json.price.usd_per_million).toEqual({
    request: '1.00',
  })
})

test('a group falls back to where its chain says, within a second, and is removed when it is empty', async () => {
  const made = await api('POST', '/groups', { name: 'chained' })
  expect(made.json).toMatchObject({ name: 'chained', organization_id: null, chain: [], deployments: 0 })
  expect(refusal(await api('POST', '/groups', { name: 'chained' }))).toBe('409 name_taken name')
  const dead = await world.deploy('chained', 'http://127.0.0.1:1')
  await becomes('chained', 502)
  const chain = ['nowhere', 'sandbox-chat']
  expect((await api('PATCH', `/groups/${made.json.id}`, { chain })).json).toMatchObject({ chain, deployments: 1 })
  await becomes('chained', 200)
  expect((await api('PATCH', `/groups/${made.json.id}`, { chain: ['a', 'b', 'c', 'd', 'e'] })).status).toBe(400)
  expect(refusal(await api('DELETE', `/groups/${made.json.id}`))).toBe('409 group_in_use null')
  await api('DELETE', `/deployments/${dead}`)
  expect((await api('DELETE', `/groups/${made.json.id}`)).json).toMatchObject({ deleted: true })
  for (const [method, body] of [['GET'], ['PATCH', { chain }], ['DELETE']] as const)
    expect((await api(method, `/groups/${made.json.id}`, body)).status).toBe(404)
})

test('an organization’s own group is its alone', async () => {
  const none = await api('POST', '/groups', { name: 'own', organization_id: uuidv7() })
  expect(refusal(none)).toBe('400 invalid_request organization_id')
  const own = await api('POST', '/groups', { name: 'own', organization_id: world.acme.id })
  expect(own.status, own.body).toBe(201)
  expect(await deployed({ group_id: own.json.id })).toMatchObject({ organization_id: world.acme.id, group: 'own' })
  await becomes('own', 200)
  expect((await chat('own', world.rivalKey)).status).toBe(404)
  expect((await api('GET', `/groups?organization_id=${world.acme.id}`)).json.data).toMatchObject([{ name: 'own' }])
})

test('a group or a credential that is being deployed on isn’t removed meanwhile', async () => {
  for (let round = 0; round < 5; round++) {
    const group = (await api('POST', '/groups', { name: `raced-${round}` })).json
    const raced = (
      await api('POST', '/credentials', { name: `raced-${round}`, provider: 'ollama', base_url: 'http://127.0.0.1:1' })
    ).json
    for (const [place, path] of [
      [{ group_id: group.id }, `/groups/${group.id}`],
      [{ credential_id: raced.id, group: 'sandbox-chat' }, `/credentials/${raced.id}`],
    ] as const) {
      const body = { credential_id: credential, model_id: 'sandbox/sandbox-chat', ...place }
      const [made, gone] = await Promise.all([api('POST', '/deployments', body), api('DELETE', path)])
      expect([
        [201, 409],
        [400, 200],
      ]).toContainEqual([made.status, gone.status])
    }
  }
})

test('each change is in the audit log', async () => {
  const { rows } = await world.database.operator.query(
    `select distinct action from audit_log where organization_id is null and action <> 'provider.removed' order by 1`,
  )
  expect(rows.map(({ action }) => action)).toEqual([
    'deployment.created',
    'deployment.deleted',
    'deployment.updated',
    'group.created',
    'group.deleted',
    'group.updated',
    'price.set',
    'provider.added',
  ])
})
