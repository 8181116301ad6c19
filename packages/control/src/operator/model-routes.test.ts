import type { OfferedModel } from '@nemo/domain/catalogue'
import { parseUsd } from '@nemo/domain/money'
import { snapshotModels } from '@nemo/domain/price-book/snapshot'
import { saveProvider } from '@nemo/postgres/catalogue'
import { refreshFacts, refreshPrices } from '@nemo/postgres/price-book'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { operatorWithSession } from '@nemo/testing/signed-in'
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
  await saveProvider(world.database.operator, { name: 'xai', provider: 'xai', baseUrl: null, secret: null }, [
    grok('1'),
  ])
})
afterAll(async () => {
  await control?.close()
  await gateway?.close()
  await world?.close()
})

const api = (method: string, path: string, body?: object) =>
  control.call(method, `/api/operator${path}`, { cookie, ...(body && { body }) })
const at = (id: string) => `/models/${encodeURIComponent(id)}`

/** As a source has it. */
function grok(input: string): OfferedModel {
  return {
    id: 'xai/grok',
    provider: 'xai',
    endpoint: 'chat',
    contextTokens: null,
    outputTokensMax: null,
    capabilities: ['vision'],
    group: 'grok',
    upstreamModel: 'grok',
    nanosPerMillion: { input: parseUsd(input), output: parseUsd('10') },
    priceSource: 'https://prices.example',
  }
}

const refusal = ({ status, json }: { status: number; json: { error: { code: string; param: string | null } } }) =>
  `${status} ${json.error.code} ${json.error.param}`

test('a model that no list has is added with its price, whole or not at all, once', async () => {
  const body = {
    id: 'acme/small-2',
    context_tokens: 128_000,
    capabilities: ['vision', 'vision'],
    price: { usd_per_million: { input: '0.10', output: '0.40' }, tiers: [] },
  }
  const incomplete = { ...body, price: { usd_per_million: { input: '0.10' } } }
  expect(refusal(await api('POST', '/models', incomplete))).toBe('400 invalid_request price.usd_per_million')
  expect((await api('GET', at('acme/small-2'))).status).toBe(404)
  const negative = { ...body, price: { usd_per_million: { input: '-1', output: '1' } } }
  expect(refusal(await api('POST', '/models', negative))).toBe('400 invalid_request price.usd_per_million.input')

  const made = await api('POST', '/models', body)
  expect(made.status, made.body).toBe(201)
  expect(made.json).toMatchObject({
    ...{ id: 'acme/small-2', provider: 'acme', endpoint: 'chat', context_tokens: 128_000, capabilities: ['vision'] },
    ...{ output_tokens_max: null, deployments: 0, facts_by: 'operator' },
    price: { usd_per_million: { input: '0.10', output: '0.40' }, source: 'operator' },
  })
  expect((await api('GET', at('acme/small-2'))).json).toEqual(made.json)
  expect(refusal(await api('POST', '/models', body))).toBe('409 model_exists id')
  expect((await api('GET', '/models?q=SMALL&endpoint=chat')).json.data).toEqual([made.json])
  expect((await api('GET', '/models?q=small&endpoint=images')).json.data).toEqual([])
})

test('a price with tiers and a table of pictures is shown as it was given', async () => {
  const price = {
    usd_per_million: { input: '1.25', output: '10.00', request: '0.000000001' },
    tiers: [{ input_above: 200_000, usd_per_million: { input: '2.50' }, service_tiers: { flex: { input: '1.00' } } }],
    service_tiers: { flex: { input: '0.60', output: '5.00' } },
    pictures: [],
  }
  expect((await api('POST', '/models', { id: 'acme/tiered', price })).json.price).toMatchObject(price)
  const pictures = [
    { quality: 'hd', size: null, usd_per_million: '80000.00', per_megapixel: false, is_default: true },
    { quality: null, size: null, usd_per_million: '40000.00', per_megapixel: true, is_default: false },
  ]
  const drawn = { id: 'acme/drawn', endpoint: 'images', price: { usd_per_million: {}, pictures } }
  expect((await api('POST', '/models', drawn)).json.price.pictures).toEqual(pictures)
  const chat = { id: 'acme/no', endpoint: 'chat', price: { usd_per_million: {}, pictures } }
  expect((await api('POST', '/models', chat)).status).toBe(400)
})

test('a price that is set is charged within a second, its versions stay, and no refresh changes it', async () => {
  const ask = async () => {
    const answer = await httpCall(`${gateway.url}/chat/completions`, {
      key: world.researcher.key,
      body: { model: 'sandbox-flat', messages: [{ role: 'user', content: 'hi' }] },
    })
    return answer.headers['x-nemo-request-cost']
  }
  expect(await ask()).toBe('0.01')
  const path = `${at('sandbox/sandbox-flat')}/prices`
  expect((await api('POST', path, { usd_per_million: { request: '20000' } })).status).toBe(201)
  await vi.waitFor(async () => expect(await ask()).toBe('0.02'), { timeout: 1_000, interval: 10 })
  // The same again is no news.
  await api('POST', path, { usd_per_million: { request: '20000' } })
  const versions = (await api('GET', `${path}?limit=1`)).json
  expect(versions).toMatchObject({
    data: [{ usd_per_million: { request: '20000.00' }, source: 'operator' }],
    has_more: true,
  })
  const rest = (await api('GET', `${path}?after=${versions.last_id}`)).json
  expect(rest).toMatchObject({
    data: [{ usd_per_million: { request: '10000.00' }, source: 'test' }],
    has_more: false,
  })
  expect((await api('POST', `${at('nobody/nothing')}/prices`, { usd_per_million: { request: '1' } })).status).toBe(404)

  // A source's own price, said by the operator, is the operator's from then on.
  await api('POST', `${at('xai/grok')}/prices`, { usd_per_million: { input: '1', output: '10' } })
  expect((await refreshPrices(world.database.operator, [grok('1.1')])).changed).toEqual([])
  await saveProvider(world.database.operator, { name: 'xai', provider: 'xai', baseUrl: null, secret: null }, [
    grok('1.2'),
  ])
  expect((await api('GET', at('xai/grok'))).json.price).toMatchObject({
    usd_per_million: { input: '1.00' },
    source: 'operator',
  })
})

test('what the operator says of a model stays, whatever a refresh or a list says', async () => {
  const { operator } = world.database
  await saveProvider(operator, { name: 'xai-2', provider: 'xai', baseUrl: null, secret: null }, [
    { ...grok('1'), id: 'xai/grok-2', upstreamModel: 'grok-2', group: 'grok-2' },
  ])
  const before = (await api('GET', at('xai/grok-2'))).json
  expect(before).toMatchObject({ capabilities: ['vision'], facts_by: 'sources' })
  const said = { context_tokens: 400_000, capabilities: ['reasoning'], deprecates_on: '2027-05-01' }
  const changed = await api('PATCH', at('xai/grok-2'), said)
  expect(changed.json).toEqual({ ...before, ...said, facts_by: 'operator' })
  await refreshFacts(
    operator,
    new Map([['xai/grok-2', { capabilities: ['vision'], deprecatesOn: '2026-12-01', requestsPerMinute: 7 }]]),
  )
  await saveProvider(operator, { name: 'xai-2', provider: 'xai', baseUrl: null, secret: null }, [
    { ...grok('1'), id: 'xai/grok-2', upstreamModel: 'grok-2', group: 'grok-2' },
  ])
  expect((await api('GET', at('xai/grok-2'))).json).toEqual(changed.json)
  expect((await api('PATCH', at('xai/grok-2'), { deprecates_on: 'soon' })).status).toBe(400)
  expect((await api('PATCH', at('xai/grok-2'), { deprecates_on: null })).json.deprecates_on).toBeNull()
})

test('a price that waits is put into force or forgotten, once', async () => {
  const { operator } = world.database
  const model = (name: string, input: string) => ({
    ...grok(input),
    ...{ id: `xai/${name}`, upstreamModel: name, group: name },
  })
  await saveProvider(operator, { name: 'xai-3', provider: 'xai', baseUrl: null, secret: null }, [
    model('waits', '1'),
    model('stays', '1'),
  ])
  await refreshPrices(operator, [model('waits', '9'), model('stays', '9')])
  const { data } = (await api('GET', '/quarantined-prices')).json
  expect(data).toHaveLength(2)
  expect(data).toContainEqual(
    expect.objectContaining({
      ...{ id: 'xai/waits', source: 'https://prices.example' },
      ...{ before: { input: '1.00', output: '10.00' }, after: { input: '9.00', output: '10.00' } },
    }),
  )
  expect((await api('GET', '/health')).json.quarantined_prices).toBe(2)
  const decide = (id: string, verb: string) => api('POST', `/quarantined-prices/${encodeURIComponent(id)}/${verb}`)
  expect((await decide('xai/waits', 'accept')).json.price.usd_per_million.input).toBe('9.00')
  expect((await decide('xai/stays', 'reject')).json.price.usd_per_million.input).toBe('1.00')
  expect((await decide('xai/waits', 'accept')).status).toBe(404)
  expect((await decide('nobody/nothing', 'reject')).status).toBe(404)
  expect((await api('GET', '/quarantined-prices')).json.data).toEqual([])
})

test('what the operator said is taken back where the release knows better, and refreshes count again', async () => {
  const { operator } = world.database
  const known = snapshotModels().find(({ id }) => id === 'anthropic/claude-sonnet-4-5')!
  await saveProvider(operator, { name: 'anthropic', provider: 'anthropic', baseUrl: null, secret: null }, [known])
  const before = (await api('GET', at(known.id))).json
  const said = { context_tokens: 1, capabilities: [], requests_per_minute: 5 }
  await api('PATCH', at(known.id), said)
  // The very price of the list, but the operator's word.
  await api('POST', `${at(known.id)}/prices`, {
    ...{ usd_per_million: before.price.usd_per_million, tiers: before.price.tiers },
    ...{ service_tiers: before.price.service_tiers, pictures: before.price.pictures },
  })
  expect((await api('GET', at(known.id))).json).toMatchObject({ ...said, price: { source: 'operator' } })
  const reset = await api('POST', `${at(known.id)}/reset`)
  const unchanging = { version_id: expect.any(String), effective_at: expect.any(String) }
  expect(reset.json).toEqual({ ...before, price: { ...before.price, ...unchanging } })
  const dearer = { ...known, nanosPerMillion: { ...known.nanosPerMillion, input: known.nanosPerMillion.input! + 1n } }
  expect((await refreshPrices(operator, [dearer])).changed).toEqual([known.id])
  expect(refusal(await api('POST', `${at('acme/small-2')}/reset`))).toBe('409 model_not_known null')
  expect((await api('POST', `${at('nobody/nothing')}/reset`)).status).toBe(404)
})

test('what the release knows is listed by id, a page at a time', async () => {
  const first = (await api('GET', '/known-models?provider=anthropic&q=CLAUDE&limit=3')).json
  expect(first.data).toHaveLength(3)
  expect(first.data[0]).toMatchObject({ provider: 'anthropic', price: { usd_per_million: expect.any(Object) } })
  const next = (await api('GET', `/known-models?provider=anthropic&limit=3&after=${encodeURIComponent(first.last_id)}`))
    .json
  expect(next.data[0].id > first.last_id).toBe(true)
})

test('each change is in the audit log with what was before, amounts as they are read', async () => {
  const { rows } = await world.database.operator.query(
    `select action, subject_id as id, before, after from audit_log where organization_id is null order by sequence`,
  )
  const actions = new Set(rows.map(({ action }) => action))
  expect([...actions].sort()).toEqual([
    'model.created',
    'model.reset',
    'model.updated',
    'price.accepted',
    'price.rejected',
    'price.set',
  ])
  expect(rows).toContainEqual(
    expect.objectContaining({
      ...{ action: 'price.set', id: 'sandbox/sandbox-flat' },
      before: expect.objectContaining({ usd_per_million: { request: '10000' }, source: 'test' }),
      after: expect.objectContaining({ usd_per_million: { request: '20000' } }),
    }),
  )
})
