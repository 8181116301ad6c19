import { randomBytes } from 'node:crypto'
import { uuidv7 } from '@nemo/domain/ids'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from './connect.ts'
import { withOrganization } from './tenancy.ts'

let world: World
let tenantTables: string[]

beforeAll(async () => {
  world = await makeWorld()
  await world.issueKey(world.acme, 'limited', [{ resource: 'cost', window: 'day', bound: 100n }])
  await world.issueKey(world.rival, 'limited', [{ resource: 'cost', window: 'day', bound: 100n }])
  tenantTables = (
    await world.database.owner.query(`
      select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'nemo' and c.relkind in ('r', 'p') and not c.relispartition
         and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id')
       order by 1`)
  ).rows.map((row) => row.relname)
  for (const organization of [world.acme, world.rival]) await fill(organization.id)
})

afterAll(async () => {
  await world?.close()
})

/** A row of the organization in every table that doesn't have one yet. As the owner of the server, whom nothing binds. */
async function fill(organizationId: string): Promise<void> {
  const { owner } = world.database
  const id = uuidv7()
  const key = await owner.query('select id, team_id from virtual_keys where organization_id = $1 limit 1', [
    organizationId,
  ])
  const { id: keyId, team_id: teamId } = key.rows[0]
  await owner.query(
    `insert into counters (limit_id, window_start, organization_id) select id, 'epoch', organization_id from limits where organization_id = $1`,
    [organizationId],
  )
  await owner.query(
    `with p as (insert into processes (id) values ($1) returning id)
     insert into allotments (limit_id, window_start, process_id, organization_id, amount)
     select l.id, 'epoch', p.id, l.organization_id, 0 from limits l, p where l.organization_id = $2`,
    [id, organizationId],
  )
  await owner.query(
    `insert into request_logs (id, organization_id, started_at, key_id, key_alias, team_id, endpoint, streamed, status, latency_ms)
     values ($1, $2, now(), $3, 'a', $4, 'chat', false, 200, 1)`,
    [id, organizationId, keyId, teamId],
  )
  await owner.query(
    `insert into rotated_secrets (hash, organization_id, key_id, hint, works_until) values (sha256($1::text::bytea), $2, $3, '', now())`,
    [id, organizationId, keyId],
  )
  await owner.query(
    `insert into limit_events (limit_id, window_start, percent, organization_id)
     select id, 'epoch', 50, organization_id from limits where organization_id = $1`,
    [organizationId],
  )
  await owner.query(
    `insert into deployment_health (organization_id, deployment_id, cooling_until, asked, fault)
     select $1, id, now(), false, '500' from deployments limit 1`,
    [organizationId],
  )
  await owner.query(`insert into kept_responses (organization_id, id, items) values ($1, 'resp_1', '[]')`, [
    organizationId,
  ])
  await owner.query(
    `with endpoint as (
       insert into webhook_endpoints (id, organization_id, url, events, secret) values ($1, $2, 'https://acme.test', '{*}', '') returning id),
     event as (insert into webhook_events (id, organization_id, type, body) values ($1, $2, 'webhook.test', '{}') returning id),
     delivery as (
       insert into webhook_deliveries (id, organization_id, endpoint_id, event_id) select $1, $2, p.id, e.id from endpoint p, event e returning id)
     insert into webhook_attempts (id, organization_id, delivery_id, duration_ms) select $1, $2, id, 1 from delivery`,
    [id, organizationId],
  )
  await owner.query(
    `insert into audit_log (id, organization_id, actor_kind, action, subject_type) values ($1, $2, 'system', 'key.created', 'key')`,
    [id, organizationId],
  )
  const purchase = uuidv7()
  await owner.query(
    `insert into purchases (id, organization_id, source, credits_cents) values ($1, $2, 'checkout', 500)`,
    [purchase, organizationId],
  )
  await owner.query(
    `insert into invoices (id, organization_id, sequence, number, kind, purchase_id, reference, total_cents, document, issued_at)
     select $1, $2, n, n, 'invoice', $3, 'a', 520, '{}', now() from (select count(*) + 1 as n from invoices) counted`,
    [uuidv7(), organizationId, purchase],
  )
  await owner.query(
    `insert into saved_cards (id, organization_id, brand, last4, exp_month, exp_year, said_at) values ($1, $2, 'visa', '4242', 1, 2030, now())`,
    [`pm_${organizationId}`, organizationId],
  )
  const user = uuidv7()
  await owner.query(`insert into users (id, email, name) values ($1, $2, 'Ada')`, [user, `${user}@example.com`])
  await owner.query(`insert into members (organization_id, user_id, role) values ($1, $2, 'owner')`, [
    organizationId,
    user,
  ])
  await owner.query(
    `insert into personal_tokens (id, organization_id, user_id, name, hash, hint) values ($1, $2, $3, 'CI', $4, '…')`,
    [uuidv7(), organizationId, user, randomBytes(32)],
  )
  await owner.query(
    `insert into invitations (id, organization_id, email, role, hash, expires_at) values ($1, $2, 'a@example.com', 'member', $3, now())`,
    [uuidv7(), organizationId, randomBytes(32)],
  )
  await owner.query(
    `insert into sso_connections (id, organization_id, issuer, client_id, client_secret) values ($1, $2, 'https://example.com', 'x', 'x')`,
    [uuidv7(), organizationId],
  )
  const group = uuidv7()
  await owner.query(`insert into model_groups (id, organization_id, name) values ($1, $2, 'private')`, [
    group,
    organizationId,
  ])
  await owner.query(
    `insert into deployments (id, organization_id, group_id, model_id, credential_id, upstream_model)
     select $1, $2, $3, 'sandbox/sandbox-chat', id, 'sandbox-chat' from provider_credentials limit 1`,
    [uuidv7(), organizationId, group],
  )
}

const asAcme = <T>(act: Parameters<typeof withOrganization<T>>[2]) =>
  withOrganization(world.database.app, world.acme.id, act)

describe('every table that has an organization', () => {
  test('is known to this test, and there are some', () => {
    expect(tenantTables).toEqual([
      'allotments',
      'audit_heads',
      'audit_log',
      'billing_accounts',
      'counters',
      'deployment_health',
      'deployments',
      'invitations',
      'invoices',
      'kept_responses',
      'ledger_entries',
      'limit_events',
      'limits',
      'members',
      'model_groups',
      'personal_tokens',
      'purchases',
      'request_logs',
      'rotated_secrets',
      'saved_cards',
      'sso_connections',
      'teams',
      'virtual_keys',
      'webhook_attempts',
      'webhook_deliveries',
      'webhook_endpoints',
      'webhook_events',
    ])
  })

  test('has row security forced, with a policy, its partitions included; organizations too', async () => {
    const { rows } = await world.database.owner.query(
      `select c.relname, c.relrowsecurity and c.relforcerowsecurity as forced, c.relispartition,
              (select count(*) from pg_policy p where p.polrelid = c.oid and p.polcmd = '*')::int as policies
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'nemo' and c.relkind in ('r', 'p')
          and (c.relname = 'organizations' or exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id'))`,
    )
    expect(rows.length).toBeGreaterThan(tenantTables.length)
    for (const row of rows) {
      expect(row).toMatchObject({ relname: row.relname, forced: true })
      if (!row.relispartition) expect(row.policies).toBeGreaterThan(0)
    }
  })

  test('shows acme rows of its own and none of rival’s', async () => {
    for (const table of tenantTables) {
      const seen = await asAcme(async (tx) => (await tx.query(`select organization_id as id from ${table}`)).rows)
      expect(
        seen.some((row) => row.id === world.acme.id),
        `acme sees its own rows of ${table}`,
      ).toBe(true)
      expect(
        seen.filter((row) => row.id !== world.acme.id && row.id !== null),
        table,
      ).toEqual([])
    }
  })

  test('shows nothing without an organization, after one as before it', async () => {
    const { app } = world.database
    for (const table of tenantTables) {
      await withOrganization(app, world.rival.id, (tx) => tx.query('select 1'))
      const { rows } = await app.query(`select organization_id as id from ${table} where organization_id is not null`)
      expect(rows, table).toEqual([])
    }
  })

  test('takes no row of rival’s from acme where tenants may write', async () => {
    const write = asAcme((tx) =>
      tx.query(`insert into kept_responses (organization_id, id, items) values ($1, 'resp_2', '[]')`, [world.rival.id]),
    )
    await expect(write).rejects.toMatchObject({ code: '42501' })
  })

  test('can’t be written for rival by acme, by any verb', async () => {
    for (const table of tenantTables) {
      for (const sql of [
        `update ${table} set organization_id = organization_id where organization_id = '${world.rival.id}'`,
        `delete from ${table} where organization_id = '${world.rival.id}'`,
        `update ${table} set organization_id = '${world.rival.id}'`,
        `insert into ${table} select * from ${table}`,
        `truncate ${table}`,
        `select * from ${table} where organization_id = '${world.rival.id}' for update`,
      ]) {
        const before = await countOf(table, world.rival.id)
        const touched = await asAcme(async (tx) => (await tx.query(sql)).rowCount).catch((error) => error.code)
        // Refused for want of a grant (42501), its own row again (23505), or nothing was there to touch.
        expect([0, '42501', '23505'], sql).toContain(touched)
        expect(await countOf(table, world.rival.id)).toBe(before)
      }
    }
  })

  test('takes nothing for rival from acme in the very columns that tenants may write', async () => {
    const { owner } = world.database
    const tried = { insert: 0, update: 0 }
    for (const table of tenantTables) {
      const columns = await columnsFor('insert', table)
      if (columns.length > 0) {
        tried.insert++
        // A row as rival has one: what is refused is whose it is, before it is found to be there already.
        const { rows } = await owner.query(
          `select to_jsonb(t) as row from ${table} t where organization_id = $1 limit 1`,
          [world.rival.id],
        )
        const sql = `insert into ${table} (${columns}) select ${columns} from jsonb_populate_record(null::${table}, $1)`
        // The fee of a purchase is looked up first, for an organization that acme doesn't see.
        const refusal = table === 'purchases' ? 'query returned no rows' : 'violates row-level security policy'
        await expect(
          asAcme((tx) => tx.query(sql, [rows[0].row])),
          sql,
        ).rejects.toThrow(refusal)
      }
      for (const column of await columnsFor('update', table)) {
        tried.update++
        const sql = `update ${table} set ${column} = null where organization_id = $1`
        const touched = await asAcme(async (tx) => (await tx.query(sql, [world.rival.id])).rowCount)
        expect(touched, sql).toBe(0)
      }
    }
    expect(tried.insert).toBeGreaterThan(12)
    expect(tried.update).toBeGreaterThan(30)
  })

  test('has partitions that can’t be reached around their parent', async () => {
    const { rows } = await world.database.owner.query(
      `select c.relname from pg_class c where c.relispartition and c.relkind = 'r'`,
    )
    expect(rows.length).toBeGreaterThan(0)
    for (const { relname } of rows)
      await expect(
        asAcme((tx) => tx.query(`select 1 from ${relname}`)),
        relname,
      ).rejects.toThrow('permission denied')
  })
})

/** Those that tenants may write. */
async function columnsFor(verb: 'insert' | 'update', table: string): Promise<string[]> {
  const { rows } = await world.database.owner.query(
    `select quote_ident(attname) as name from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and has_column_privilege('nemo_app', attrelid, attnum, $2) order by attnum`,
    [`nemo.${table}`, verb],
  )
  return rows.map(({ name }) => name)
}

async function countOf(table: string, organizationId: string): Promise<number> {
  return (
    await world.database.owner.query(`select count(*)::int as n from ${table} where organization_id = $1`, [
      organizationId,
    ])
  ).rows[0].n
}

describe('the roles', () => {
  test('own no table, can’t log in, can’t bypass, and inherit nothing', async () => {
    const { rows } = await world.database.owner.query(
      `select r.rolname, r.rolsuper, r.rolbypassrls, r.rolcanlogin, r.rolcreaterole, r.rolcreatedb,
              (select count(*)::int from pg_class c where c.relowner = r.oid) as owned
         from pg_roles r where r.rolname like 'nemo\\_%' and r.rolname in ('nemo_app', 'nemo_operator', 'nemo_kernel', 'nemo_identity') order by 1`,
    )
    const nothing = {
      rolsuper: false,
      rolbypassrls: false,
      rolcanlogin: false,
      rolcreaterole: false,
      rolcreatedb: false,
      owned: 0,
    }
    expect(rows).toEqual(
      ['nemo_app', 'nemo_identity', 'nemo_kernel', 'nemo_operator'].map((rolname) => ({ rolname, ...nothing })),
    )
  })

  test('tenants read of what is no organization’s only what is everyone’s', async () => {
    const { rows } = await world.database.owner.query(
      `select c.relname from pg_class c
        where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and c.relname <> all ($1)
          and (has_any_column_privilege('nemo_app', c.oid, 'select') or has_any_column_privilege('nemo_app', c.oid, 'insert')
            or has_any_column_privilege('nemo_app', c.oid, 'update') or has_table_privilege('nemo_app', c.oid, 'delete'))
        order by 1`,
      [tenantTables],
    )
    // Users and organizations have policies of their own, which are tested here; the rest says nothing of anyone.
    expect(rows.map(({ relname }) => relname)).toEqual(['billing_tiers', 'models', 'organizations', 'prices', 'users'])
  })

  test('tenants reach no credential, no process, no migration', async () => {
    for (const table of ['provider_credentials', 'processes', 'journals', 'deployment_loads', 'migrations']) {
      await expect(
        asAcme((tx) => tx.query(`select 1 from ${table}`)),
        table,
      ).rejects.toThrow('permission denied')
    }
  })

  test('tenants reach nothing that people sign in with, and of people only who is a member with them', async () => {
    for (const table of ['sessions', 'sign_ups', 'password_resets', 'recovery_codes', 'rate_limits'])
      await expect(
        asAcme((tx) => tx.query(`select 1 from ${table}`)),
        table,
      ).rejects.toThrow('permission denied')
    for (const column of ['password_hash', 'totp_secret', 'is_operator'])
      await expect(
        asAcme((tx) => tx.query(`select ${column} from users`)),
        column,
      ).rejects.toThrow('permission denied')
    const seen = await asAcme(async (tx) => (await tx.query('select id from users')).rows)
    const members = await world.database.owner.query('select user_id as id from members where organization_id = $1', [
      world.acme.id,
    ])
    expect(seen).toEqual(members.rows)
    await expect(
      asAcme((tx) =>
        tx.query(
          `insert into members (organization_id, user_id, role) select $1, u.user_id, 'owner' from members u limit 1`,
          [world.acme.id],
        ),
      ),
    ).rejects.toThrow('permission denied')
  })

  test('what signs people in reaches nothing that an organization has, but who is a member, who is invited, and the audit log', async () => {
    const identity = connect(world.database.url, 'nemo_identity', { max: 1 })
    const reached: string[] = []
    for (const table of [...tenantTables, 'provider_credentials', 'models', 'prices'])
      await identity.query(`select count(*) from ${table}`).then(
        () => reached.push(table),
        () => null,
      )
    await identity.end()
    expect(reached).toEqual([
      'audit_log',
      'invitations',
      'members',
      'personal_tokens',
      'sso_connections',
      'webhook_endpoints',
      'webhook_events',
    ])
  })

  test('what signs people in makes nobody an operator, nor does a tenant', async () => {
    const identity = connect(world.database.url, 'nemo_identity', { max: 1 })
    for (const sql of [
      'update users set is_operator = true',
      `insert into users (id, email, name, is_operator) values (gen_random_uuid(), 'me@example.com', 'Me', true)`,
    ]) {
      await expect(identity.query(sql), sql).rejects.toThrow('only the operator makes operators')
      await expect(
        asAcme((tx) => tx.query(sql)),
        sql,
      ).rejects.toThrow('permission denied')
    }
    await identity.end()
  })

  test('resetting the role of a connection leads back to the application, not to the owner', async () => {
    const { rows } = await world.database.app
      .query('reset role; select current_user as role')
      .then((results) => (results as unknown as { rows: { role: string }[] }[])[1]!)
    expect(rows[0]!.role).toBe('nemo_app')
  })

  test('every function that crosses tenants is the kernel’s, with its search path pinned, and not everyone’s to call', async () => {
    const { rows } = await world.database.owner.query(
      `select p.proname, o.rolname as owner, p.proconfig, has_function_privilege('public', p.oid, 'execute') as public
         from pg_proc p join pg_roles o on o.oid = p.proowner
        where p.pronamespace = 'nemo'::regnamespace and p.prosecdef order by 1`,
    )
    expect(rows.map((row) => row.proname)).toEqual([
      'allot',
      'authenticate_keys',
      'begin_epoch',
      'bury',
      'bury_one_dead',
      'chain_audit_entry',
      'claim_probe',
      'claw_back',
      'cooling_deployments',
      'create_request_log_partitions',
      'erase_callers',
      'free_shares',
      'heartbeat',
      'limit_events_begin_anew',
      'limits_of_consumer',
      'lock_credits',
      'open_billing_account',
      'post_entry',
      'post_platform_entry',
      'process_state',
      'register_process',
      'settle',
      'settle_late',
      'share_deployment_health',
      'share_deployment_loads',
    ])
    for (const row of rows) {
      expect(row.proconfig).toContain('search_path=nemo, pg_temp')
      expect(row.public).toBe(false)
      if (row.proname !== 'create_request_log_partitions') expect(row.owner, row.proname).toBe('nemo_kernel')
    }
  })

  test('tenants can’t pay themselves in, and the operator can’t touch a prepaid balance but through an entry', async () => {
    await expect(
      asAcme((tx) => tx.query(`select post_entry($1, 'grant', 1000, null, null)`, [world.acme.id])),
    ).rejects.toThrow('permission denied')
    const { operator } = world.database
    const raised = await operator.query(`update limits set bound = bound + 1 where window_name = 'lifetime'`)
    expect(raised.rowCount).toBe(0)
    expect((await operator.query(`delete from limits where window_name = 'lifetime'`)).rowCount).toBe(0)
    for (const verb of [
      'update ledger_entries set amount_nanos = 1',
      'delete from ledger_entries',
      'delete from request_logs',
      'update counters set used = 0',
    ]) {
      await expect(operator.query(verb), verb).rejects.toThrow('permission denied')
    }
  })
})
