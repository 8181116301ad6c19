import { createOrganization } from '@nemo/postgres/organizations'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildNemo, Installation } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation
let database: TestDatabase

beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
  database = await freshDatabase()
})
afterAll(async () => {
  await database?.close()
  await nemo?.close()
  await bundle?.remove()
})

test('webhooks hear of keys that the operator makes and revokes by command, too', async () => {
  const acme = await createOrganization(database.operator, 'acme', 'acme')
  await database.owner.query(
    `insert into webhook_endpoints (id, organization_id, url, events, secret) values (gen_random_uuid(), $1, 'https://acme.test', '{key.*}', '')`,
    [acme.id],
  )
  const run = async (...args: string[]) => {
    const ended = await nemo.run(args, { DATABASE_URL: database.url })
    expect([ended.code, ended.stderr]).toEqual([0, expect.anything()])
    return ended.stdout.trim()
  }
  const key = await run('key', 'create', '--alias', 'ci')
  await run('key', 'revoke', 'ci')
  const { rows } = await database.owner.query(`select type, body::json->'data' as data from webhook_events order by id`)
  const ofKey = { alias: 'ci', hint: `sk-nemo-…${key.slice(-4)}`, team_id: acme.defaultTeamId }
  expect(rows).toMatchObject([
    { type: 'key.created', data: ofKey },
    { type: 'key.revoked', data: { ...ofKey, reason: 'asked' } },
  ])
  expect(rows[0].data.key_id).toBe(rows[1].data.key_id)
})
