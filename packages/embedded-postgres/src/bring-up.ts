import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterFolders } from './cluster-folders.ts'
import { type Connection, writeConnection } from './connection-file.ts'
import { chooseFreePort, isPortFree } from './free-port.ts'
import type { LaunchPlan } from './launch-plan.ts'
import { disarmStaleFile, findPostmaster } from './postmaster-file.ts'
import { tailServerLog } from './server-log.ts'
import { adoptServer, launchServer, type ServerProcess, stopServer } from './server-process.ts'
import { ServerShuttingDown, waitUntilReady } from './wait-until-ready.ts'

export type Cluster = {
  folders: ClusterFolders
  plan: LaunchPlan
  native: string
  settings: Record<string, string>
  connection: Connection
  log: (line: string) => void
}

const ATTEMPTS_MAX = 5

/**
 * A server that takes connections: the one that still runs, or a new one. The port may move only at a start; once pools know it
 * (mayMove false) a start on a taken port is an error. Updates cluster.connection and its file.
 */
export async function bringUp(cluster: Cluster, { mayMove }: { mayMove: boolean }): Promise<ServerProcess> {
  for (let attempt = 1; ; attempt++) {
    const server = (await adoptRunning(cluster)) ?? (await launch(cluster, mayMove))
    const ending = await readyOrExited(server, cluster.connection)
    if (ending === null) return server

    const tail = tailServerLog(cluster.folders.log, server.logOffset)
    const worthTrying = server.adopted || findPostmaster(cluster.folders.data) !== null || PASSING_TROUBLE.test(tail)
    if (!worthTrying || attempt === ATTEMPTS_MAX) {
      throw new Error(`PostgreSQL ${ending} before it took connections. The end of ${cluster.folders.log}:\n${tail}`)
    }
    await sleep(100 * attempt)
  }
}

// Somebody was faster at the port, or the last backends of a killed server are still on their way out.
const PASSING_TROUBLE = /Address already in use|pre-existing shared memory block/

async function adoptRunning(cluster: Cluster): Promise<ServerProcess | null> {
  const running = findPostmaster(cluster.folders.data)
  if (!running) return null
  if (running.stopping || !Number.isInteger(running.port)) {
    // One that waits for its clients to go (SIGTERM) would wait for ever; this makes haste, and does no harm to one that does already.
    cluster.log(`waiting for PostgreSQL (process ${running.identity.pid}) to finish shutting down`)
    await stopServer(running.identity)
    return null
  }
  cluster.log(`adopting PostgreSQL (process ${running.identity.pid}), left over by a nemo that was killed`)
  moveTo(cluster, running.port)
  return adoptServer(running.identity)
}

async function launch(cluster: Cluster, mayMove: boolean): Promise<ServerProcess> {
  const { folders, plan, native, log } = cluster
  await disarmStaleFile(folders.data)
  if (!(await isPortFree(cluster.connection.port))) {
    const taken = cluster.connection.port
    if (!mayMove) throw new Error(`port ${taken} of PostgreSQL is taken by another program`)
    moveTo(cluster, await chooseFreePort(folders.root))
    log(`port ${taken} is taken by another program; PostgreSQL moves to ${cluster.connection.port}`)
  }
  const settings = { ...DEFAULT_SETTINGS, ...cluster.settings, ...addressSettings(cluster.connection.port) }
  return launchServer({ plan, native, data: folders.data, log: folders.log, settings })
}

function moveTo(cluster: Cluster, port: number): void {
  if (cluster.connection.port === port) return
  cluster.connection = { ...cluster.connection, port }
  writeConnection(cluster.folders.connection, cluster.connection)
}

const DEFAULT_SETTINGS = {
  max_connections: '100',
  shared_buffers: '128MB',
  synchronous_commit: 'on',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] ',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

// Not for options.settings to change: 127.0.0.1 only, with no socket in a folder that other users reach.
function addressSettings(port: number): Record<string, string> {
  return { listen_addresses: '127.0.0.1', unix_socket_directories: '', port: String(port) }
}

async function readyOrExited(server: ServerProcess, connection: Connection): Promise<string | null> {
  const exit = new AbortController()
  const ready = waitUntilReady(connection, exit.signal)
  const ending = server.exited.then((words) => ({ words }))
  try {
    const first = await Promise.race([ready.then(() => null), ending])
    return first === null ? null : first.words
  } catch (error) {
    if (error instanceof ServerShuttingDown) {
      await stopServer(server.identity)
      return 'was shutting down'
    }
    if (!server.adopted) await stopServer(server.identity)
    throw error
  } finally {
    exit.abort()
    await ready.catch(() => {})
  }
}
