import { migrationStatus } from '@nemo/postgres/migrate'
import pg from 'pg'
import { type Finding, ok, problem, warning } from './finding.ts'

/** The server, as the role of its URL: version, clock, migrations, roles, isolation. */
export async function examineServer(url: string): Promise<Finding[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: 'nemo-doctor',
  })
  await client.connect()
  try {
    const server = [await version(client), await clock(client)]
    const migrations = await migrationFindings(client)
    if (migrations.some((finding) => finding.level === 'problem')) return [...server, ...migrations]
    return [...server, ...migrations, await roles(client), await rowSecurity(client), await partitions(client)]
  } finally {
    await client.end()
  }
}

async function version(client: pg.Client): Promise<Finding> {
  const number = Number((await client.query('show server_version_num')).rows[0].server_version_num)
  const what = `The database answers: PostgreSQL ${Math.floor(number / 10_000)}.${number % 10_000}`
  return number >= 150_000 ? ok(what) : problem(what, 'PostgreSQL 15 or later is needed.')
}

const SKEW_NOTED_MS = 1_000
const SKEW_HARMFUL_MS = 30_000

async function clock(client: pg.Client): Promise<Finding> {
  const before = Date.now()
  const { now } = (await client.query('select clock_timestamp() as now')).rows[0]
  const skewMs = Math.round(Math.abs((before + Date.now()) / 2 - now.getTime()))
  if (skewMs < SKEW_NOTED_MS) return ok('Our clock and the database’s agree')
  const what = `Our clock and the database's are ${(skewMs / 1000).toFixed(1)} s apart`
  const remedy = 'Synchronise both with NTP: expiry of keys goes by ours, limits and budgets go by the database’s.'
  return skewMs < SKEW_HARMFUL_MS ? warning(what, remedy) : problem(what, remedy)
}

async function migrationFindings(client: pg.Client): Promise<Finding[]> {
  const { pending, strange, functionsCurrent } = await migrationStatus(client)
  const findings: Finding[] = []
  if (strange.length > 0) {
    findings.push(
      problem(
        `Applied migrations are not those of this release: ${strange.join(', ')}`,
        'Run the release that the database was migrated by, or a later one.',
      ),
    )
  }
  if (pending.length > 0) findings.push(problem(`Migrations are pending: ${pending.join(', ')}`, 'Run "nemo migrate".'))
  else if (!functionsCurrent) findings.push(problem('The functions are of another release', 'Run "nemo migrate".'))
  return findings.length > 0 ? findings : [ok('The schema is that of this release')]
}

async function roles(client: pg.Client): Promise<Finding> {
  const { rows } = await client.query(
    `select r.name, to_regrole(r.name) is not null as there,
            to_regrole(r.name) is not null and pg_has_role(session_user, r.name, 'member') as member,
            coalesce((select rolsuper or rolbypassrls from pg_roles p where p.rolname = r.name), false) as bypasses
       from unnest(array['nemo_app', 'nemo_operator', 'nemo_identity', 'nemo_kernel']) r (name)`,
  )
  const missing = rows.filter((row) => !row.there || !row.member).map((row) => row.name)
  if (missing.length > 0)
    return problem(
      `We can't become ${missing.join(', ')}`,
      'Grant it to the role of DATABASE_URL: grant <role> to <user>.',
    )
  const bypassing = rows.filter((row) => row.bypasses).map((row) => row.name)
  if (bypassing.length === 0) return ok('We can become the roles that we need, and none of them passes row security by')
  return problem(`${bypassing.join(', ')} passes row-level security by`, 'alter role <role> nosuperuser nobypassrls')
}

/** Every table that belongs to organizations, found by its columns: nobody has to remember to add one here. */
async function rowSecurity(client: pg.Client): Promise<Finding> {
  const { rows } = await client.query(
    `select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced
       from pg_class c
      where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p')
        and (c.relname = 'organizations' or exists (
          select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped))`,
  )
  const open = rows.filter((row) => !row.forced).map((row) => row.name)
  if (open.length === 0) return ok(`Row-level security is forced on all ${rows.length} tables of tenants`)
  return problem(
    `Row-level security is not forced on ${open.join(', ')}`,
    'alter table nemo.<table> enable row level security, force row level security',
  )
}

async function partitions(client: pg.Client): Promise<Finding> {
  const { rows } = await client.query(
    `select day::text from (select (clock_timestamp() at time zone 'UTC')::date + i as day from generate_series(0, 1) i) d
      where to_regclass('nemo.request_logs_' || to_char(day, 'YYYYMMDD')) is null`,
  )
  if (rows.length === 0) return ok('The request log has its partitions for today and tomorrow')
  return warning(
    `The request log has no partition for ${rows.map((row) => row.day).join(', ')}`,
    'A running nemo makes them; until then rows go to request_logs_default, and nothing is lost.',
  )
}
