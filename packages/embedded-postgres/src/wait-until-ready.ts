import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Connection, SUPERUSER } from './connection-file.ts'

const POLL_MS = 15
const TIMEOUT_MS = 60_000

/**
 * Returns when the database takes connections, and makes it if the cluster has none of that name. Being let in also proves that the
 * server is ours: by scram it must know the password too. Throws after 60 s in which it gave no sign of life, or when aborted.
 */
export async function waitUntilReady(connection: Connection, signal: AbortSignal): Promise<void> {
  let deadline = Date.now() + TIMEOUT_MS
  for (;;) {
    signal.throwIfAborted()
    const failure = await connectOnce(connection)
    if (failure === null) return
    if (failure.code === NO_SUCH_DATABASE) {
      await createDatabase(connection)
      continue
    }
    if (failure.code === WRONG_PASSWORD) {
      throw new Error(`PostgreSQL on port ${connection.port} refuses the password of connection.json`, {
        cause: failure,
      })
    }
    if (failure.code === STARTING_UP && /shutting down/.test(failure.message)) throw new ServerShuttingDown()
    // Recovery after a crash can take minutes, and to interrupt it would only start it anew.
    if (failure.code === STARTING_UP) deadline = Date.now() + TIMEOUT_MS
    if (Date.now() > deadline) {
      throw new Error(`PostgreSQL takes no connections on port ${connection.port}: ${failure.message}`, {
        cause: failure,
      })
    }
    await sleep(POLL_MS)
  }
}

export class ServerShuttingDown extends Error {}

const NO_SUCH_DATABASE = '3D000'
const WRONG_PASSWORD = '28P01'
const STARTING_UP = '57P03'

type Failure = Error & { code?: string }

async function connectOnce(connection: Connection): Promise<Failure | null> {
  const client = clientFor(connection, connection.database)
  try {
    await client.connect()
    return null
  } catch (error) {
    return error as Failure
  } finally {
    await client.end().catch(() => {})
  }
}

async function createDatabase(connection: Connection): Promise<void> {
  const client = clientFor(connection, 'postgres')
  try {
    await client.connect()
    await client.query(`create database ${pg.escapeIdentifier(connection.database)}`)
  } finally {
    await client.end().catch(() => {})
  }
}

function clientFor({ port, password }: Connection, database: string): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    password,
    database,
    // Said here because pg would take it from PGSSLMODE.
    ssl: false,
    connectionTimeoutMillis: 5000,
  })
  // A server that dies under a connection makes it emit an error, which would end our process.
  client.on('error', () => {})
  return client
}
