import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { migrate } from '@nemo/postgres/migrate'
import pg from 'pg'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server that tests make their databases on, as its superuser. */
    serverUrl: string
  }
}

export const TEMPLATE = 'nemo_test_template'

/** Brings up one PostgreSQL for all tests, with a migrated template; or takes the server of TEST_DATABASE_URL. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL
  const folder = await mkdtemp(join(tmpdir(), 'nemo-test-'))
  const server = given
    ? null
    : await startEmbeddedPostgres({
        dataFolder: folder,
        // Tests kill processes, never the machine.
        settings: { fsync: 'off', full_page_writes: 'off', max_connections: '200' },
      })
  const serverUrl = given ?? server!.url
  await makeTemplate(serverUrl)
  project.provide('serverUrl', serverUrl)
  return async () => {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeTemplate(serverUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  await client.query(`drop database if exists ${TEMPLATE} with (force)`)
  await client.query(`create database ${TEMPLATE}`)
  await client.end()
  const template = new URL(serverUrl)
  template.pathname = `/${TEMPLATE}`
  await migrate(template.href)
}
