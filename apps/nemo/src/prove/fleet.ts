import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Chance } from './chance.ts'
import { TASK, type Task } from './child.ts'

/** A process that was killed, and when, in milliseconds of `performance.now()`. */
export interface Kill {
  readonly slot: number
  readonly generation: number
  readonly at: number
}

interface Slot {
  child: ChildProcess
  /** How often it was started. */
  generation: number
  port: number
  serves: boolean
}

export interface FleetOptions {
  readonly processes: number
  readonly databaseUrl: string
  readonly masterKey: Buffer
  readonly folder: string
}

/** The gateway processes, each with a port and a journal of its own, which outlive its kills. */
export class Fleet {
  readonly kills: Kill[] = []
  readonly #options: FleetOptions
  readonly #slots: Slot[] = []
  readonly #restarts = new Set<Promise<void>>()

  private constructor(options: FleetOptions) {
    this.#options = options
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options)
    for (let i = 0; i < options.processes; i++)
      fleet.#slots.push({ child: fleet.#spawn(i, 0), generation: 0, port: 0, serves: false })
    await Promise.all(fleet.#slots.map((slot) => fleet.#listens(slot)))
    return fleet
  }

  get size(): number {
    return this.#slots.length
  }

  /** One of chance's choice among those that serve, as a load balancer would know them; null when none does. */
  choose(chance: Chance): number | null {
    const serving = this.#slots.flatMap(({ serves }, slot) => (serves ? [slot] : []))
    return serving.length > 0 ? chance.of(serving) : null
  }

  portOf(slot: number): number {
    return this.#slots[slot]!.port
  }

  generationOf(slot: number): number {
    return this.#slots[slot]!.generation
  }

  /** `kill -9`, and a new process in its place at once. */
  async kill(index: number): Promise<void> {
    const slot = this.#slots[index]!
    const { child } = slot
    this.kills.push({ slot: index, generation: slot.generation, at: performance.now() })
    child.kill('SIGKILL')
    const restart = this.#restart(index, child)
    this.#restarts.add(restart)
    await restart.finally(() => this.#restarts.delete(restart))
  }

  /** Until every process serves. */
  async complete(): Promise<void> {
    await Promise.all(this.#restarts)
  }

  /** SIGTERM to all. Answers with how many did not end well by themselves. */
  async stop(patienceMs = 45_000): Promise<number> {
    const codes = await Promise.all(this.#slots.map(({ child }) => stopChild(child, patienceMs)))
    return codes.filter((code) => code !== 0).length
  }

  /** Ends them at once, whatever they do. */
  destroy(): void {
    for (const { child } of this.#slots) child.kill('SIGKILL')
  }

  async #restart(index: number, killed: ChildProcess): Promise<void> {
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit')
    const slot = this.#slots[index]!
    slot.serves = false
    slot.generation++
    slot.child = this.#spawn(index, slot.port)
    await this.#listens(slot)
  }

  #spawn(index: number, port: number): ChildProcess {
    const { databaseUrl, masterKey, folder } = this.#options
    const journalFolder = join(folder, `journal-${index}`)
    return spawnChild(
      { kind: 'gateway', databaseUrl, masterKey: masterKey.toString('hex'), journalFolder, port },
      join(folder, `gateway-${index}.log`),
    )
  }

  async #listens(slot: Slot): Promise<void> {
    const { child } = slot
    const port = await portOf(child)
    if (port !== null) {
      slot.port = port
      slot.serves = true
    }
    // One that was killed before it served has a successor already.
    else if (slot.child === child && child.signalCode !== 'SIGKILL')
      throw new Error(`a gateway process ended with code ${child.exitCode} before it served`)
  }
}

/** The provider, in a process of its own. */
export async function startProvider(folder: string): Promise<{ url: string; stop(): Promise<number | null> }> {
  const child = spawnChild({ kind: 'provider' }, join(folder, 'provider.log'))
  const port = await portOf(child)
  if (port === null) throw new Error(`the provider ended with code ${child.exitCode} before it served`)
  return { url: `http://127.0.0.1:${port}/v1`, stop: () => stopChild(child, 5_000) }
}

/** The same program, with the hidden command. It ends with us, because its standard input does. */
function spawnChild(task: Task, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  try {
    return spawn(process.execPath, [...process.execArgv, process.argv[1]!, 'prove-child'], {
      env: { ...process.env, [TASK]: JSON.stringify(task) },
      stdio: ['pipe', 'pipe', log],
    })
  } finally {
    closeSync(log)
  }
}

/** The port that the child says; null when it ends without a word. */
function portOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve(null))
    createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line).port))
  })
}

async function stopChild(child: ChildProcess, patienceMs: number): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
  clearTimeout(timer)
  return child.exitCode
}
