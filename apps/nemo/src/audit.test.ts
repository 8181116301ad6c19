import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { appendAudit } from '@nemo/postgres/audit'
import { createOrganization, type Organization } from '@nemo/postgres/organizations'
import { inTransaction, withOrganization } from '@nemo/postgres/tenancy'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildNemo, type Ended, Installation } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation
let database: TestDatabase
let acme: Organization

beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
  database = await freshDatabase()
  acme = await createOrganization(database.operator, 'acme', 'acme')
  await withOrganization(database.app, acme.id, async (tx) => {
    for (let i = 1; i <= 1_100; i++)
      await appendAudit(tx, {
        organizationId: acme.id,
        actor: { kind: 'user', id: 'u1', label: i % 100 ? 'ada@acme.test' : 'grace@acme.test' },
        address: '192.0.2.1',
        action: i % 2 ? 'key.created' : 'member.removed',
        subject: { type: 'key', id: `k${i}` },
        after: { note: i === 3 ? '=1+1' : 'fine' },
      })
  })
  await inTransaction(database.operator, (tx) =>
    appendAudit(tx, {
      organizationId: null,
      actor: { kind: 'operator', id: null },
      address: null,
      action: 'provider.added',
      subject: { type: 'provider', id: 'openai' },
    }),
  )
})
afterAll(async () => {
  await database?.close()
  await nemo?.close()
  await bundle?.remove()
})

const audit = (...args: string[]): Promise<Ended> => nemo.run(['audit', ...args], { DATABASE_URL: database.url })

test('a log that is as it was written is proven, whole or from an export, and against a hash that was kept elsewhere', async () => {
  const all = await audit('verify')
  expect(all).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/✓ the operator: 1 entry.*\n✓ acme: 1100 entries/),
  })
  const json = JSON.parse((await audit('verify', '--organization', 'acme', '--json')).stdout)
  expect(json).toEqual({
    sound: true,
    chains: [
      {
        organization_id: acme.id,
        organization: 'acme',
        entries: 1_100,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        fault: null,
      },
    ],
  })
  const anchor = json.chains[0].hash
  expect((await audit('verify', '--anchor', anchor)).code).toBe(0)
  const foreign = await audit('verify', '--anchor', 'a'.repeat(64))
  expect(foreign).toMatchObject({ code: 1, stdout: expect.stringContaining('No entry has the hash') })

  const exported = await audit('export', '--organization', 'acme', '--output', 'audit.json')
  expect(exported).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('Wrote 1100 entries') })
  expect((await audit('verify', '--file', 'audit.json', '--anchor', anchor)).code).toBe(0)
  const piped = await audit('export', '--organization', 'acme')
  const entries = JSON.parse(piped.stdout)
  expect(entries).toHaveLength(1_100)
  entries[41].address = '192.0.2.2'
  await writeFile(join(nemo.folder, 'forged.json'), JSON.stringify(entries))
  expect(await audit('verify', '--file', 'forged.json')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(`entry 42 was changed (${entries[41].id})`),
  })
})

test('entries are listed by what was asked for, and exported without a formula', async () => {
  const listed = await audit('list', '--organization', 'acme', '--actor', 'grace@acme.test', '--limit', '2')
  expect(listed.stdout).toMatch(/^#\s+TIME.*\n1000 .*grace@acme\.test.*key k1000.*\n1100 /)
  const operators = await audit('list', '--action', 'provider.*', '--json')
  expect(JSON.parse(operators.stdout)).toMatchObject({ sequence: 1, organization_id: null, action: 'provider.added' })
  const csv = (await audit('export', '--format', 'csv', '--subject', 'k3')).stdout.split('\r\n')
  expect(csv).toHaveLength(3)
  expect(csv[1]).toContain(`"{""note"":""=1+1""}"`)
  expect((await audit('list', '--from', 'yesterday-ish')).code).toBe(2)
  expect((await audit('list', '--to', '2020-01-01')).stdout.split('\n')).toHaveLength(2)
})

test('what the operator does by command is in the log of whom it was done to, without the key', async () => {
  const run = (...args: string[]) => nemo.run(args, { DATABASE_URL: database.url })
  await run('organization', 'create', 'rival')
  await run('organization', 'set', 'rival', '--strategy', 'least-busy')
  await run('credits', 'grant', '--organization', 'rival', '--amount', '5', '--reference', 'once')
  await run('credits', 'grant', '--organization', 'rival', '--amount', '5', '--reference', 'once')
  const key = (await run('key', 'create', '--organization', 'rival', '--alias', 'ci', '--budget', '1.50')).stdout.trim()
  await run('key', 'revoke', 'ci', '--organization', 'rival')
  const listed = await audit('list', '--organization', 'rival', '--json')
  const entries = listed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(entries.map(({ action, subject }) => `${action} ${subject.label}`)).toEqual([
    'organization.created rival',
    'organization.settings_updated rival',
    'credits.granted null',
    'key.created ci',
    'key.revoked ci',
  ])
  expect(entries[2]).toMatchObject({
    actor: { kind: 'operator', label: expect.stringContaining('by command') },
    after: { amount_usd: '5' },
  })
  expect(key).toMatch(/^sk-nemo-/)
  expect(listed.stdout).not.toContain(key.slice(8))
})

test('a log that was tampered with fails, with the first entry that is wrong', async () => {
  await database.owner.query(
    `begin; set local session_replication_role = replica; delete from audit_log where subject_id = 'k700'; commit`,
  )
  expect(await audit('verify')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('✗ acme: entry 700 is missing; 699 entries before it are as written'),
  })
  const json = await audit('verify', '--json')
  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({
    sound: false,
    chains: [
      { fault: null },
      { organization: 'acme', entries: 699, fault: { sequence: 700, id: null, what: 'entry 700 is missing' } },
      { organization: 'rival', fault: null },
    ],
  })
})
