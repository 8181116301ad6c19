import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findRunning, startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { DataFolderBusy } from '@nemo/embedded-postgres/lock-data-folder'
import { connect } from '@nemo/postgres/connect'
import pg from 'pg'
import { databaseUrlOfEnvironment, dataFolderOf } from './environment.ts'
import { Failure } from './failure.ts'

/** How long a command waits for a nemo that is just starting or stopping, or for another command. */
const PATIENCE_MS = 15_000
const RETRY_MS = 100

export interface Server {
  readonly url: string
  readonly dataFolder: string
  /** `found` is that of a running nemo; `brought up` runs for this command only. */
  readonly kind: 'given' | 'found' | 'brought up'
  close(): Promise<void>
}

/** Runs a command on the database as the operator, and leaves everything as it was: what was not running is stopped again. */
export async function withOperator<T>(
  options: { data?: string },
  act: (operator: pg.Pool, server: Server) => Promise<T>,
): Promise<T> {
  return withServer(options, async (server) => {
    const operator = connect(server.url, 'nemo_operator', { max: 2 })
    try {
      return await act(operator, server)
    } finally {
      await operator.end()
    }
  })
}

/** The same, for a command that needs only to know where the server is. */
export async function withServer<T>(options: { data?: string }, act: (server: Server) => Promise<T>): Promise<T> {
  const server = await openServer(dataFolderOf(options.data))
  const interrupted = (signal: NodeJS.Signals) => {
    void server.close().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143))
  }
  // A server that runs without us needs no tidying up, and a command may want the signal for itself.
  if (server.kind === 'brought up') for (const signal of SIGNALS) process.once(signal, interrupted)
  try {
    return await act(server)
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted)
    await server.close()
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

async function openServer(dataFolder: string): Promise<Server> {
  const given = databaseUrlOfEnvironment()
  if (given) return { url: given, dataFolder, kind: 'given', close: async () => {} }
  if (!existsSync(join(dataFolder, 'postgres'))) {
    throw new Failure(
      `There is no Nemo Router in ${dataFolder} yet: run "npm start" first, or name its folder with --data, or its database with DATABASE_URL.`,
    )
  }
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(RETRY_MS)) {
    const running = findRunning(dataFolder)
    const presence = running && (await bePresent(running.url))
    if (presence) return { url: running.url, dataFolder, kind: 'found', close: () => presence.end() }
    try {
      const server = await startEmbeddedPostgres({ dataFolder })
      return { url: server.url, dataFolder, kind: 'brought up', close: () => stopWhenUnused(server) }
    } catch (error) {
      // Its holder is just starting or stopping: in a moment there is a server, or no holder.
      if (!(error instanceof DataFolderBusy) || Date.now() > deadline) throw error
    }
  }
}

/** Held, shared, for as long as a command uses a server that it found; whoever stops a server takes it alone first. */
const PRESENCE_LOCK = 7_203_311_891n

/** Keeps a server up that another command brought up. Null when there is none to be reached, or when it is just being stopped. */
async function bePresent(url: string): Promise<pg.Client | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select pg_advisory_lock_shared($1)', [PRESENCE_LOCK])
    return client
  } catch {
    await client.end().catch(() => {})
    return null
  }
}

/** Waits for the commands that have found the server meanwhile. Those that find it from now on are cut off, and look again. */
async function stopWhenUnused(server: { url: string; stop(): Promise<void> }): Promise<void> {
  const client = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`set lock_timeout = ${PATIENCE_MS}`)
    await client.query('select pg_advisory_lock($1)', [PRESENCE_LOCK])
  } catch {
    // One that takes so long, or a server that can't be asked, is not waited for.
  } finally {
    await server.stop()
    await client.end().catch(() => {})
  }
}
