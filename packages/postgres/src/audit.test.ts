import { hashOfAuditEntry } from '@nemo/domain/audit-entry'
import { uuidv7 } from '@nemo/domain/ids'
import { databaseForThisTest, freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appendAudit, exportAudit, listAudit, type NewAuditEntry, verifyAudit } from './audit.ts'
import { createOrganization, type Organization } from './organizations.ts'
import { inTransaction, withOrganization } from './tenancy.ts'

let database: TestDatabase
let acme: Organization
let rival: Organization

beforeAll(async () => {
  database = await freshDatabase()
  acme = await createOrganization(database.operator, 'acme', 'acme')
  rival = await createOrganization(database.operator, 'rival', 'rival')
})
afterAll(() => database?.close())

const entry = (organizationId: string | null, more: Partial<NewAuditEntry> = {}): NewAuditEntry => ({
  organizationId,
  actor: { kind: 'user', id: 'u1', label: 'ada@acme.test' },
  address: '192.0.2.7',
  action: 'key.created',
  subject: { type: 'key', id: 'k1', label: 'researcher' },
  before: null,
  after: { alias: 'researcher', zebra: [1.5, 1e21, 'ü\n"\u0001\u2028😀'], key: `sk-nemo-${'x'.repeat(46)}` },
  ...more,
})

const append = (organization: Organization, more: Partial<NewAuditEntry> = {}, { app } = database) =>
  withOrganization(app, organization.id, (tx) => appendAudit(tx, entry(organization.id, more)))

describe('the chain', () => {
  test('is what the database and we compute alike, whatever the entry says', async () => {
    const odd = [
      '',
      ' ',
      '"',
      '\\',
      '\b\f\n\r\t',
      '\u007f\u0080',
      '\u2028',
      '\ud800',
      '😀',
      '</script>',
      '\u0000',
      'é',
      'ﬃ',
    ]
    for (const text of odd) {
      const written = await append(acme, {
        actor: { kind: 'token', id: text, label: text },
        address: null,
        subject: { type: 'key', id: text, label: null },
        before: { [text]: text, 10: 1, 9: -0, b: { a: null, B: true } },
        after: [text, 0.1, 123456789012345680000n],
      })
      expect(written.hash, JSON.stringify(text)).toBe(hashOfAuditEntry(written))
    }
    expect(await verifyAudit(database.operator, { organizationId: acme.id })).toMatchObject([
      { entries: odd.length, fault: null },
    ])
  })

  test('has neither a gap nor a fork when many append at once, in two organizations and for the operator', async () => {
    const fresh = await databaseForThisTest()
    const both = [
      await createOrganization(fresh.operator, 'one', 'one'),
      await createOrganization(fresh.operator, 'two', 'two'),
    ]
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const organization = both[i % 2]!
        if (i % 3 === 0)
          return inTransaction(fresh.operator, (tx) => appendAudit(tx, entry(i % 2 ? null : organization.id)))
        if (i % 7 !== 0) return append(organization, {}, fresh)
        // One that is rolled back leaves no gap.
        const failing = withOrganization(fresh.app, organization.id, async (tx) => {
          await appendAudit(tx, entry(organization.id))
          throw new Error('rolled back')
        })
        return failing.catch(() => {})
      }),
    )
    const proofs = await verifyAudit(fresh.operator)
    expect(proofs.map((proof) => [proof.slug, proof.fault])).toEqual([
      [null, null],
      ['one', null],
      ['two', null],
    ])
    expect(proofs.reduce((sum, proof) => sum + proof.entries, 0)).toBe(
      60 - Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 3 && i % 7 === 0).length,
    )
  })

  test('shows every change, deletion and exchange of rows that the superuser makes, at the first bad row', async () => {
    const columns = [
      'at',
      'actor_kind',
      'actor_id',
      'actor_label',
      'address',
      'action',
      'subject_type',
      'subject_id',
      'subject_label',
      'before',
      'after',
    ]
    const other: Record<string, string> = {
      at: `at + interval '1 microsecond'`,
      actor_kind: `'system'`,
      action: `'key.deleted'`,
      before: `'{}'`,
      after: `'{"alias":"writer"}'`,
    }
    const tampering: [string, number][] = [
      ...columns.map((column): [string, number] => [
        `update audit_log set ${column} = ${other[column] ?? `'other'`} where sequence = 3`,
        3,
      ]),
      [`update audit_log set organization_id = '${rival.id}' where sequence = 3`, 3],
      [`update audit_log set id = gen_random_uuid() where sequence = 3`, 3],
      [`update audit_log set hash = repeat('a', 64) where sequence = 3`, 3],
      [`update audit_log set previous_hash = repeat('a', 64) where sequence = 3`, 3],
      ['delete from audit_log where sequence = 3', 3],
      ['delete from audit_log where sequence = 1', 1],
      ['delete from audit_log where sequence >= 3', 3],
      ['delete from audit_log', 1],
      ['delete from audit_log where sequence = 5', 5],
      // Rows 2 and 4 exchange their places, and then also their hashes.
      ['update audit_log set sequence = 6 - sequence where sequence in (2, 4)', 2],
      [
        `update audit_log a set sequence = b.sequence, hash = b.hash, previous_hash = b.previous_hash from audit_log b
          where a.sequence in (2, 4) and b.sequence = 6 - a.sequence`,
        2,
      ],
      // What follows is numbered anew, so that nothing is missing.
      [
        'with gone as (delete from audit_log where sequence = 2) update audit_log set sequence = sequence - 1 where sequence > 2',
        2,
      ],
      // An entry is put in at the end, with a hash that is right by itself.
      [
        `insert into audit_log select gen_random_uuid(), organization_id, 6, at, actor_kind, actor_id, actor_label, address, action, subject_type, subject_id,
          subject_label, before, after, hash, repeat('b', 64) from audit_log where sequence = 5`,
        6,
      ],
      ['delete from audit_heads', 6],
    ]
    const fresh = await databaseForThisTest()
    const organization = await createOrganization(fresh.operator, 'acme', 'acme')
    await fresh.owner.query(`insert into organizations (id, name, slug) values ($1, 'rival', 'rival')`, [rival.id])
    for (let i = 0; i < 5; i++) await append(organization, { subject: { type: 'key', id: String(i) } }, fresh)
    const [whole] = await verifyAudit(fresh.operator, { organizationId: organization.id })
    expect(whole).toMatchObject({ entries: 5, fault: null })

    // Whoever tampers takes away what is in the way.
    await fresh.owner.query('alter table audit_log drop constraint audit_log_organization_id_sequence_key')
    await fresh.owner.query(
      'create table kept as select * from audit_log; create table kept_heads as select * from audit_heads',
    )
    for (const [sql, sequence] of tampering) {
      await fresh.owner.query(`begin; set local session_replication_role = replica; ${sql}; commit`)
      const [proof] = await verifyAudit(fresh.operator, { organizationId: organization.id })
      expect(proof?.fault?.sequence, sql).toBe(sequence)
      expect(proof!.entries, sql).toBe(sequence - 1)
      await fresh.owner.query(
        `begin; set local session_replication_role = replica; delete from audit_log; delete from audit_heads;
         insert into audit_log select * from kept; insert into audit_heads select * from kept_heads; commit`,
      )
    }
    expect(await verifyAudit(fresh.operator, { organizationId: organization.id })).toEqual([whole])
  })
})

describe('the log', () => {
  test('is changed and deleted by no role, and by nobody while its trigger stands', async () => {
    await append(rival)
    for (const pool of [database.app, database.operator]) {
      for (const sql of [
        'update audit_log set action = action',
        'delete from audit_log',
        'truncate audit_log',
        'update audit_heads set sequence = 1',
      ]) {
        await expect(pool.query(sql), sql).rejects.toThrow('permission denied')
      }
    }
    for (const sql of [`update audit_log set action = 'a.b'`, 'delete from audit_log', 'truncate audit_log']) {
      await expect(database.owner.query(sql), sql).rejects.toThrow('never changed')
    }
    const { rows } = await database.owner.query(
      `select grantee, privilege_type from information_schema.role_table_grants
        where table_name in ('audit_log', 'audit_heads') and privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE') and grantee <> current_user
          and grantee <> 'nemo_kernel'`,
    )
    expect(rows).toEqual([])
  })

  test('lets nobody choose a place in the chain, nor write for another organization', async () => {
    const insert = (more: string, values: string) =>
      withOrganization(database.app, acme.id, (tx) =>
        tx.query(
          `insert into audit_log (id, organization_id, actor_kind, action, subject_type${more}) values (gen_random_uuid(), $1, 'user', 'a.b', 'key'${values})`,
          [acme.id],
        ),
      )
    await insert('', '')
    for (const [column, value] of [
      ['sequence', '1'],
      ['hash', `repeat('a', 64)`],
      ['previous_hash', `repeat('a', 64)`],
      ['at', 'now()'],
    ])
      await expect(insert(`, ${column}`, `, ${value}`), column).rejects.toThrow('permission denied')
    const foreign = (organizationId: string | null) =>
      withOrganization(database.app, acme.id, (tx) => appendAudit(tx, entry(organizationId)))
    await expect(foreign(rival.id)).rejects.toMatchObject({ code: '42501' })
    await expect(foreign(null)).rejects.toMatchObject({ code: '42501' })
  })

  test('never keeps a secret, wherever in an entry it is', async () => {
    const secret = `sk-nemo-${'Z'.repeat(46)}`
    await append(acme, {
      actor: { kind: 'user', id: secret, label: secret },
      address: secret,
      subject: { type: 'key', id: secret, label: secret },
      before: { password: 'correct horse', [secret]: 1 },
      after: { note: `use ${secret}`, nested: [{ recoveryCodes: ['aaaa-bbbb'] }] },
    })
    const { rows } = await database.owner.query('select audit_log::text as row from audit_log order by at desc limit 1')
    expect(rows[0].row).not.toMatch(/Z{12}|correct horse|aaaa-bbbb/)
    expect(rows[0].row).toContain('[masked]')
  })

  test('is listed by page and exported whole, by every filter, without a row of another organization', async () => {
    const organization = await createOrganization(database.operator, 'listed', 'listed')
    const begun = new Date()
    for (let i = 0; i < 7; i++)
      await append(organization, {
        actor: { kind: i % 2 ? 'user' : 'system', id: `u${i % 3}` },
        action: i < 4 ? 'key.created' : 'member.removed',
        subject: { type: i < 4 ? 'key' : 'member', id: `s${i}` },
      })
    const sequences = (filter: object, page = { limit: 100 }) =>
      withOrganization(database.app, organization.id, async (tx) =>
        (await listAudit(tx, filter, page)).map((one) => one.sequence),
      )
    expect(await sequences({})).toEqual([7, 6, 5, 4, 3, 2, 1])
    expect(await sequences({ actor: 'u0' })).toEqual([7, 4, 1])
    expect(await sequences({ actor: 'system', action: 'key.*' })).toEqual([3, 1])
    expect(await sequences({ action: 'member.removed' })).toEqual([7, 6, 5])
    expect(await sequences({ subject: 's2' })).toEqual([3])
    expect(await sequences({ subject: 'member' })).toEqual([7, 6, 5])
    expect(await sequences({ from: begun })).toHaveLength(7)
    expect(await sequences({ to: begun })).toEqual([])
    expect(await sequences({ organizationId: rival.id })).toEqual([])

    const pages: number[] = []
    let after: string | undefined
    for (;;) {
      const page = await withOrganization(database.app, organization.id, (tx) =>
        listAudit(tx, {}, { limit: 3, ...(after && { after }) }),
      )
      pages.push(...page.map((one) => one.sequence))
      if (page.length < 3) break
      after = page.at(-1)!.id
    }
    expect(pages).toEqual([7, 6, 5, 4, 3, 2, 1])

    const exported = []
    for await (const batch of exportAudit((act) => withOrganization(database.app, organization.id, act), {}))
      exported.push(...batch)
    expect(exported.map((one) => one.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(exported.every((one) => one.hash === hashOfAuditEntry(one))).toBe(true)
    // Within a millisecond it is the sequence that decides, for ids are random there.
    await database.owner.query(
      `begin; set local session_replication_role = replica; update audit_log set at = now() where organization_id = '${organization.id}'; commit`,
    )
    expect(await sequences({})).toEqual([7, 6, 5, 4, 3, 2, 1])
    const again = []
    for await (const batch of exportAudit((act) => withOrganization(database.app, organization.id, act), {}))
      again.push(...batch.map((one) => one.sequence))
    expect(again).toEqual([1, 2, 3, 4, 5, 6, 7])
    const nothing = await withOrganization(database.app, organization.id, (tx) =>
      listAudit(tx, {}, { limit: 3, after: uuidv7() }),
    )
    expect(nothing).toEqual([])
  })
})
