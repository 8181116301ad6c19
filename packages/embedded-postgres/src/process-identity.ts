import { spawnSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'

/** A pid alone says little: pids are reused. With the moment of its start it names one process for good. */
export type ProcessIdentity = { pid: number; startedAt: string }

/** The process that has this pid now; null when there is none, or only a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!pidIsTaken(pid)) return null
  const startedAt = process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid)
  return startedAt === null ? null : { pid, startedAt }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt
}

/** Whether this pid is the postmaster of that cluster, by its command line, which its backends overwrite. */
export function isPostmasterOf(pid: number, clusterData: string): boolean {
  if (process.platform !== 'linux') {
    const command = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
    return command.includes('postgres') && command.includes(`-D ${clusterData} `)
  }
  try {
    const [binary, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    if (basename(binary ?? '') !== 'postgres') return false
    const folder = args[args.indexOf('-D') + 1]
    return folder !== undefined && args.includes('-D') && realpathSync(folder) === realpathSync(clusterData)
  } catch {
    return false
  }
}

/** Whether the system still lists this pid, be it a zombie that nobody collects. */
export function pidIsTaken(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

// The start is counted in ticks since boot, so the boot belongs to it: after a reboot the same pid can have the same tick.
function startFromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in brackets and may itself hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startTick] = [fields[0], fields[19]]
    if (state === 'Z' || state === 'X' || startTick === undefined) return null
    return `${bootId()}:${startTick}`
  } catch {
    return null
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'boot'
  }
}

function startFromPs(pid: number): string | null {
  const ps = spawnSync('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  })
  const [state, ...started] = (ps.stdout ?? '').trim().split(/\s+/)
  return state === undefined || state === '' || state.startsWith('Z') ? null : started.join(' ')
}

/** This process under a name that another can ask about later, when the pid may be another's. */
export const namedProcess = {
  get self(): string {
    return JSON.stringify(identifyProcess(process.pid))
  },
  isAlive(name: string): boolean {
    try {
      const identity = JSON.parse(name) as ProcessIdentity | null
      return identity !== null && isAlive(identity)
    } catch {
      // Half a name was written by a process that died while it wrote.
      return false
    }
  },
}
