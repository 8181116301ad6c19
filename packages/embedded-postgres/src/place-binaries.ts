import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
} from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { commandUnder, type LaunchPlan } from './launch-plan.ts'
import type { ShippedBinaries } from './locate-binaries.ts'
import { serverEnvironment } from './server-environment.ts'

/**
 * A folder of binaries that run under this plan: the shipped one, completed where install scripts were blocked, or a copy of it
 * in copiesFolder where it can't be completed (node_modules of another user) or reached (node_modules in a private home).
 */
export async function placeBinaries(shipped: ShippedBinaries, copiesFolder: string, plan: LaunchPlan): Promise<string> {
  if (complete(shipped.native) && whyNotRunning(shipped.native, plan) === null) return shipped.native

  const copy = join(copiesFolder, `native-${shipped.version}`)
  if (!existsSync(copy)) await copyBinaries(shipped.native, copy)
  const failure = whyNotRunning(copy, plan)
  if (failure === null) return copy
  throw new Error(
    `The PostgreSQL binaries do not run on this machine: ${failure}. Set DATABASE_URL to a server of yours.`,
  )
}

// npm packs no symlinks. The package lists them and makes them in its install script, which many a company blocks;
// without them the server ends with "libicui18n.so.60: cannot open shared object file".
function complete(native: string): boolean {
  try {
    for (const { source, target } of readSymlinks(native)) {
      if (exists(target)) continue
      symlinkSync(relative(dirname(target), source), target)
    }
    for (const binary of ['initdb', 'postgres']) {
      const path = join(native, 'bin', binary)
      if ((lstatSync(path).mode & 0o111) !== 0o111) chmodSync(path, 0o755)
    }
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return complete(native)
    throw error
  }
}

function readSymlinks(native: string): { source: string; target: string }[] {
  const path = join(native, 'pg-symlinks.json')
  if (!existsSync(path)) return []
  const links = JSON.parse(readFileSync(path, 'utf8')) as { source: string; target: string }[]
  const inNative = (path: string) => join(native, relative('native', path))
  return links.map(({ source, target }) => ({ source: inNative(source), target: inNative(target) }))
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function whyNotRunning(native: string, plan: LaunchPlan): string | null {
  const { file, args, as } = commandUnder(plan, join(native, 'bin', 'postgres'), ['--version'])
  const probe = spawnSync(file, args, { ...as, env: serverEnvironment(), cwd: '/', encoding: 'utf8', timeout: 10_000 })
  return probe.status === 0 ? null : (probe.error?.message ?? probe.stderr.trim())
}

async function copyBinaries(native: string, copy: string): Promise<void> {
  const folder = dirname(copy)
  for (const name of readdirSync(folder)) {
    if (name.startsWith('native-')) await rm(join(folder, name), { recursive: true, force: true })
  }
  // Under its final name only when whole, as this too can be killed halfway.
  const temporary = mkdtempSync(join(folder, `${basename(copy)}-`))
  await cp(native, temporary, { recursive: true, verbatimSymlinks: true })
  makeReadable(temporary)
  if (!complete(temporary)) throw new Error(`Cannot complete the copy of PostgreSQL in ${temporary}`)
  renameSync(temporary, copy)
}

// An umask of 077 at npm install would keep a copy from the user it was made for.
function makeReadable(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) makeReadable(path)
    else if (entry.isFile()) chmodSync(path, lstatSync(path).mode & 0o100 ? 0o755 : 0o644)
  }
}
