import { randomBytes } from 'node:crypto'
import { connect } from '@nemo/postgres/connect'
import pg from 'pg'
import { inject, onTestFinished } from 'vitest'
import { TEMPLATE } from './global-setup.ts'

export interface TestDatabase {
  readonly url: string
  /** Connections of the two roles that the application has, and of the owner of the schema. */
  readonly app: pg.Pool
  readonly operator: pg.Pool
  readonly owner: pg.Pool
  close(): Promise<void>
}

/** A database of one's own, migrated, with nothing in it. Dropped by `close`, or when the test ends if it was made within one. */
export async function freshDatabase(): Promise<TestDatabase> {
  const serverUrl = inject('serverUrl')
  const name = `nemo_test_${randomBytes(6).toString('hex')}`
  await onServer(serverUrl, `create database ${name} template ${TEMPLATE} strategy file_copy`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return openDatabase(url.href, () => onServer(serverUrl, `drop database ${name} with (force)`))
}

/** Connections to a database that is there. `close` ends them, and then does what else there is to do. */
export function openDatabase(url: string, afterwards: () => Promise<void> = async () => {}): TestDatabase {
  const app = connect(url, 'nemo_app', { max: 10 })
  const operator = connect(url, 'nemo_operator', { max: 5 })
  const owner = new pg.Pool({ connectionString: url, options: '-c search_path=nemo', max: 3 })
  owner.on('error', () => {})
  return {
    url,
    app,
    operator,
    owner,
    async close() {
      await Promise.all([app.end(), operator.end(), owner.end()])
      await afterwards()
    },
  }
}

/** The same, for one test. */
export async function databaseForThisTest(): Promise<TestDatabase> {
  const database = await freshDatabase()
  onTestFinished(() => database.close())
  return database
}

async function onServer(serverUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
