import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identifyProcess, isPostmasterOf, type ProcessIdentity, pidIsTaken } from './process-identity.ts'

export type Postmaster = { identity: ProcessIdentity; port: number; stopping: boolean }

/**
 * The server that really runs on this cluster, or null: postmaster.pid outlives its process, and its pid may be anybody's by now.
 * Lines as in src/include/utils/pidfile.h: pid, data folder, start, port, socket folder, address, shared memory, status.
 */
export function findPostmaster(clusterData: string): Postmaster | null {
  const lines = readLines(clusterData)
  const pid = Number(lines?.[0])
  const identity = identifyProcess(pid)
  if (!lines || !identity || !isPostmasterOf(pid, clusterData)) return null
  return { identity, port: Number(lines[3]), stopping: lines[7]?.trim() === 'stopping' }
}

/**
 * Postgres refuses to start over a lock file that is empty, or whose pid is alive, whoever that is by now. Call only when
 * findPostmaster finds none.
 * A zombie counts as alive there, and in a container whose first process collects none it stays one.
 *
 * The file must not be deleted for a reused pid: its shared memory line still keeps a new server away from the backends of a dead
 * one. Postgres passes over its parent's pid in the first line, and keeps the other check, so that is what is written.
 */
export async function disarmStaleFile(clusterData: string): Promise<void> {
  let lines = readLines(clusterData)
  if (lines && lines.join('').trim() === '') {
    // A server that is just starting has created it and not yet written.
    await sleep(200)
    lines = readLines(clusterData)
    if (lines && lines.join('').trim() === '') rmSync(postmasterFile(clusterData), { force: true })
    return
  }
  if (!lines || !pidIsTaken(Number(lines[0])) || findPostmaster(clusterData)) return
  writeFileSync(postmasterFile(clusterData), [String(process.pid), ...lines.slice(1)].join('\n'))
}

function readLines(clusterData: string): string[] | null {
  try {
    return readFileSync(postmasterFile(clusterData), 'utf8').split('\n')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}

function postmasterFile(clusterData: string): string {
  return join(clusterData, 'postmaster.pid')
}
