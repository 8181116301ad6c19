import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.ts'

export class DataFolderBusy extends Error {
  readonly pid: number

  constructor(dataFolder: string, pid: number) {
    super(
      `Another nemo (process ${pid}) is using ${dataFolder}. Stop it first (kill ${pid}), or give this one its own folder with NEMO_DATA_DIR.`,
    )
    this.name = 'DataFolderBusy'
    this.pid = pid
  }
}

export type DataFolderLock = { release(): void }

/**
 * Holds <dataFolder>/nemo.pid until release() or the end of this process; a dead holder's file is taken over.
 * Throws DataFolderBusy while a live process holds it, this one included.
 */
export function lockDataFolder(dataFolder: string): DataFolderLock {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const folder = realpathSync(dataFolder)
  const path = join(folder, 'nemo.pid')
  const self = identifyProcess(process.pid)
  if (!self) throw new Error('Cannot read the start time of this process, which the lock of the data folder needs')
  const mine: Holder = { ...self, token: randomBytes(12).toString('hex') }

  acquire(path, mine, folder)
  const release = () => {
    process.off('exit', release)
    locksHeldHere.delete(folder)
    if (readHolder(path)?.token === mine.token) rmSync(path, { force: true })
  }
  process.on('exit', release)
  locksHeldHere.add(folder)
  return { release }
}

/** Whether this very process already holds the folder, so that one who locked first can start the server after. */
export function isLockedHere(dataFolder: string): boolean {
  return locksHeldHere.has(realpathSync(dataFolder))
}

type Holder = ProcessIdentity & { token: string }

const locksHeldHere = new Set<string>()

/**
 * A free lock is taken by link(2), which has one winner and never shows a half-written file.
 *
 * A dead holder's must not simply be unlinked: of two who see it dead, the slower would unlink the faster one's. So the right
 * to succeed this one dead holder is itself such a lock, named by his random token. Its winner looks again whether the dead
 * one is still there (a faster one may have come and gone, and freed the right in between) and renames his own over it.
 */
function acquire(path: string, mine: Holder, folder: string): void {
  for (;;) {
    if (link(path, mine)) return
    const holder = readHolder(path)
    if (holder === null) continue
    if (isAlive(holder)) throw new DataFolderBusy(folder, holder.pid)

    const succession = `${path}.after-${holder.token}`
    acquire(succession, mine, folder)
    const won = readHolder(path)?.token === holder.token
    if (won) replace(path, mine)
    rmSync(succession, { force: true })
    if (won) return
  }
}

function link(path: string, mine: Holder): boolean {
  const temporary = writeTemporary(path, mine)
  try {
    linkSync(temporary, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

function replace(path: string, mine: Holder): void {
  renameSync(writeTemporary(path, mine), path)
}

function writeTemporary(path: string, mine: Holder): string {
  const temporary = `${path}.${process.pid}-${randomBytes(6).toString('hex')}`
  writeFileSync(temporary, `${JSON.stringify(mine)}\n`, { flag: 'wx' })
  return temporary
}

// A file that isn't ours to understand (truncated by a full disk, say) counts as a dead holder's, named by what it holds.
function readHolder(path: string): Holder | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const { pid, startedAt, token } = JSON.parse(text) as Partial<Holder>
    if (typeof pid === 'number' && typeof startedAt === 'string' && /^[0-9a-f]{24}$/.test(token ?? '')) {
      return { pid, startedAt, token: token as string }
    }
  } catch {}
  return { pid: 0, startedAt: '', token: 'unreadable' }
}
