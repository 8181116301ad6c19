import { isVirtualKey } from '@nemo/domain/virtual-key'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { memberWithToken } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** Keys as their organization makes and keeps them, and as the data plane then takes them. */
let world: World
let control: RunningControl
let gateway: RunningGateway
let member: string
let rival: string

beforeAll(async () => {
  world = await makeWorld()
  control = await runControl(world.database)
  gateway = await runGateway(world)
  member = (await memberWithToken(world.database, world.acme.id, 'member')).token
  rival = (await memberWithToken(world.database, world.rival.id, 'owner')).token
})
afterAll(async () => {
  await gateway?.close()
  await control?.close()
  await world?.close()
})

const as = (token: string) => (method: string, path: string, body?: object) =>
  control.call(method, path, { key: token, ...(body && { body }) })
const api = (method: string, path: string, body?: object) => as(member)(method, path, body)

async function made(alias: string, more: object = {}) {
  const answer = await api('POST', '/api/keys', { alias, ...more })
  expect(answer.status, answer.body).toBe(201)
  return answer.json
}

const call = (key: string, model = 'sandbox-chat') =>
  httpCall(`${gateway.url}/chat/completions`, { key, body: { model, messages: [{ role: 'user', content: 'hi' }] } })
const becomes = (key: string, status: number) =>
  vi.waitFor(async () => expect((await call(key)).status).toBe(status), { timeout: 1_000, interval: 10 })

test('a key is shown once, and works', async () => {
  const { key, id, hint, status, team } = await made('first')
  expect(isVirtualKey(key)).toBe(true)
  expect({ status, hint, team: team.name }).toEqual({
    status: 'active',
    hint: `sk-nemo-…${key.slice(-4)}`,
    team: 'Default',
  })
  expect((await call(key)).status).toBe(200)
  for (const path of ['/api/keys', `/api/keys/${id}`]) {
    const { body } = await api('GET', path)
    expect(body).toContain(hint)
    expect(body).not.toContain(key)
  }
  const everything = await world.database.owner.query(
    'select (select json_agg(k) from virtual_keys k)::text as keys, (select json_agg(a) from audit_log a)::text as log',
  )
  expect(`${everything.rows[0].keys}${everything.rows[0].log}`).not.toContain(key.slice(8))
})

test('all that it is made with is held by the data plane, and shown as it stands', async () => {
  const key = await made('limited', {
    allowed_models: ['sandbox-flat', 'sandbox-flat'],
    allowed_endpoints: ['chat/completions'],
    allowed_networks: ['127.0.0.0/8', '2001:db8::/32'],
    default_tags: ['vision'],
    expires_at: '2099-01-01T00:00:00Z',
    limits: {
      requests_per_minute: 7,
      tokens_per_minute: 70_000,
      parallel_requests: 3,
      budget_day: '0.02',
      budget_total: '1',
    },
  })
  expect(key).toMatchObject({
    allowed_models: ['sandbox-flat'],
    allowed_endpoints: ['chat/completions'],
    allowed_networks: ['127.0.0.0/8', '2001:db8::/32'],
    default_tags: ['vision'],
    expires_at: '2099-01-01T00:00:00.000Z',
    limits: {
      requests_per_minute: { limit: 7, used: 0 },
      parallel_requests: { limit: 3 },
      budget_day: { limit: '0.02', used: '0.00' },
      budget_week: null,
      budget_total: { limit: '1.00', resets_at: null },
    },
  })
  expect((await call(key.key)).status).toBe(404)
  expect((await httpCall(`${gateway.url}/embeddings`, { key: key.key, body: { model: 'x', input: 'x' } })).status).toBe(
    403,
  )
  await api('PATCH', `/api/keys/${key.id}`, { default_tags: [] })
  await vi.waitFor(async () => expect((await call(key.key, 'sandbox-flat')).status).toBe(200), 1_000)
  expect((await call(key.key, 'sandbox-flat')).status).toBe(200)
  const refused = await call(key.key, 'sandbox-flat')
  expect([refused.status, refused.json.error.limit.name]).toEqual([402, 'key.cost.day'])
  await gateway.gateway.ledger.flush()
  const { limits, last_used_at } = (await api('GET', `/api/keys/${key.id}`)).json
  expect(limits.budget_day).toMatchObject({ limit: '0.02', used: '0.02', held: '0.00' })
  expect(new Date(limits.budget_day.resets_at).getTime()).toBeGreaterThan(Date.now())
  expect(limits.requests_per_minute).toEqual({ limit: 7, used: 2 })
  expect(new Date(last_used_at).getTime()).toBeGreaterThan(Date.now() - 60_000)
})

test('what is changed of it is held within a second, and what isn’t named stays', async () => {
  const { id, key } = await made('changing', { limits: { budget_day: '1', requests_per_minute: 100 } })
  await becomes(key, 200)
  const narrowed = await api('PATCH', `/api/keys/${id}`, {
    alias: 'changed',
    allowed_models: ['sandbox-flat'],
    limits: { budget_day: null, budget_month: '3' },
  })
  expect(narrowed.json).toMatchObject({
    alias: 'changed',
    allowed_models: ['sandbox-flat'],
    limits: { budget_day: null, budget_month: { limit: '3.00' }, requests_per_minute: { limit: 100 } },
  })
  await becomes(key, 404)
  await api('PATCH', `/api/keys/${id}`, { allowed_models: [] })
  await becomes(key, 200)
  const { rows } = await world.database.operator.query(
    `select before, after from audit_log where action = 'key.updated' and subject_id = $1 order by sequence`,
    [id],
  )
  expect(rows[0]).toEqual({
    before: { alias: 'changing', allowed_models: null, limits: { budget_day: '1', requests_per_minute: '100' } },
    after: {
      alias: 'changed',
      allowed_models: ['sandbox-flat'],
      limits: { budget_month: '3', requests_per_minute: '100' },
    },
  })
})

test.each([
  [{ alias: '' }, 'alias'],
  [{ alias: 'a', allowed_networks: ['10.0.0.1/8'] }, 'allowed_networks[0]'],
  [{ alias: 'a', allowed_networks: ['::ffff:10.0.0.0/104'] }, 'allowed_networks[0]'],
  [{ alias: 'a', allowed_endpoints: ['models'] }, 'allowed_endpoints[0]'],
  [{ alias: 'a', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
  [{ alias: 'a', limits: { budget_day: '-1' } }, 'limits.budget_day'],
  [{ alias: 'a', limits: { budget_year: '1' } }, 'limits.budget_year'],
  [{ alias: 'a', limits: { requests_per_minute: 0 } }, 'limits.requests_per_minute'],
  [{ alias: 'a', hash: 'x' }, 'hash'],
])('%j is refused, and the field named', async (body, param) => {
  const answer = await api('POST', '/api/keys', body)
  expect([answer.status, answer.json.error.code, answer.json.error.param]).toEqual([400, 'invalid_request', param])
})

test('an alias is one key’s, until that is revoked', async () => {
  const { id } = await made('taken')
  expect((await api('POST', '/api/keys', { alias: 'taken' })).json.error).toMatchObject({
    code: 'alias_taken',
    param: 'alias',
  })
  await api('POST', `/api/keys/${id}/revoke`)
  await made('taken')
})

test('a key has no more than its team', async () => {
  const { operator } = world.database
  const { rows } = await operator.query(
    `with team as (insert into teams (id, organization_id, name) values (gen_random_uuid(), $1, 'Poor') returning id)
     insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound) select gen_random_uuid(), $1, 'team', id, 'cost', 'day', 1000000000 from team
     returning subject_id`,
    [world.acme.id],
  )
  const team_id = rows[0].subject_id
  const refusal = { code: 'limit_exceeds_parent', param: 'limits.budget_day' }
  expect(
    (await api('POST', '/api/keys', { alias: 'rich', team_id, limits: { budget_day: '2' } })).json.error,
  ).toMatchObject(refusal)
  const { id } = await made('poor', { team_id, limits: { budget_day: '0.5' } })
  expect((await api('PATCH', `/api/keys/${id}`, { limits: { budget_day: '2' } })).json.error).toMatchObject(refusal)
  const richer = await made('richer', { limits: { budget_day: '2' } })
  const moved = await api('PATCH', `/api/keys/${richer.id}`, { team_id })
  expect(moved.json.error).toMatchObject({ ...refusal, param: 'team_id' })
  expect(
    (await api('GET', `/api/keys?team_id=${team_id}`)).json.data.map(({ alias }: { alias: string }) => alias),
  ).toEqual(['poor'])
})

test('a rotated key works by both secrets for the time chosen, against the same limits, and then by the new one only', async () => {
  const { id, key: old } = await made('rotated', { limits: { budget_day: '0.03' } })
  const rotated = await api('POST', `/api/keys/${id}/rotate`, { overlap_hours: 1 })
  expect(rotated.json).toMatchObject({ id, alias: 'rotated', rotated_secrets: [{ hint: `sk-nemo-…${old.slice(-4)}` }] })
  const { key } = rotated.json
  expect(key).not.toBe(old)
  const works = (secret: string) => call(secret, 'sandbox-flat')
  expect([(await works(old)).status, (await works(key)).status, (await works(old)).status]).toEqual([200, 200, 200])
  const spent = [await works(old), await works(key)]
  expect(spent.map(({ status, json }) => [status, json.error.limit.name])).toEqual([
    [402, 'key.cost.day'],
    [402, 'key.cost.day'],
  ])
  await gateway.gateway.ledger.flush()
  expect((await api('GET', `/api/keys/${id}`)).json.limits.budget_day).toMatchObject({ used: '0.03' })
  // The hour passes.
  await world.database.owner.query(`update rotated_secrets set works_until = now() where key_id = $1`, [id])
  await vi.waitFor(async () => expect((await works(old)).status).toBe(401), 1_000)
  expect((await works(key)).status).toBe(402)
})

test('the old secret of a rotation stops by itself when its time is over, without anyone being told', async () => {
  const { id, key: old } = await made('briefly')
  await api('POST', `/api/keys/${id}/rotate`, { overlap_hours: 1 / 3600 })
  expect((await call(old)).status).toBe(200)
  await vi.waitFor(async () => expect((await call(old)).status).toBe(401), { timeout: 2_500, interval: 50 })
})

test('a rotation without overlap ends every earlier secret at once', async () => {
  const { id, key: first } = await made('hurried')
  const { key: second } = (await api('POST', `/api/keys/${id}/rotate`, {})).json
  const last = (await api('POST', `/api/keys/${id}/rotate`, { overlap_hours: 0 })).json
  expect(last.rotated_secrets).toEqual([])
  await becomes(first, 401)
  await becomes(second, 401)
  await becomes(last.key, 200)
  expect((await api('POST', `/api/keys/${id}/rotate`, { overlap_hours: 721 })).json.error.param).toBe('overlap_hours')
})

test('a revoked key works by none of its secrets within a second, stays as it was, and is told of', async () => {
  await as((await memberWithToken(world.database, world.acme.id, 'admin')).token)('POST', '/api/webhooks', {
    url: 'https://93.184.215.14/hook',
    events: ['key.*'],
  })
  const { id, key: old } = await made('doomed')
  const { key } = (await api('POST', `/api/keys/${id}/rotate`)).json
  await becomes(old, 200)
  expect((await api('POST', `/api/keys/${id}/revoke`)).json.status).toBe('revoked')
  await becomes(old, 401)
  await becomes(key, 401)
  expect((await api('POST', `/api/keys/${id}/revoke`)).status).toBe(200)
  for (const [method, path] of [
    ['PATCH', ''],
    ['POST', '/rotate'],
  ] as const)
    expect((await api(method, `/api/keys/${id}${path}`, {})).json.error.code).toBe('key_revoked')
  const { rows } = await world.database.operator.query(
    `select type, body::json->'data' as data from webhook_events where type like 'key.%' order by id`,
  )
  expect(rows).toMatchObject([
    { type: 'key.created', data: { alias: 'doomed', key_id: id } },
    { type: 'key.revoked', data: { alias: 'doomed', key_id: id, reason: 'asked' } },
  ])
  const log = await world.database.operator.query(
    `select action from audit_log where subject_id = $1 order by sequence`,
    [id],
  )
  expect(log.rows.map(({ action }) => action)).toEqual(['key.created', 'key.rotated', 'key.revoked'])
})

test('a duplicate is allowed and limited alike, and spends by itself', async () => {
  const settings = {
    allowed_models: ['sandbox-flat'],
    allowed_networks: ['127.0.0.1/32'],
    default_tags: [],
    limits: { budget_day: '0.01', requests_per_minute: 9 },
  }
  const original = await made('original', settings)
  expect((await call(original.key, 'sandbox-flat')).status).toBe(200)
  expect((await call(original.key, 'sandbox-flat')).status).toBe(402)
  const copy = (await api('POST', `/api/keys/${original.id}/duplicate`, { alias: 'copy' })).json
  expect(copy).toMatchObject({
    alias: 'copy',
    allowed_models: ['sandbox-flat'],
    allowed_networks: ['127.0.0.1/32'],
    limits: { budget_day: { limit: '0.01', used: '0.00' }, requests_per_minute: { limit: 9 } },
  })
  expect((await call(copy.key, 'sandbox-flat')).status).toBe(200)
})

test('lists go page by page, by team, alias and status', async () => {
  const seen: string[] = []
  for (let after = ''; ; ) {
    const { json } = await api('GET', `/api/keys?limit=3${after && `&after=${after}`}`)
    expect(json.data.length).toBeLessThanOrEqual(3)
    seen.push(...json.data.map(({ alias }: { alias: string }) => alias))
    if (!json.has_more) break
    after = json.last_id
  }
  expect(seen).toContain('researcher')
  expect(seen).not.toContain('doomed')
  expect(new Set(seen).size).toBe(seen.length)
  const aliases = async (query: string) =>
    (await api('GET', `/api/keys?${query}`)).json.data.map(({ alias }: { alias: string }) => alias)
  expect(await aliases('status=revoked')).toContain('doomed')
  expect(await aliases('alias=SEARCH')).toEqual(['researcher'])
  await world.database.owner.query(`update virtual_keys set expires_at = now() where alias = 'copy'`)
  expect(await aliases('status=expired')).toEqual(['copy'])
})

test('another organization’s key is one that doesn’t exist, by every verb', async () => {
  const { id } = await made('ours')
  const nobodys = '019a0000-0000-7000-8000-000000000000'
  for (const [method, path, body] of [
    ['GET', ''],
    ['PATCH', '', { alias: 'x' }],
    ['POST', '/duplicate', { alias: 'x' }],
    ['POST', '/rotate', {}],
    ['POST', '/revoke'],
  ] as const) {
    const [theirs, none] = [
      await as(rival)(method, `/api/keys/${id}${path}`, body),
      await as(rival)(method, `/api/keys/${nobodys}${path}`, body),
    ]
    expect([theirs.status, theirs.body], path).toEqual([404, none.body])
  }
  expect((await as(rival)('POST', '/api/keys', { alias: 'x', team_id: world.acme.defaultTeamId })).status).toBe(404)
  expect((await as(rival)('GET', `/api/keys?team_id=${world.acme.defaultTeamId}`)).json.data).toEqual([])
})
