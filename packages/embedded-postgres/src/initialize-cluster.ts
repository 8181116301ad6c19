import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClusterFolders } from './cluster-folders.ts'
import { SUPERUSER } from './connection-file.ts'
import { commandUnder, type LaunchPlan } from './launch-plan.ts'
import { serverEnvironment } from './server-environment.ts'
import { syncFolder } from './write-private-file.ts'

export const MAJOR_VERSION = '18'

const UNFINISHED = 'initializing-'

/** Whether there is a cluster to start. Throws when there is one that these binaries can't read. */
export function hasCluster(folders: ClusterFolders): boolean {
  if (!existsSync(folders.data)) return false
  if (readdirSync(folders.data).length === 0) return false
  const versionFile = join(folders.data, 'PG_VERSION')
  if (!existsSync(versionFile)) {
    throw new Error(`${folders.data} is neither empty nor a PostgreSQL cluster. Move it away, or set NEMO_DATA_DIR.`)
  }
  const version = readFileSync(versionFile, 'utf8').trim()
  if (version === MAJOR_VERSION) return true
  throw new Error(
    `${folders.data} was written by PostgreSQL ${version}, and this nemo ships ${MAJOR_VERSION}. ` +
      `Start it with the nemo that wrote it and move the data with pg_dump, or name another folder in NEMO_DATA_DIR.`,
  )
}

export type Initialization = {
  folders: ClusterFolders
  native: string
  plan: LaunchPlan
  password: string
  /** False only where the data may be lost with the machine, as in tests. */
  sync: boolean
  /** Called when the new cluster is whole and not yet in its place: what must be on disk before it is. */
  beforeItAppears: () => void
}

/** Makes a cluster beside its place and moves it there when whole, so that one that is killed halfway is never taken for a cluster. */
export async function initializeCluster(initialization: Initialization): Promise<void> {
  const { folders, native, plan, password, sync, beforeItAppears } = initialization
  await sweepUnfinished(folders.postgres)
  const unfinished = join(folders.postgres, UNFINISHED + randomBytes(6).toString('hex'))
  const passwordFile = `${unfinished}.password`
  mkdirSync(unfinished, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600, flag: 'wx' })
  if (plan.kind === 'drop') for (const path of [unfinished, passwordFile]) chownSync(path, plan.uid, plan.gid)

  try {
    await run(plan, join(native, 'bin', 'initdb'), [
      `--pgdata=${unfinished}`,
      `--pwfile=${passwordFile}`,
      `--username=${SUPERUSER}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // The builtin provider sorts alike on every machine, whatever its libc; the rest is C because macOS has no C.UTF-8.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
      ...(sync ? [] : ['--no-sync']),
    ])
    beforeItAppears()
    if (existsSync(folders.data)) rmdirSync(folders.data)
    renameSync(unfinished, folders.data)
    if (sync) syncFolder(folders.postgres)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    throw error
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/** Sets the superuser's password with no server running: the way back in when connection.json was lost. */
export async function resetPassword(data: string, native: string, plan: LaunchPlan, password: string): Promise<void> {
  const statement = `alter role ${SUPERUSER} password '${password}'\n`
  await run(plan, join(native, 'bin', 'postgres'), ['--single', '-D', data, 'postgres'], statement)
}

// An initdb whose nemo was killed may still be at work in there; it fails when its files go, and the next start sweeps again.
async function sweepUnfinished(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(UNFINISHED)) continue
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => {})
  }
}

function run(plan: LaunchPlan, binary: string, binaryArgs: string[], input = ''): Promise<void> {
  const { file, args, as } = commandUnder(plan, binary, binaryArgs)
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...as, env: serverEnvironment(), cwd: '/', stdio: 'pipe' })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-4096)
      })
    }
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${binary} failed (${signal ?? `code ${code}`}):\n${output.trim()}`))
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
