import { ROLES } from '@nemo/domain/roles'
import { hashVirtualKey } from '@nemo/domain/virtual-key'
import { deleteDueOrganizations } from '@nemo/postgres/organization-deletion'
import { createVirtualKey, findVirtualKey } from '@nemo/postgres/virtual-keys'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { join, PASSWORD, type Person, signUp, tokenFor } from '@nemo/testing/people'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

let database: TestDatabase
let control: RunningControl

beforeAll(async () => {
  database = await freshDatabase()
  control = await runControl(database, { trustedProxies: ['127.0.0.1'] })
})
afterAll(async () => {
  expect(control?.problems).toEqual([])
  await control?.close()
  await database?.close()
})

const count = async (sql: string, values: unknown[] = []) =>
  (await database.owner.query(`select count(*)::int as n from ${sql}`, values)).rows[0].n as number

/** Organizations without a member, limits or teams without an organization that has one. */
const orphans = () =>
  count(
    `organizations o where deleted_at is null and (not exists (select 1 from members m where m.organization_id = o.id)
        or not exists (select 1 from teams t where t.organization_id = o.id)
        or not exists (select 1 from limits l where l.organization_id = o.id and l.window_name = 'lifetime'))`,
  )

let addresses = 0
const elsewhere = () => ({ 'x-forwarded-for': `10.7.${++addresses >> 8}.${addresses & 255}` })

describe('belonging to one organization', () => {
  test('50 sign-ups and invitations of one address, followed at once, make one user, one membership and no orphan', async () => {
    const email = 'wanted@example.com'
    const signUps: string[] = []
    for (let i = 0; i < 5; i++) {
      const body = { email, password: PASSWORD, name: 'Wanted', organization_name: 'Wanted' }
      await control.call('POST', '/api/auth/sign-up', { body, headers: elsewhere() })
      signUps.push(tokenFor(control, email))
    }
    const invitations: string[] = []
    for (let i = 0; i < 5; i++) {
      const owner = await signUp(control, `inviter-${i}`)
      await owner.call('POST', '/api/invitations', { email, role: 'member' })
      invitations.push(tokenFor(control, email))
    }
    const before = await count('organizations')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const token = i % 2 === 0 ? signUps[i % 5] : invitations[i % 5]
        const [path, body] =
          i % 2 === 0
            ? ['/api/auth/verify-email', { token }]
            : ['/api/invitations/accept', { token, name: 'Wanted', password: PASSWORD }]
        return control.call('POST', path as string, { body: body as object, headers: elsewhere() })
      }),
    )
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => ![201, 400, 401, 409].includes(status))).toEqual([])
    expect(await count('users where lower(email) = $1', [email])).toBe(1)
    expect(await count('members m join users u on u.id = m.user_id where lower(u.email) = $1', [email])).toBe(1)
    expect((await count('organizations')) - before).toBeLessThanOrEqual(1)
    expect(await orphans()).toBe(0)
  })

  test('50 times founding and accepting at once by one user who is signed in makes one membership and no orphan', async () => {
    const person = await signUp(control, 'homeless')
    const other = await join(control, person, 'companion', 'owner')
    await person.call('POST', '/api/organization/leave')
    const tokens: string[] = []
    for (let i = 0; i < 5; i++) {
      const owner = await signUp(control, `host-${i}`)
      await owner.call('POST', '/api/invitations', { email: person.email, role: 'admin' })
      tokens.push(tokenFor(control, person.email))
    }
    const before = await count('organizations')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        i % 2 === 0
          ? person.call('POST', '/api/invitations/accept', { token: tokens[i % 5] }, { headers: elsewhere() })
          : person.call('POST', '/api/organizations', { name: 'Mine' }),
      ),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    for (const { status } of answers) expect([201, 400, 409, 429]).toContain(status)
    expect(await count('members where user_id = $1', [person.id])).toBe(1)
    expect((await count('organizations')) - before).toBeLessThanOrEqual(1)
    expect(await orphans()).toBe(0)
    // The credits to begin with were given already.
    expect(
      await count(`ledger_entries where kind = 'grant' and reference = 'sign-up' and organization_id = $1`, [
        other.organizationId,
      ]),
    ).toBe(1)
  })

  test('who founds again after leaving gets no credits again', async () => {
    const first = await signUp(control, 'founder')
    await join(control, first, 'successor', 'owner')
    await first.call('POST', '/api/organization/leave')
    const again = await first.call('POST', '/api/organizations', { name: 'Again' })
    expect(again.status).toBe(201)
    expect(again.json.balance).toBe('0.00')
  })
})

describe('invitations', () => {
  test('are good once, for who was invited, until they are revoked or seven days have passed', async () => {
    const owner = await signUp(control, 'host')
    const invite = async (email: string) => {
      const { json } = await owner.call('POST', '/api/invitations', { email, role: 'viewer' })
      return { id: json.id as string, token: tokenFor(control, email) }
    }
    const accept = (token: string, cookie?: string) =>
      control.call('POST', '/api/invitations/accept', {
        body: { token, name: 'Guest', password: PASSWORD },
        headers: elsewhere(),
        ...(cookie && { cookie }),
      })

    const first = await invite('guest@example.com')
    const preview = await control.call('POST', '/api/invitations/preview', { body: { token: first.token } })
    expect(preview.json).toMatchObject({ organization_name: 'host', role: 'viewer', has_account: false })
    expect((await accept(first.token, owner.cookie)).json.error.code).toBe('wrong_account')
    expect((await accept(first.token)).json.organization).toMatchObject({ role: 'viewer', name: 'host' })
    expect((await accept(first.token)).json.error.code).toBe('link_invalid')

    const revoked = await invite('revoked@example.com')
    expect((await owner.call('DELETE', `/api/invitations/${revoked.id}`)).status).toBe(200)
    expect((await accept(revoked.token)).json.error.code).toBe('link_invalid')

    const late = await invite('late@example.com')
    await database.owner.query(`update invitations set expires_at = now() - interval '1 second' where id = $1`, [
      late.id,
    ])
    expect((await accept(late.token)).json.error.code).toBe('link_invalid')
    const { data } = (await owner.call('GET', '/api/invitations')).json
    expect(data.map(({ status }: { status: string }) => status)).toEqual(['expired', 'revoked', 'accepted'])
  })

  test('are refused to who has an organization, and to who has an account but isn’t signed in', async () => {
    const owner = await signUp(control, 'greedy')
    const settled = await signUp(control, 'settled')
    await owner.call('POST', '/api/invitations', { email: settled.email, role: 'member' })
    const token = tokenFor(control, settled.email)
    const stranger = await control.call('POST', '/api/invitations/accept', {
      body: { token, name: 'Not him', password: 'password of a stranger' },
    })
    expect([stranger.status, stranger.json.error.code]).toEqual([401, 'not_signed_in'])
    const accepted = await settled.call('POST', '/api/invitations/accept', { token })
    expect([accepted.status, accepted.json.error.code]).toEqual([409, 'has_organization'])
    expect((await settled.call('GET', '/api/me')).json.organization.id).toBe(settled.organizationId)
  })

  test('of one address take turns: of many at once the last is open', async () => {
    const owner = await signUp(control, 'insistent')
    const invite = () => owner.call('POST', '/api/invitations', { email: 'sought@example.com', role: 'member' })
    const answers = await Promise.all(Array.from({ length: 8 }, invite))
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201))
    const { data } = (await owner.call('GET', '/api/invitations')).json
    expect(data.filter(({ status }: { status: string }) => status === 'open')).toHaveLength(1)
  })

  test('raise nobody above who invites', async () => {
    const owner = await signUp(control, 'monarch')
    const admin = await join(control, owner, 'minister', 'admin')
    const tried = await admin.call('POST', '/api/invitations', { email: 'friend@example.com', role: 'owner' })
    expect(tried.json.error.code).toBe('above_your_role')
    expect((await admin.call('PATCH', `/api/members/${admin.id}`, { role: 'owner' })).json.error.code).toBe(
      'above_your_role',
    )
    expect((await admin.call('PATCH', `/api/members/${owner.id}`, { role: 'viewer' })).json.error.code).toBe(
      'above_your_role',
    )
    expect((await admin.call('DELETE', `/api/members/${owner.id}`)).json.error.code).toBe('above_your_role')
  })
})

describe('an owner', () => {
  test('is always left: the last can’t leave, step down or be removed, nor can the last two at once', async () => {
    const owner = await signUp(control, 'alone')
    expect((await owner.call('POST', '/api/organization/leave')).json.error.code).toBe('last_owner')
    expect((await owner.call('PATCH', `/api/members/${owner.id}`, { role: 'member' })).json.error.code).toBe(
      'last_owner',
    )
    expect((await owner.call('DELETE', `/api/members/${owner.id}`)).json.error.code).toBe('last_owner')

    for (let round = 0; round < 5; round++) {
      const other = await join(control, owner, `partner-${round}`, 'owner')
      const answers = await Promise.all([
        owner.call('PATCH', `/api/members/${owner.id}`, { role: 'admin' }),
        other.call('POST', '/api/organization/leave'),
      ])
      expect(
        await count(`members where organization_id = $1 and role = 'owner'`, [owner.organizationId]),
      ).toBeGreaterThan(0)
      expect(answers.map(({ status }) => status)).toContain(200)
      // As it was before the round.
      await database.owner.query(`update members set role = 'owner' where user_id = $1`, [owner.id])
      await database.owner.query('delete from members where user_id = $1', [other.id])
    }
  })

  test('hands over to another member, and is an admin then', async () => {
    const owner = await signUp(control, 'elder')
    const heir = await join(control, owner, 'heir', 'member')
    expect((await owner.call('POST', '/api/organization/transfer', { user_id: heir.id })).status).toBe(200)
    const roles = (await heir.call('GET', '/api/members')).json.data.map(
      ({ id, role }: { id: string; role: string }) => [id, role],
    )
    expect(Object.fromEntries(roles)).toEqual({ [owner.id]: 'admin', [heir.id]: 'owner' })
  })
})

describe('members', () => {
  test('lose their tokens and their sight with their membership', async () => {
    const owner = await signUp(control, 'strict')
    const member = await join(control, owner, 'leaver', 'member')
    const { token } = (await member.call('POST', '/api/me/tokens', { name: 'CI' })).json
    expect((await control.call('GET', '/api/teams', { key: token })).status).toBe(200)
    expect((await owner.call('DELETE', `/api/members/${member.id}`)).status).toBe(200)
    expect((await control.call('GET', '/api/teams', { key: token })).status).toBe(401)
    expect((await member.call('GET', '/api/teams')).json.error.code).toBe('no_organization')
  })

  test('are paged through without a gap', async () => {
    const owner = await signUp(control, 'crowd')
    for (const role of ROLES) await join(control, owner, `crowd-${role}`, role)
    const seen: string[] = []
    for (let after = ''; ; ) {
      const page = (await owner.call('GET', `/api/members?limit=2${after && `&after=${after}`}`)).json
      seen.push(...page.data.map(({ id }: Person) => id))
      after = page.last_id
      if (!page.has_more) break
    }
    expect(new Set(seen).size).toBe(5)
    expect(seen).toHaveLength(5)
  })
})

describe('teams', () => {
  test('are created, renamed and deleted, but not while keys of them are in use, and Default never', async () => {
    const owner = await signUp(control, 'teams')
    const { id } = (await owner.call('POST', '/api/teams', { name: 'Research' })).json
    expect((await owner.call('POST', '/api/teams', { name: 'Research' })).json.error).toMatchObject({
      code: 'name_taken',
      param: 'name',
    })
    expect((await owner.call('PATCH', `/api/teams/${id}`, { name: 'R&D' })).json.name).toBe('R&D')
    const key = await createVirtualKey(database.operator, {
      organizationId: owner.organizationId,
      teamId: id,
      alias: 'agent',
    })
    expect((await owner.call('DELETE', `/api/teams/${id}`)).json.error.code).toBe('team_in_use')
    await database.operator.query('update virtual_keys set revoked_at = now() where id = $1', [key.id])
    expect((await owner.call('DELETE', `/api/teams/${id}`)).status).toBe(200)
    expect((await owner.call('GET', `/api/teams/${id}`)).status).toBe(404)
    expect((await owner.call('POST', '/api/teams', { name: 'R&D' })).status).toBe(201)
    const standing = (await owner.call('GET', '/api/teams')).json.data.find(
      (one: { is_default: boolean }) => one.is_default,
    )
    expect((await owner.call('DELETE', `/api/teams/${standing.id}`)).json.error.code).toBe('default_team')
    expect((await owner.call('PATCH', `/api/teams/${standing.id}`, { name: 'X' })).json.error.code).toBe('default_team')
  })
})

describe('deleting an organization', () => {
  test('stops its keys at once, can be taken back for 30 days, and then leaves nothing personal but what money needs', async () => {
    const owner = await signUp(control, 'ephemeral')
    const member = await join(control, owner, 'ephemeral-member', 'member')
    const teamId = (await owner.call('GET', '/api/teams')).json.data[0].id
    const { key } = await createVirtualKey(database.operator, {
      organizationId: owner.organizationId,
      teamId,
      alias: 'agent',
    })
    const isRevoked = async () => (await findVirtualKey(database.app, hashVirtualKey(key)))!.revokedAt !== null

    expect((await owner.call('POST', '/api/organization/delete', { slug: 'other' })).json.error.param).toBe('slug')
    const closing = await owner.call('POST', '/api/organization/delete', { slug: 'ephemeral' })
    expect(Date.parse(closing.json.delete_after) - Date.now()).toBeGreaterThan(29.9 * 86_400_000)
    expect(await isRevoked()).toBe(true)
    expect((await owner.call('POST', '/api/teams', { name: 'Late' })).json.error.code).toBe('organization_closing')
    expect((await owner.call('GET', '/api/teams')).status).toBe(200)
    expect((await member.call('POST', '/api/organization/restore')).status).toBe(403)
    expect((await owner.call('POST', '/api/organization/restore')).json.delete_after).toBeNull()
    expect(await isRevoked()).toBe(false)

    await owner.call('POST', '/api/organization/delete', { slug: 'ephemeral' })
    expect(await deleteDueOrganizations(database.operator)).toEqual([])
    await database.owner.query(`update organizations set delete_after = now() - interval '1 second' where id = $1`, [
      owner.organizationId,
    ])
    expect(await deleteDueOrganizations(database.operator)).toEqual([owner.organizationId])
    expect(await isRevoked()).toBe(true)
    expect((await owner.call('GET', '/api/me')).status).toBe(401)
    expect(await count('ledger_entries where organization_id = $1', [owner.organizationId])).toBe(1)
    for (const table of ['users u where u.id in ($1, $2)', 'members m where m.user_id in ($1, $2)'])
      expect(await count(table, [owner.id, member.id])).toBe(0)
    expect(await count(`organizations where id = $1 and name = 'Deleted'`, [owner.organizationId])).toBe(1)
  })

  test('leaves nothing that anyone called himself or his, but in invoices and the audit log', async () => {
    const owner = await signUp(control, 'vanishing')
    await join(control, owner, 'vanishing-too', 'member')
    const planted = 'Planted by name'
    for (const [method, path, body] of [
      ['PATCH', '/api/organization', { name: planted }],
      ['POST', '/api/teams', { name: planted }],
      ['POST', '/api/keys', { alias: planted }],
      ['POST', '/api/me/tokens', { name: planted }],
      ['PATCH', '/api/me', { name: planted }],
      ['POST', '/api/webhooks', { url: `https://example.com/${encodeURIComponent(planted)}`, events: ['*'] }],
      ['POST', '/api/invitations', { email: 'vanishing-guest@example.com' }],
    ] as const)
      expect((await owner.call(method, path, body)).status, path).toBeLessThan(300)
    const id = owner.organizationId
    const { owner: db } = database
    await db.query(`update billing_accounts set company = $2, address = $2, email = $3 where organization_id = $1`, [
      id,
      planted,
      owner.email,
    ])
    await db.query(
      `insert into saved_cards (id, organization_id, brand, last4, exp_month, exp_year, said_at) values ($2, $1, $2, '4242', 1, 2030, now())`,
      [id, planted],
    )
    await db.query(
      `insert into request_logs (id, organization_id, started_at, key_id, key_alias, team_id, endpoint, streamed, status, latency_ms, consumer, session_id, tags, cost_nanos)
       select gen_random_uuid(), $1, now() - n * interval '1 second', gen_random_uuid(), $2::text, gen_random_uuid(), 'chat', false, 200, 1, $2, $2, array[$2], 7
         from generate_series(1, 5001) n`,
      [id, planted],
    )
    await expect(db.query(`select erase_callers($1, '-infinity', $1)`, [id])).rejects.toThrow('not to be deleted now')
    await owner.call('POST', '/api/organization/delete', { slug: 'vanishing' })
    await db.query(`update organizations set delete_after = now() - interval '1 second' where id = $1`, [id])
    expect((await owner.call('POST', '/api/organization/restore')).json.error.code).toBe('deletion_begun')
    expect(await deleteDueOrganizations(database.operator)).toEqual([id])

    const { rows: tables } = await db.query(
      `select relname as name from pg_class where relnamespace = 'nemo'::regnamespace and relkind in ('r', 'p') and not relispartition`,
    )
    const said: string[] = []
    for (const { name } of tables)
      if (
        (await count(`${name} t where t::text ilike any ($1)`, [[`%${planted}%`, '%vanishing%', '%Planted%20by%']])) > 0
      )
        said.push(name)
    expect(said).toEqual(['audit_log'])
    expect(await count('request_logs where organization_id = $1 and cost_nanos = 7', [id])).toBe(5001)
    const last = await db.query(
      `select action, actor_kind from audit_log where organization_id = $1 order by sequence desc limit 1`,
      [id],
    )
    expect(last.rows).toEqual([{ action: 'organization.deleted', actor_kind: 'system' }])
  })

  test('is preceded by an export of all its rows, and of nobody else’s, without secrets', async () => {
    const owner = await signUp(control, 'archivist')
    await owner.call('POST', '/api/me/tokens', { name: 'CI' })
    const answer = await owner.call('GET', '/api/organization/export')
    expect(answer.headers['content-disposition']).toBe('attachment; filename="organization.json"')
    const all = answer.json
    expect(all.organization_id).toBe(owner.organizationId)
    expect(all.organizations).toHaveLength(1)
    expect(all.users).toMatchObject([{ id: owner.id, email: owner.email }])
    expect(all.ledger_entries).toMatchObject([{ kind: 'grant', amount_nanos: 5_000_000_000 }])
    expect(all.personal_tokens).toMatchObject([{ name: 'CI' }])
    expect(all.audit_log.map(({ action }: { action: string }) => action)).toContain('organization.created')
    const { rows } = await database.owner.query(`
      select distinct c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
       where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
         and has_any_column_privilege('nemo_app', c.oid, 'select')`)
    for (const { relname } of rows) expect(Object.keys(all), relname).toContain(relname)
    for (const rows of Object.values(all))
      for (const row of Array.isArray(rows) ? rows : [])
        expect([owner.organizationId, null, undefined]).toContain(row.organization_id)
    expect(answer.body).not.toMatch(/"(hash|password_hash|totp_secret)"\s*:\s*"\\\\x/)
  })

  test('keeps no connection from others, however slowly exports are read', async () => {
    const owners = await Promise.all(['slow-1', 'slow-2', 'slow-3', 'slow-4'].map((name) => signUp(control, name)))
    // More than sockets take in before somebody reads.
    for (const { organizationId } of owners)
      await database.owner.query(
        `insert into kept_responses (organization_id, id, items) select $1, 'resp_' || n, jsonb_build_array(repeat(md5(n::text), 500)) from generate_series(1, 1200) n`,
        [organizationId],
      )
    const abort = new AbortController()
    const begin = ({ cookie }: Person) =>
      fetch(`${control.url}/api/organization/export`, { headers: { cookie }, signal: abort.signal })
    const begun = []
    for (const owner of owners.slice(0, 3)) begun.push(await begin(owner))
    expect(begun.map(({ status }) => status)).toEqual([200, 200, 200])
    const again = await begin(owners[0]!)
    expect([again.status, again.headers.get('retry-after')]).toEqual([429, '30'])
    expect((await begin(owners[3]!)).status).toBe(429)
    const others = await Promise.all(Array.from({ length: 20 }, () => owners[3]!.call('GET', '/api/teams')))
    expect(others.every(({ status }) => status === 200)).toBe(true)
    abort.abort()
    await vi.waitFor(
      async () => expect((await owners[3]!.call('GET', '/api/organization/export')).status).toBe(200),
      5_000,
    )
  })
})
