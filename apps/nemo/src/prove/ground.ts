import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { migrate } from '@nemo/postgres/migrate'
import pg from 'pg'
import { databaseUrlOfEnvironment } from '../environment.ts'

/** Where the proof takes place: a database of its own and a folder, so that nothing of the operator's is touched. */
export interface Ground {
  readonly url: string
  readonly folder: string
  /** What it is, for the report. */
  readonly name: string
  /** Whether Postgres itself is ended, or only every connection to it. */
  readonly restarts: 'server' | 'connections'
  /** Ends the server under everyone's hands, by the signal; or, of the operator's own server, every connection to our database. */
  disturb(how: 'SIGKILL' | 'SIGINT'): Promise<void>
  close(): Promise<void>
}

/** A database on the server of DATABASE_URL, or a PostgreSQL of the proof's own in a temporary folder. Migrated, empty, and gone with `close` unless kept. */
export async function prepareGround(seed: number, keep: boolean): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'nemo-prove-'))
  const given = databaseUrlOfEnvironment()
  try {
    return given ? await onServerOf(given, folder, seed, keep) : await onOwnServer(folder, keep)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function onOwnServer(folder: string, keep: boolean): Promise<Ground> {
  const postgres: EmbeddedPostgres = await startEmbeddedPostgres({ dataFolder: folder })
  const ground: Ground = {
    url: postgres.url,
    folder,
    name: `an own PostgreSQL in ${folder}`,
    restarts: 'server',
    async disturb(how) {
      // Its supervisor starts it again.
      process.kill(postgres.pid, how)
    },
    async close() {
      await postgres.stop()
      if (!keep) await rm(folder, { recursive: true, force: true })
    },
  }
  return migrated(ground)
}

async function onServerOf(serverUrl: string, folder: string, seed: number, keep: boolean): Promise<Ground> {
  const name = `nemo_prove_${seed}_${randomBytes(4).toString('hex')}`
  await onServer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  const ground: Ground = {
    url: url.href,
    folder,
    name: `database ${name} on the server of DATABASE_URL`,
    restarts: 'connections',
    disturb: () =>
      onServer(serverUrl, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`),
    async close() {
      if (!keep) await onServer(serverUrl, `drop database if exists ${name} with (force)`)
      if (!keep) await rm(folder, { recursive: true, force: true })
    },
  }
  return migrated(ground)
}

async function migrated(ground: Ground): Promise<Ground> {
  try {
    await migrate(ground.url)
    await onServer(ground.url, 'select nemo.create_request_log_partitions(2)')
    return ground
  } catch (error) {
    await ground.close()
    throw error
  }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end().catch(() => {})
  }
}
