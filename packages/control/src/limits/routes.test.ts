import { withOrganization } from '@nemo/postgres/tenancy'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { memberWithToken } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** Limits of an organization and its teams, as its admins set them, and as the data plane then holds calls to them. */
let world: World
let control: RunningControl
let gateway: RunningGateway
let admin: string

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

const api = (method: string, path: string, body?: object) =>
  control.call(method, path, { key: admin, ...(body && { body }) })

async function newTeam(name: string): Promise<string> {
  return (await api('POST', '/api/teams', { name })).json.id
}

const call = (key: string) =>
  httpCall(`${gateway.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-flat', messages: [{ role: 'user', content: 'hi' }] },
  })

test('a team’s budget is set, held within a second over all of its keys, shown as it stands, and lifted', async () => {
  const team_id = await newTeam('Research')
  const path = `/api/teams/${team_id}/limits`
  const keys = [
    (await api('POST', '/api/keys', { alias: 'one', team_id })).json.key,
    (await api('POST', '/api/keys', { alias: 'two', team_id })).json.key,
  ]
  expect((await call(keys[0])).status).toBe(200)
  const set = await api('PATCH', path, { budget_day: '0.02', requests_per_minute: 500 })
  expect(set.json).toMatchObject({
    object: 'limits',
    budget_day: { limit: '0.02' },
    budget_week: null,
    requests_per_minute: { limit: 500 },
  })
  const refused = await vi.waitFor(
    async () => {
      const answers = await Promise.all(keys.map(call))
      const found = answers.find(({ status }) => status === 402)
      expect(found).toBeDefined()
      return found!
    },
    { timeout: 3_000, interval: 20 },
  )
  expect(refused.json.error.limit.name).toBe('team.cost.day')
  await gateway.gateway.ledger.flush()
  const standing = (await api('GET', path)).json
  expect(standing.budget_day).toMatchObject({ limit: '0.02', used: '0.02', held: '0.00' })
  expect(standing.requests_per_minute.used).toBeGreaterThanOrEqual(2)
  expect((await api('PATCH', path, { budget_day: null })).json.budget_day).toBeNull()
  await vi.waitFor(async () => expect((await call(keys[1])).status).toBe(200), { timeout: 1_000, interval: 20 })
  const { rows } = await world.database.operator.query(
    `select action, before, after from audit_log where subject_id = $1 and action = 'team.limits_changed' order by sequence`,
    [team_id],
  )
  expect(rows).toEqual([
    { action: 'team.limits_changed', before: {}, after: { budget_day: '0.02', requests_per_minute: '500' } },
    {
      action: 'team.limits_changed',
      before: { budget_day: '0.02', requests_per_minute: '500' },
      after: { requests_per_minute: '500' },
    },
  ])
})

test('limits nest, whichever is set first: key within team within organization; who is revoked holds nobody', async () => {
  const team_id = await newTeam('Nested')
  const limits = `/api/teams/${team_id}/limits`
  const errorOf = async (method: string, path: string, body: object) => {
    const { status, json } = await api(method, path, body)
    return [status, json.error?.code, json.error?.param]
  }
  expect((await api('PATCH', '/api/organization/limits', { budget_week: '10' })).json.budget_week.limit).toBe('10.00')
  expect(await errorOf('PATCH', limits, { budget_week: '11' })).toEqual([400, 'limit_exceeds_parent', 'budget_week'])
  expect((await api('PATCH', limits, { budget_week: '8' })).status).toBe(200)
  const key = { alias: 'nested', team_id, limits: { budget_week: '9' } }
  expect(await errorOf('POST', '/api/keys', key)).toEqual([400, 'limit_exceeds_parent', 'limits.budget_week'])
  const { id } = (await api('POST', '/api/keys', { ...key, limits: { budget_week: '7' } })).json
  expect(await errorOf('PATCH', limits, { budget_week: '6' })).toEqual([400, 'limit_below_child', 'budget_week'])
  expect(await errorOf('PATCH', '/api/organization/limits', { budget_week: '7.5' })).toEqual([
    400,
    'limit_below_child',
    'budget_week',
  ])
  // Nothing of a refusal stays, be it of one among several.
  expect((await errorOf('PATCH', limits, { budget_day: '1', budget_week: '6' }))[0]).toBe(400)
  expect((await api('GET', limits)).json).toMatchObject({ budget_day: null, budget_week: { limit: '8.00' } })
  await api('POST', `/api/keys/${id}/revoke`)
  expect((await api('PATCH', limits, { budget_week: '6' })).json.budget_week.limit).toBe('6.00')
})

test('what was paid in and how fast the operator lets an organization call are no tenant’s to set', async () => {
  const { operator, app } = world.database
  await operator.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound) values (gen_random_uuid(), $1, 'organization', $1, 'requests', 'minute', 1000)`,
    [world.acme.id],
  )
  const shown = (await api('GET', '/api/organization/limits')).json
  expect(shown.requests_per_minute).toMatchObject({ limit: 1000 })
  const tried = await api('PATCH', '/api/organization/limits', { requests_per_minute: 100_000 })
  expect([tried.status, tried.json.error.param]).toEqual([400, 'requests_per_minute'])
  const sql = (text: string) =>
    withOrganization(app, world.acme.id, async (tx) => (await tx.query(text)).rowCount).catch(({ message }) => message)
  const of = `subject = 'organization' and (window_name = 'lifetime' or resource <> 'cost')`
  expect(await sql(`update limits set bound = bound * 2 where ${of}`)).toBe(0)
  expect(await sql(`delete from limits where ${of}`)).toBe(0)
  for (const [resource, window] of [
    ['cost', 'lifetime'],
    ['tokens', 'minute'],
  ])
    expect(
      await sql(
        `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
         values (gen_random_uuid(), current_organization(), 'organization', current_organization(), '${resource}', '${window}', 1)`,
      ),
    ).toContain('row-level security policy')
  const ofRival = `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
    values (gen_random_uuid(), current_organization(), 'team', '${world.rival.defaultTeamId}', 'cost', 'day', 1)`
  expect(await sql(ofRival)).toContain('row-level security policy')
})
