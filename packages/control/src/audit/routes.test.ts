import { CHAIN_BEGIN, faultOf } from '@nemo/domain/audit-entry'
import { appendAudit, verifyAudit } from '@nemo/postgres/audit'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { withOrganization } from '@nemo/postgres/tenancy'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { memberWithToken } from '@nemo/testing/signed-in'
import { afterAll, beforeAll, expect, test } from 'vitest'

let database: TestDatabase
let control: RunningControl
let acme: Organization
let ada: Awaited<ReturnType<typeof memberWithToken>>
let grace: typeof ada

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database)
  acme = await createOrganization(database.operator, 'acme', 'acme')
  const rival = await createOrganization(database.operator, 'rival', 'rival')
  ada = await memberWithToken(database, acme.id)
  grace = await memberWithToken(database, rival.id)
  for (const organization of [acme, rival])
    await withOrganization(database.app, organization.id, async (tx) => {
      for (let i = 1; i <= 5; i++)
        await appendAudit(tx, {
          organizationId: organization.id,
          actor: { kind: 'user', id: 'u1', label: organization.slug },
          address: '192.0.2.1',
          action: i % 2 ? 'key.created' : 'member.removed',
          subject: { type: i % 2 ? 'key' : 'member', id: `s${i}`, label: '=1+1' },
          after: { note: 'fine' },
        })
    })
})
afterAll(async () => {
  await control?.close()
  await database?.close()
})

const get = (path: string, who = ada) => control.call('GET', path, { key: who.token })

test('members with the permission read the log of their organization, page by page, and of no other', async () => {
  const first = await get('/api/audit?limit=2')
  expect(first.status).toBe(200)
  expect(first.json).toMatchObject({
    object: 'list',
    has_more: true,
    data: [{ object: 'audit_entry', sequence: 5 }, { sequence: 4 }],
  })
  const second = (await get(`/api/audit?limit=3&after=${first.json.last_id}`)).json
  expect([second.has_more, second.data.map((entry: { sequence: number }) => entry.sequence)]).toEqual([
    false,
    [3, 2, 1],
  ])
  expect(second.data.every((entry: { organization_id: string }) => entry.organization_id === acme.id)).toBe(true)
  // What another's page ends with is as unknown as what there isn't.
  expect((await get(`/api/audit?after=${first.json.last_id}`, grace)).json).toMatchObject({ data: [], has_more: false })
})

test.each([
  ['action=key.created', [5, 3, 1]],
  ['action=member.*', [4, 2]],
  ['subject=member', [4, 2]],
  ['subject=s3', [3]],
  ['actor=acme', [5, 4, 3, 2, 1]],
  ['actor=rival', []],
  ['from=2020-01-01&to=2020-01-02', []],
  ['from=2020-01-01T00:00:00%2B02:00', [5, 4, 3, 2, 1]],
])('it is filtered by %s', async (query, sequences) => {
  const { json } = await get(`/api/audit?${query}`)
  expect(json.data.map((entry: { sequence: number }) => entry.sequence)).toEqual(sequences)
})

test('a filter that is none is refused by its name', async () => {
  const answer = await get('/api/audit?from=yesterday')
  expect([answer.status, answer.json.error.param]).toEqual([400, 'from'])
})

test('who may not read it is refused', async () => {
  for (const role of ['member', 'viewer'] as const) {
    const other = await memberWithToken(database, acme.id, role)
    for (const path of ['/api/audit', '/api/audit/export.json', '/api/audit/export.csv'])
      expect((await get(path, other)).json.error.code).toBe('permission_denied')
  }
})

test('an export is a file: JSON whose chain can be followed, CSV without a formula; and that it was taken is in the log', async () => {
  const json = await get('/api/audit/export.json')
  expect(json.headers).toMatchObject({
    'content-type': expect.stringContaining('application/json'),
    'content-disposition': expect.stringMatching(/^attachment; filename="audit-\d{4}-\d\d-\d\d\.json"$/),
  })
  let last = CHAIN_BEGIN
  for (const entry of json.json) {
    expect(faultOf(last, entry)).toBe(null)
    last = entry
  }
  expect(json.json.at(-1)).toMatchObject({
    action: 'audit.exported',
    actor: { kind: 'token', id: ada.userId, label: ada.email },
    address: '127.0.0.1',
    after: { format: 'json' },
  })

  const csv = await get('/api/audit/export.csv?action=key.created')
  expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8')
  const lines = csv.body.split('\r\n')
  expect(lines).toHaveLength(5)
  expect(lines[1]).toContain(`"'=1+1"`)
  expect((await verifyAudit(database.operator, { organizationId: acme.id }))[0]!.fault).toBe(null)
})
