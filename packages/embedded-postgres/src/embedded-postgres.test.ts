import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { clusterFolders } from './cluster-folders.ts'
import { type EmbeddedPostgres, findRunning, startEmbeddedPostgres } from './embedded-postgres.ts'
import { locateBinaries } from './locate-binaries.ts'
import { DataFolderBusy, lockDataFolder } from './lock-data-folder.ts'
import { findPostmaster } from './postmaster-file.ts'
import { identifyProcess } from './process-identity.ts'
import { stopServer } from './server-process.ts'

const isRoot = process.getuid?.() === 0
const ordinaryUser = { uid: 1000, gid: 1000 }

const home = mkdtempSync(join(tmpdir(), 'nemo-embedded-'))
const dataFolders = new Set<string>()
const openFolders = new Set<string>()
const children = new Set<ChildProcess>()

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})
afterAll(async () => {
  for (const folder of dataFolders) {
    const server = findPostmaster(clusterFolders(folder).data)
    if (server) await stopServer(server.identity)
  }
  for (const folder of [home, ...openFolders]) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

describe('a data folder', () => {
  // One cluster through its life, as each new one costs half a second.
  const folder = dataFolder('life')

  it('gets a server at the first start, in a home that is closed to others', async () => {
    expect(statSync(home).mode & 0o777).toBe(0o700)
    const startedAt = performance.now()
    const server = await start(folder)
    const coldMs = performance.now() - startedAt
    expect(server.adopted).toBe(false)
    expect(server.url).toMatch(new RegExp(`^postgres://nemo:[0-9a-f]{48}@127\\.0\\.0\\.1:${server.port}/nemo$`))
    expect(server.port).toBeGreaterThanOrEqual(20_000)
    expect(server.port).toBeLessThan(32_000)
    const [row] = await query(
      server.url,
      `select current_setting('server_version_num')::int / 10000 as major, current_setting('listen_addresses') as listen,
         current_setting('unix_socket_directories') as sockets, current_setting('data_checksums') as checksums,
         current_setting('fsync') as fsync, current_setting('timezone') as timezone, current_setting('max_connections') as connections,
         datlocprovider as provider, datlocale as locale, pg_encoding_to_char(encoding) as encoding
       from pg_database where datname = current_database()`,
    )
    expect(row).toEqual({
      major: 18,
      listen: '127.0.0.1',
      sockets: '',
      checksums: 'on',
      fsync: 'off',
      timezone: 'UTC',
      connections: '100',
      provider: 'b',
      locale: 'C.UTF-8',
      encoding: 'UTF8',
    })
    await query(server.url, 'create table kept as select 42 as answer')
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'postgres/connection.json')).mode & 0o777).toBe(0o600)

    await server.stop()
    await server.stop()
    expect(readdirSync(folder)).toEqual(['postgres'])
    expect(readdirSync(join(folder, 'postgres')).sort()).toEqual(['connection.json', 'data', 'postgres.log'])
    expect(coldMs).toBeLessThan(5000)
  })

  it('keeps its data, port and password from one start to the next', async () => {
    const before = readFileSync(join(folder, 'postgres/connection.json'), 'utf8')
    const server = await start(folder)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(readFileSync(join(folder, 'postgres/connection.json'), 'utf8')).toBe(before)
    await server.stop()
  })

  it('shows its server to commands while it runs, and only then', async () => {
    expect(findRunning(folder)).toBeNull()
    const server = await start(folder)
    expect(findRunning(folder)).toEqual({ url: server.url, pid: server.pid })
    await server.stop()
    expect(findRunning(folder)).toBeNull()
  })

  it('has one nemo at a time, which may have locked it before', async () => {
    const lock = lockDataFolder(folder)
    const server = await start(folder)
    await expect(start(folder)).rejects.toThrow(DataFolderBusy)
    await server.stop()
    expect(existsSync(join(folder, 'nemo.pid'))).toBe(true)
    lock.release()
    expect(existsSync(join(folder, 'nemo.pid'))).toBe(false)
  })

  it('refuses a wrong password, even from this machine', async () => {
    const server = await start(folder)
    await expect(query(server.url.replace(/:[0-9a-f]{48}@/, ':guess@'), 'select 1')).rejects.toThrow(/password/)
    await server.stop()
  })

  it('gets its server back on the same port when somebody kills it', async () => {
    const lines: string[] = []
    const server = await start(folder, { log: (line) => lines.push(line) })
    const killed = server.pid
    process.kill(killed, 'SIGKILL')
    await eventually(() => server.pid !== killed)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(lines.join('\n')).toMatch(/ended by SIGKILL; starting it again[\s\S]*runs again/)
    await server.stop()
    expect(findRunning(folder)).toBeNull()
  })

  it('moves to another port when its own is taken by another program', async () => {
    const { port } = JSON.parse(readFileSync(join(folder, 'postgres/connection.json'), 'utf8'))
    const stranger = createServer().listen(port, '127.0.0.1')
    await once(stranger, 'listening')
    const server = await start(folder)
    expect(server.port).not.toBe(port)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await server.stop()
    stranger.close()
    expect(JSON.parse(readFileSync(join(folder, 'postgres/connection.json'), 'utf8')).port).toBe(server.port)
  })

  it('is not fooled by a postmaster.pid whose pid is another program by now', async () => {
    const stranger = child(spawn('sleep', ['60']))
    await once(stranger, 'spawn')
    const data = clusterFolders(folder).data
    writeFileSync(
      join(data, 'postmaster.pid'),
      `${stranger.pid}\n${data}\n1700000000\n20000\n\n127.0.0.1\n 1 1\nready   \n`,
    )
    expect(findRunning(folder)).toBeNull()
    const server = await start(folder)
    expect(server.adopted).toBe(false)
    await server.stop()
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
  })

  it('is not held up by an empty postmaster.pid', async () => {
    writeFileSync(join(clusterFolders(folder).data, 'postmaster.pid'), '')
    await (await start(folder)).stop()
  })

  it('can be entered again when connection.json is lost', async () => {
    rmSync(join(folder, 'postgres/connection.json'))
    const server = await start(folder)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await server.stop()
  })

  it('puts a log of more than 10 MB aside', async () => {
    const { log } = clusterFolders(folder)
    writeFileSync(log, 'x'.repeat(10 * 1024 * 1024 + 1))
    await (await start(folder)).stop()
    expect(statSync(`${log}.1`).size).toBe(10 * 1024 * 1024 + 1)
    expect(statSync(log).size).toBeLessThan(100_000)
  })

  it('takes the end of the log into the error when the server does not come up', async () => {
    await expect(start(folder, { settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
      /invalid value for parameter "shared_buffers"/,
    )
    expect(existsSync(join(folder, 'nemo.pid'))).toBe(false)
  })

  it('has its server adopted when nemo is killed, and stopped by the one that adopted it', async () => {
    const { nemo, said } = await startElsewhere([folder])
    await kill(nemo)
    const server = await start(folder)
    expect(server).toMatchObject({ adopted: true, pid: said.pid, url: said.url })
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await server.stop()
    expect(identifyProcess(said.pid)).toBeNull()
  })

  it('has an adopted server replaced when that is killed', async () => {
    const { nemo, said } = await startElsewhere([folder])
    await kill(nemo)
    const server = await start(folder)
    process.kill(said.pid, 'SIGKILL')
    await eventually(() => server.pid !== said.pid)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await server.stop()
  })

  it('gets a new server when the one left over is shutting down, even if it waits for a client', async () => {
    const { nemo, said } = await startElsewhere([folder])
    const client = new pg.Client(said.url)
    client.on('error', () => {})
    await client.connect()
    await kill(nemo)
    process.kill(said.pid, 'SIGTERM')
    await eventually(() => findPostmaster(clusterFolders(folder).data)?.stopping === true)
    expect(findRunning(folder)).toBeNull()
    const server = await start(folder)
    expect(server.adopted).toBe(false)
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await server.stop()
    await client.end().catch(() => {})
  })

  it('of another major version is refused, by name', async () => {
    writeFileSync(join(clusterFolders(folder).data, 'PG_VERSION'), '17\n')
    await expect(start(folder)).rejects.toThrow(/PostgreSQL 17.*ships 18.*NEMO_DATA_DIR/)
  })

  it('that holds something else is left alone', async () => {
    const foreign = dataFolder('foreign')
    mkdirSync(clusterFolders(foreign).data, { recursive: true })
    writeFileSync(join(clusterFolders(foreign).data, 'thesis.txt'), 'years of work')
    await expect(start(foreign)).rejects.toThrow(/neither empty nor a PostgreSQL cluster/)
    expect(readdirSync(clusterFolders(foreign).data)).toEqual(['thesis.txt'])
  })
})

it('a first start that was killed halfway is started over', async () => {
  const folder = dataFolder('interrupted')
  const { postgres, data } = clusterFolders(folder)
  const nemo = spawnStart([folder])
  await eventually(() => existsSync(postgres) && readdirSync(postgres).some((name) => hasVersion(join(postgres, name))))
  await kill(nemo)
  expect(existsSync(data)).toBe(false)

  const server = await start(folder)
  expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
  await server.stop()
  // The orphaned initdb may have outlived the first sweep, not its own failure.
  expect(readdirSync(postgres).filter((name) => name.endsWith('.password'))).toEqual([])
})

it('binaries whose install script was blocked are completed', async () => {
  const folder = dataFolder('blocked')
  const binariesPackage = blockedPackage()
  const server = await start(folder, { binariesPackage })
  expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
  await server.stop()
  expect(lstatSync(join(binariesPackage, 'native/lib', blockedLink())).isSymbolicLink()).toBe(true)
})

/** A checkout under a 0700 home is nobody's but its owner's: an ordinary user can't run it from there. */
function isReadableByOthers(path: string): boolean {
  return (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || isReadableByOthers(dirname(path)))
}

describe.runIf(isRoot && isReadableByOthers(import.meta.dirname))('an ordinary user', () => {
  it('has a server which does not keep nemo alive, and which root adopts without taking the folder', async () => {
    const folder = dataFolder('ordinary', ordinaryUser)
    const { nemo, said } = await startElsewhere([folder, 'leave'], ordinaryUser)
    if (nemo.exitCode === null) await once(nemo, 'exit')
    expect(nemo.exitCode).toBe(0)

    const server = await start(folder)
    expect(server).toMatchObject({ adopted: true, pid: said.pid })
    expect(await query(server.url, 'select usename from pg_user')).toEqual([{ usename: 'nemo' }])
    await server.stop()
    // Root's own server on this cluster, which the user can start himself again afterwards.
    await (await start(folder, { database: 'by_root' })).stop()
    const again = await startElsewhere([folder, 'stop'], ordinaryUser)
    expect(again.said.adopted).toBe(false)
    if (again.nemo.exitCode === null) await once(again.nemo, 'exit')
    expect(again.nemo.exitCode).toBe(0)
  })

  it('gets a completed copy of binaries that are not his to complete', async () => {
    const folder = dataFolder('copied', ordinaryUser)
    const { nemo } = await startElsewhere([folder, 'stop', blockedPackage()], ordinaryUser)
    if (nemo.exitCode === null) await once(nemo, 'exit')
    expect(nemo.exitCode).toBe(0)
    expect(readdirSync(join(folder, 'postgres')).filter((name) => name.startsWith('native-'))).toEqual([
      `native-${locateBinaries().version}`,
    ])
  })

  it("is told whose the folder is, and what to do, when it isn't his", async () => {
    const folder = dataFolder('of-root', { uid: 0, gid: 0 })
    chmodSync(folder, 0o755)
    await expect(startElsewhere([folder], ordinaryUser)).rejects.toThrow(/belongs to user id 0.*NEMO_DATA_DIR/)
  })
})

describe.runIf(isRoot)('root without user namespaces', () => {
  const path = process.env.PATH
  afterEach(() => {
    process.env.PATH = path
  })

  it('has a server that runs as another user', async () => {
    // The folder lies where others pass, and is itself closed to them.
    const folder = dataFolder('dropped', { uid: 0, gid: 0 })
    process.env.PATH = '/nowhere'
    const server = await start(folder)
    expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0)
    expect(statSync(folder)).toMatchObject({ uid: 0 })
    expect(statSync(folder).mode & 0o007).toBe(0)
    expect(findRunning(folder)?.pid).toBe(server.pid)
    await server.stop()
    await (await start(folder)).stop()
  })

  it('is told to set NEMO_DATA_DIR or DATABASE_URL when no other user gets into the folder', async () => {
    process.env.PATH = '/nowhere'
    await expect(start(dataFolder('closed'))).rejects.toThrow(/NEMO_DATA_DIR.*DATABASE_URL/)
  })
})

type StartOptions = Partial<Parameters<typeof startEmbeddedPostgres>[0]>

function start(folder: string, options: StartOptions = {}): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataFolder: folder, ...options, settings: { fsync: 'off', ...options.settings } })
}

/** A data folder in the closed home, or one owned by somebody where everybody passes. */
function dataFolder(name: string, owner?: { uid: number; gid: number }): string {
  const parent = owner ? openFolder() : home
  const folder = join(parent, name)
  dataFolders.add(folder)
  if (owner) {
    mkdirSync(folder, { mode: 0o700 })
    chownSync(folder, owner.uid, owner.gid)
  }
  return folder
}

function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nemo-embedded-open-'))
  chmodSync(folder, 0o755)
  openFolders.add(folder)
  return folder
}

/** The package as npm unpacks it with --ignore-scripts: without a symlink. */
function blockedPackage(): string {
  const installed = dirname(locateBinaries().native)
  const copy = join(openFolder(), 'package')
  cpSync(installed, copy, { recursive: true, verbatimSymlinks: true })
  for (const name of readdirSync(join(copy, 'native/lib'))) {
    const path = join(copy, 'native/lib', name)
    if (lstatSync(path).isSymbolicLink()) unlinkSync(path)
  }
  chmodSync(join(copy, 'native/bin/initdb'), 0o644)
  return copy
}

function blockedLink(): string {
  const links = readFileSync(join(locateBinaries().native, 'pg-symlinks.json'), 'utf8')
  return (JSON.parse(links) as { target: string }[])[0]!.target.replace('native/lib/', '')
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  try {
    await client.connect()
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

function spawnStart(args: string[], as: { uid?: number; gid?: number } = {}): ChildProcess {
  const script = join(import.meta.dirname, 'fixtures/start.ts')
  return child(spawn(process.execPath, ['--import', 'tsx', script, ...args], { ...as, stdio: 'pipe' }))
}

async function startElsewhere(args: string[], as: { uid?: number; gid?: number } = {}) {
  const nemo = spawnStart(args, as)
  let complaint = ''
  nemo.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  for await (const line of createInterface(nemo.stdout!)) {
    return { nemo, said: JSON.parse(line) as { url: string; pid: number; adopted: boolean } }
  }
  throw new Error(complaint)
}

function child(process: ChildProcess): ChildProcess {
  children.add(process)
  return process
}

async function kill(process: ChildProcess): Promise<void> {
  const exit = once(process, 'exit')
  process.kill('SIGKILL')
  await exit
}

function hasVersion(folder: string): boolean {
  return existsSync(join(folder, 'PG_VERSION'))
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('This did not come true within ten seconds')
    await sleep(5)
  }
}
