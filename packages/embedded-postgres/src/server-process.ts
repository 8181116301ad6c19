import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandUnder, type LaunchPlan } from './launch-plan.ts'
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.ts'
import { serverEnvironment } from './server-environment.ts'
import { openServerLog } from './server-log.ts'

/** A postmaster, our child or an adopted one. Neither keeps our event loop alive, nor ends with us. */
export type ServerProcess = {
  identity: ProcessIdentity
  adopted: boolean
  /** Resolves, with words for the log, when it has ended. */
  exited: Promise<string>
  logOffset: number
}

export type Launch = { plan: LaunchPlan; native: string; data: string; log: string; settings: Record<string, string> }

export async function launchServer({ plan, native, data, log, settings }: Launch): Promise<ServerProcess> {
  const { file: logFile, offset } = openServerLog(log)
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const { file, args, as } = commandUnder(plan, join(native, 'bin', 'postgres'), ['-D', data, ...options])
  try {
    // In a session of its own: a Ctrl-C in the terminal goes to the whole group, and we must still flush into this server.
    const child = spawn(file, args, {
      ...as,
      env: serverEnvironment(),
      cwd: dirname(data),
      detached: true,
      stdio: ['ignore', logFile, logFile],
    })
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`))
    })
    await new Promise((resolve, reject) => child.once('spawn', () => resolve(null)).once('error', reject))
    child.unref()
    const pid = child.pid as number
    return { identity: identifyProcess(pid) ?? { pid, startedAt: 'over' }, adopted: false, exited, logOffset: offset }
  } finally {
    closeSync(logFile)
  }
}

const ADOPTED_POLL_MS = 250

export function adoptServer(identity: ProcessIdentity): ServerProcess {
  const exited = new Promise<string>((resolve) => {
    // We are not its parent, so nobody tells us.
    const timer = setInterval(() => {
      if (isAlive(identity)) return
      clearInterval(timer)
      resolve('has ended')
    }, ADOPTED_POLL_MS).unref()
  })
  return { identity, adopted: true, exited, logOffset: 0 }
}

/**
 * Fast shutdown (connections are cut, everything is written), after 30 s an immediate one, which leaves recovery to the next start.
 * Throws when even that has no effect in 10 s.
 */
export async function stopServer(identity: ProcessIdentity): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGINT', 30_000],
    ['SIGQUIT', 10_000],
  ] as const) {
    if (!isAlive(identity)) return
    try {
      process.kill(identity.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    if (await hasExited(identity, patienceMs)) return
  }
  throw new Error(`PostgreSQL (process ${identity.pid}) does not stop`)
}

async function hasExited(identity: ProcessIdentity, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs
  while (Date.now() < deadline) {
    if (!isAlive(identity)) return true
    await sleep(10)
  }
  return false
}
