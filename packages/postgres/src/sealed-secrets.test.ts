import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeSealedSecrets, SEALED, sealedSecrets } from './sealed-secrets.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  await database.owner.query(
    `insert into provider_credentials (id, name, provider, secret)
     select gen_random_uuid(), 'p' || n, 'openai', decode(lpad(to_hex(n), 4, '0'), 'hex') from generate_series(1, 450) n`,
  )
  await database.owner.query(
    `insert into users (id, email, name, totp_secret) values (gen_random_uuid(), 'ada@example.com', 'Ada', 'x')`,
  )
})
afterAll(() => database?.close())

test('every column of bytes is known to hold hashes, or something sealed that a rotation reaches', async () => {
  const { rows } = await database.owner.query(
    `select c.relname || '.' || a.attname as place from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p') and a.atttypid = 'bytea'::regtype`,
  )
  const places = rows
    .map(({ place }) => place)
    .filter((place) => !/\.hash$/.test(place) && place !== 'rate_limits.bucket')
  expect(places.sort()).toEqual(SEALED.map(({ table, column }) => `${table}.${column}`).sort())
})

const all = async () => {
  const found: string[] = []
  for await (const { place, context, sealed } of sealedSecrets(database.operator))
    found.push(`${place} ${context} ${sealed.toString('hex')}`)
  return found
}

test('all are changed, beyond one batch, or none is when one can’t be', async () => {
  const before = await all()
  expect(before).toHaveLength(451)
  expect(before).toContainEqual('provider_credentials.secret p450 01c2')
  expect(before.at(-1)).toMatch(/^users\.totp_secret totp [0-9a-f-]{36} 78$/)
  let left = 449
  const failing = changeSealedSecrets(
    database.operator,
    () => {
      if (left-- === 0) throw new Error('this one not')
      return Buffer.from('changed')
    },
    () => {},
  )
  await expect(failing).rejects.toThrow('this one not')
  expect(await all()).toEqual(before)
  const told: number[] = []
  const report = await changeSealedSecrets(
    database.operator,
    ({ context }) => (context === 'p1' ? null : Buffer.from('changed')),
    ({ place, seen }) => place === 'provider_credentials.secret' && told.push(seen),
  )
  expect(told).toEqual([200, 400, 450])
  expect(report[0]).toEqual({ place: 'provider_credentials.secret', seen: 450, changed: 449 })
  expect((await all()).filter((line) => !line.endsWith(Buffer.from('changed').toString('hex')))).toEqual([
    'provider_credentials.secret p1 0001',
  ])
})
