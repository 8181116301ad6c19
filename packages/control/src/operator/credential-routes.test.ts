import { servedModels } from '@nemo/domain/price-book/snapshot'
import { unseal } from '@nemo/domain/vault'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { operatorWithSession } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** Every secret of this file has it, so that none can be anywhere unseen. */
const PLANTED = 'planted-provider-secret'
const RIGHT = `sk-right-${PLANTED}`
const WRONG = `sk-wrong-${PLANTED}`

let world: World
let provider: Sandbox
let gateway: RunningGateway
let control: RunningControl
let cookie: string
const answers: string[] = []

beforeAll(async () => {
  world = await makeWorld()
  provider = await startSandbox({ apiKey: RIGHT })
  gateway = await runGateway(world)
  control = await runControl(world.database, { masterKey: world.masterKey, gateway: gateway.gateway })
  cookie = (await operatorWithSession(world.database)).cookie
})
afterAll(async () => {
  await control?.close()
  await gateway?.close()
  await provider?.close()
  await world?.close()
})

async function api(method: string, path: string, body?: object) {
  const answer = await control.call(method, `/api/operator${path}`, { cookie, ...(body && { body }) })
  answers.push(answer.body)
  return answer
}

/** A credential at the sandbox, which takes the one key only. */
async function made(name: string, secret = RIGHT) {
  const answer = await api('POST', '/credentials', { name, provider: 'openai', base_url: provider.url, secret })
  expect(answer.status, answer.body).toBe(201)
  return answer.json
}

const refusal = ({ status, json }: { status: number; json: { error: { code: string; param: string | null } } }) =>
  `${status} ${json.error.code} ${json.error.param}`

test('a credential is sealed to its name, shown without its secret, and forgotten when nothing is deployed on it', async () => {
  const created = await made('first')
  expect(created).toMatchObject({
    ...{ name: 'first', provider: 'openai', base_url: provider.url, settings: {}, has_secret: true, deployments: 0 },
  })
  expect((await api('GET', `/credentials/${created.id}`)).json).toEqual(created)
  expect((await api('GET', '/credentials?limit=1')).json).toMatchObject({ data: [created], has_more: true })
  const { rows } = await world.database.owner.query('select secret from provider_credentials where id = $1', [
    created.id,
  ])
  expect(rows[0].secret.includes(RIGHT)).toBe(false)
  expect(unseal(world.masterKey, rows[0].secret, 'first')).toBe(RIGHT)
  expect(refusal(await api('POST', '/credentials', { name: 'first', provider: 'openai', secret: RIGHT }))).toBe(
    '409 name_taken name',
  )
  expect((await api('DELETE', `/credentials/${created.id}`)).json).toMatchObject({ deleted: true })
  expect((await api('GET', `/credentials/${created.id}`)).status).toBe(404)
  expect((await api('DELETE', `/credentials/${created.id}`)).status).toBe(404)
})

test('what can’t be of use is refused, and what is wrong is named', async () => {
  const refused = async (body: object) => refusal(await api('POST', '/credentials', { name: 'x', ...body }))
  expect(await refused({ provider: 'nowhere', secret: RIGHT })).toBe('400 invalid_request provider')
  expect(await refused({ provider: 'sandbox', secret: RIGHT })).toBe('400 invalid_request provider')
  expect(await refused({ provider: 'openai' })).toBe('400 invalid_request secret')
  expect(await refused({ provider: 'openai', secret: `two words ${PLANTED}` })).toBe('400 invalid_request secret')
  expect(await refused({ provider: 'vertex', settings: { project: 'p' }, secret: PLANTED })).toBe(
    '400 invalid_request secret',
  )
  expect(await refused({ provider: 'azure', secret: RIGHT })).toBe('400 invalid_request settings')
  expect(await refused({ provider: 'openai', secret: RIGHT, settings: { region: 'x' } })).toBe(
    '400 invalid_request settings.region',
  )
  expect(await refused({ provider: 'openai-compatible' })).toBe('400 invalid_request base_url')
  for (const base_url of ['file:///etc/passwd', 'http://169.254.169.254/latest', `https://me:${PLANTED}@example.com`])
    expect(await refused({ provider: 'openai', secret: RIGHT, base_url })).toBe('400 invalid_request base_url')
  expect(await refused({ provider: 'openai', secret: RIGHT, name: 'sandbox' })).toBe('400 invalid_request name')
  const own = await api('POST', '/credentials', {
    ...{ name: 'own', provider: 'openai-compatible', base_url: 'http://10.0.0.7:11434/v1/' },
  })
  expect(own.json).toMatchObject({ base_url: 'http://10.0.0.7:11434/v1', has_secret: false })
})

test('a credential is tried before it is stored and after, and what it comes to is told without it', async () => {
  const told = async (path: string, body?: object) => (await api('POST', path, body)).json
  const place = { provider: 'openai', base_url: provider.url }
  expect(await told('/credentials/test', { ...place, secret: RIGHT })).toMatchObject({ outcome: 'works', status: 200 })
  expect(await told('/credentials/test', { ...place, secret: WRONG })).toMatchObject({
    outcome: 'refused',
    status: 401,
  })
  expect(await told('/credentials/test', { ...place, base_url: 'http://127.0.0.1:1', secret: RIGHT })).toMatchObject({
    outcome: 'unreachable',
  })
  expect((await told('/credentials/test', { ...place, provider: 'nowhere', secret: RIGHT })).error.param).toBe(
    'provider',
  )
  const right = await made('right')
  const wrong = await made('wrong', WRONG)
  expect(await told(`/credentials/${right.id}/test`)).toMatchObject({ outcome: 'works' })
  expect(await told(`/credentials/${wrong.id}/test`)).toMatchObject({ outcome: 'refused' })
  await world.database.operator.query(
    `update provider_credentials set secret = (select secret from provider_credentials where name = 'right') where name = 'wrong'`,
  )
  expect(await told(`/credentials/${wrong.id}/test`)).toMatchObject({
    outcome: 'unclear',
    message: expect.stringContaining('NEMO_MASTER_KEY'),
  })
})

test('a secret goes nowhere but where it was given for, and another one is called with within a second', async () => {
  const { id } = await made('moved')
  const elsewhere = await api('PATCH', `/credentials/${id}`, { base_url: 'https://evil.example/v1' })
  expect(refusal(elsewhere)).toBe('400 invalid_request secret')
  expect((await api('PATCH', `/credentials/${id}`, { base_url: provider.url })).status).toBe(200)
  // Where a key may be left out, too.
  const own = { provider: 'openai-compatible', base_url: provider.url }
  const { id: ownId } = (await api('POST', '/credentials', { name: 'moved-own', ...own, secret: RIGHT })).json
  const away = { base_url: 'https://evil.example/v1' }
  expect(refusal(await api('PATCH', `/credentials/${ownId}`, away))).toBe('400 invalid_request secret')
  expect((await api('PATCH', `/credentials/${ownId}`, { ...away, secret: null })).json.has_secret).toBe(false)

  await api('POST', '/models', { id: 'own/model', price: { usd_per_million: { request: '0' } } })
  const deployed = await api('POST', '/deployments', {
    ...{ credential_id: id, model_id: 'own/model', group: 'own-model', upstream_model: 'sandbox-chat' },
  })
  expect(deployed.status, deployed.body).toBe(201)
  const chat = async () =>
    httpCall(`${gateway.url}/chat/completions`, {
      key: world.researcher.key,
      body: { model: 'own-model', messages: [{ role: 'user', content: 'hi' }], nemo_max_retries: 0 },
    })
  const becomes = (status: number) =>
    vi.waitFor(async () => expect((await chat()).status).toBe(status), { timeout: 1_000, interval: 10 })
  await becomes(200)
  const replaced = await api('PATCH', `/credentials/${id}`, { secret: WRONG })
  expect(replaced.json).toMatchObject({ has_secret: true, deployments: 1 })
  await becomes(502)
  await api('PATCH', `/credentials/${id}`, { secret: RIGHT })
  expect((await api('POST', `/credentials/${id}/test`)).json.outcome).toBe('works')
  expect(refusal(await api('PATCH', `/credentials/${id}`, { secret: null }))).toBe('400 invalid_request secret')

  expect(refusal(await api('DELETE', `/credentials/${id}`))).toBe('409 credential_in_use null')
  await api('DELETE', `/deployments/${deployed.json.id}`)
  expect((await api('DELETE', `/credentials/${id}`)).status).toBe(200)
})

test('a credential brings with it the models that the release knows prices of, where it is asked to', async () => {
  const created = await api('POST', '/credentials', {
    ...{ name: 'mistral', provider: 'mistral', secret: RIGHT, deploy_known_models: true },
  })
  const known = servedModels('mistral')
  expect(created.json.deployments).toBe(known.length)
  const deployed = (await api('GET', `/deployments?credential_id=${created.json.id}&limit=100`)).json.data
  expect(new Set(deployed.map((one: { model_id: string }) => one.model_id))).toEqual(new Set(known.map(({ id }) => id)))
  expect(deployed.every((one: { has_price: boolean }) => one.has_price)).toBe(true)
})

test('the types of providers say what each needs', async () => {
  const { data } = (await api('GET', '/provider-types')).json
  const type = (name: string) => data.find((one: { name: string }) => one.name === name)
  expect(type('openai')).toMatchObject({ title: 'OpenAI', secret: 'required', settings: [] })
  expect(type('ollama')).toMatchObject({ secret: 'optional' })
  expect(type('azure').settings).toContainEqual(expect.objectContaining({ name: 'resource' }))
  expect(type('sandbox')).toBeUndefined()
})

test('no secret was in an answer, the audit log, or what was logged, though each change is audited', async () => {
  const { rows } = await world.database.owner.query('select json_agg(a)::text as log from audit_log a')
  for (const action of ['provider.added', 'provider.updated', 'provider.removed']) expect(rows[0].log).toContain(action)
  expect(answers.length).toBeGreaterThan(40)
  for (const text of [...answers, rows[0].log, JSON.stringify(control.problems), JSON.stringify(gateway.problems)])
    expect(text).not.toContain(PLANTED)
  expect(control.problems).toEqual([])
})
