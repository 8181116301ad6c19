import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'

/** Any constant will do, as long as every release uses the same. */
const MIGRATION_LOCK = 7_203_311_890n

export interface MigrationReport {
  readonly applied: readonly string[]
  readonly functionsReplaced: boolean
}

/**
 * Brings the schema `nemo` of the database up to this release, as the role of the URL. Numbered migrations run once, each in its
 * own transaction; functions are replaced when any of them changed. Processes that start together take turns under an
 * advisory lock. Throws, having changed nothing, if an applied migration was edited or the database is of a later release.
 */
export async function migrate(databaseUrl: string): Promise<MigrationReport> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'nemo-migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await requireServerVersion(client)
    await client.query(`
      create schema if not exists nemo;
      set search_path = nemo;
      set check_function_bodies = off;
      create table if not exists migrations (
        name text primary key, checksum text not null, applied_at timestamptz not null default clock_timestamp())`)
    const known = new Map<string, string>()
    for (const row of (await client.query('select name, checksum from migrations')).rows)
      known.set(row.name, row.checksum)

    const migrations = await sqlFiles('./migrations/')
    refuseWhatWasEdited(migrations, known)
    const applied: string[] = []
    for (const { name, text, checksum } of migrations) {
      if (known.has(name)) continue
      await inTransaction(client, name, async () => {
        await client.query(text)
        await client.query('insert into migrations (name, checksum) values ($1, $2)', [name, checksum])
      })
      applied.push(name)
    }
    return { applied, functionsReplaced: await replaceFunctions(client, known.get('functions')) }
  } finally {
    await client.end()
  }
}

export interface MigrationStatus {
  readonly pending: readonly string[]
  /** Applied migrations that this release has with another text, or hasn't. */
  readonly strange: readonly string[]
  readonly functionsCurrent: boolean
}

/** How the schema stands against this release. Changes nothing. */
export async function migrationStatus(client: Pick<pg.Client, 'query'>): Promise<MigrationStatus> {
  const there = await client.query(`select to_regclass('nemo.migrations') is not null as there`)
  const rows = there.rows[0].there ? (await client.query('select name, checksum from nemo.migrations')).rows : []
  const known = new Map<string, string>(rows.map((row) => [row.name, row.checksum]))
  const migrations = await sqlFiles('./migrations/')
  const ours = new Map(migrations.map((migration) => [migration.name, migration.checksum]))
  return {
    pending: migrations.map((migration) => migration.name).filter((name) => !known.has(name)),
    strange: [...known.keys()].filter((name) => name !== 'functions' && known.get(name) !== ours.get(name)),
    functionsCurrent: known.get('functions') === checksumOf(await functionFiles()),
  }
}

interface SqlFile {
  readonly name: string
  readonly text: string
  readonly checksum: string
}

async function requireServerVersion(client: pg.Client): Promise<void> {
  const version = Number((await client.query('show server_version_num')).rows[0].server_version_num)
  if (version < 150_000)
    throw new Error(`PostgreSQL 15 or later is needed; this server is ${Math.floor(version / 10_000)}`)
}

/** Beside this module in the source tree, and beside the bundle in a release. */
async function sqlFiles(folder: './migrations/' | './functions/'): Promise<SqlFile[]> {
  const url = new URL(folder, import.meta.url)
  const names = (await readdir(url)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(names.map((name) => sqlFile(name, new URL(name, url))))
}

async function sqlFile(name: string, url: URL): Promise<SqlFile> {
  const text = await readFile(url, 'utf8')
  return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
}

function refuseWhatWasEdited(migrations: readonly SqlFile[], known: ReadonlyMap<string, string>): void {
  const ours = new Map(migrations.map((migration) => [migration.name, migration.checksum]))
  for (const [name, checksum] of known) {
    if (name === 'functions') continue
    if (!ours.has(name))
      throw new Error(
        `the database has migration ${name}, which this release doesn't: it was migrated by a later release`,
      )
    if (ours.get(name) !== checksum)
      throw new Error(`migration ${name} was edited after it had been applied: add a new one instead`)
  }
}

async function replaceFunctions(client: pg.Client, knownChecksum: string | undefined): Promise<boolean> {
  const files = await functionFiles()
  const checksum = checksumOf(files)
  if (checksum === knownChecksum) return false
  await inTransaction(client, 'functions', async () => {
    for (const file of files) await client.query(file.text)
    await client.query(
      `insert into migrations (name, checksum) values ('functions', $1)
       on conflict (name) do update set checksum = excluded.checksum, applied_at = clock_timestamp()`,
      [checksum],
    )
  })
  return true
}

async function functionFiles(): Promise<SqlFile[]> {
  return [...(await sqlFiles('./functions/')), await sqlFile('grants.sql', new URL('./grants.sql', import.meta.url))]
}

function checksumOf(files: readonly SqlFile[]): string {
  return createHash('sha256')
    .update(files.map((file) => file.checksum).join())
    .digest('hex')
}

async function inTransaction(client: pg.Client, name: string, act: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await act()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new Error(`migration ${name} failed and was rolled back: ${(error as Error).message}`, { cause: error })
  }
}
