import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

/** The bundle as `npm start` builds it, in a folder of its own beside it, so that node_modules are above it. */
export async function buildNemo(): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = join(ROOT, 'dist', `test-${process.pid}-${Math.random().toString(36).slice(2)}`)
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/build.mjs'), folder])
  return { path: join(folder, 'nemo.mjs'), remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A nemo that was spawned, and what it has written so far. */
export class Spawned {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly ended: Promise<Ended>

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout!.setEncoding('utf8').on('data', (text) => (this.stdout += text))
    child.stderr!.setEncoding('utf8').on('data', (text) => (this.stderr += text))
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }))
  }

  /** Resolves when standard output shows the text; throws with all there is when the process ends without it. */
  async shows(text: string | RegExp): Promise<string> {
    let over = false
    void this.ended.then(() => (over = true))
    for (const deadline = Date.now() + 20_000; ; await sleep(10)) {
      if (typeof text === 'string' ? this.stdout.includes(text) : text.test(this.stdout)) return this.stdout
      if (over || Date.now() > deadline) throw new Error(`no ${text} in:\n${this.stdout}\n${this.stderr}`)
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }
}

/** What `nemo start --json` says. */
export interface Listening {
  readonly url: string
  readonly key: string | null
  readonly curl: string | null
  readonly providers: readonly string[]
  readonly models: readonly string[]
}

/** A data folder of one's own. `close` ends every process that it has seen, and removes it. */
export class Installation {
  readonly bundle: string
  readonly folder: string
  readonly dataFolder: string
  readonly #spawned: Spawned[] = []
  readonly #uid: number | null

  private constructor(bundle: string, folder: string, uid: number | null) {
    this.bundle = bundle
    this.folder = folder
    this.dataFolder = join(folder, 'data')
    this.#uid = uid
  }

  static async make(bundle: string, uid: number | null = null): Promise<Installation> {
    const folder = await mkdtemp(join(tmpdir(), 'nemo-installation-'))
    if (uid !== null) await chown(folder, uid, uid)
    return new Installation(bundle, folder, uid)
  }

  spawn(args: readonly string[], environment: Record<string, string> = {}): Spawned {
    const { PATH = '' } = process.env
    const child = spawn(process.execPath, [this.bundle, ...args], {
      cwd: this.folder,
      // Nothing of the environment that the tests happen to run in.
      env: { PATH, HOME: this.folder, TZ: 'UTC', NEMO_DATA_DIR: this.dataFolder, ...environment },
      ...(this.#uid !== null && { uid: this.#uid, gid: this.#uid }),
    })
    const spawned = new Spawned(child)
    this.#spawned.push(spawned)
    return spawned
  }

  /** Runs a command to its end, with the text on its standard input. */
  async run(args: readonly string[], environment: Record<string, string> = {}, input = ''): Promise<Ended> {
    const spawned = this.spawn(args, environment)
    spawned.child.stdin!.end(input)
    return spawned.ended
  }

  /** Runs a command that must succeed, and reads the JSON that it prints. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run([...args, '--json'])
    if (code !== 0) throw new Error(`nemo ${args.join(' ')} exited with ${code}: ${stdout}${stderr}`)
    return JSON.parse(stdout)
  }

  /** `nemo start` on a free port, once it listens. */
  async start(
    args: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<{ nemo: Spawned; listening: Listening }> {
    const nemo = this.spawn(['start', '--port', '0', '--json', ...args], environment)
    const line = (await nemo.shows(/^\{.*\}$/m)).split('\n').find((text) => text.startsWith('{'))
    return { nemo, listening: JSON.parse(line!) }
  }

  /** The process id in the server's own lock file; null when no server runs. */
  async postgresPid(): Promise<number | null> {
    const file = join(this.dataFolder, 'postgres', 'data', 'postmaster.pid')
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
    return pid > 0 && isRunning(pid) ? pid : null
  }

  async close(): Promise<void> {
    for (const { child } of this.#spawned) child.kill('SIGKILL')
    await Promise.all(this.#spawned.map((spawned) => spawned.ended))
    const pid = await this.postgresPid()
    if (pid !== null) process.kill(pid, 'SIGQUIT')
    while (pid !== null && isRunning(pid)) await sleep(20)
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Whether an ordinary user can read the bundle and what it needs: not below a home that is closed to him. */
export async function canBeReadBy(uid: number, path: string): Promise<boolean> {
  const check = spawn('test', ['-r', path, '-a', '-x', dirname(path)], { uid, gid: uid, stdio: 'ignore' })
  return new Promise((resolve) => {
    check.on('error', () => resolve(false))
    check.on('exit', (code) => resolve(code === 0))
  })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
