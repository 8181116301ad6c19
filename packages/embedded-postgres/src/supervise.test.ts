import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Cluster } from './bring-up.ts'
import { openClusterFolders } from './cluster-folders.ts'
import { chooseFreePort } from './free-port.ts'
import { restartDelayMs } from './restart-policy.ts'
import type { ServerProcess } from './server-process.ts'
import { supervise } from './supervise.ts'

const folder = mkdtempSync(join(tmpdir(), 'nemo-supervise-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const dead = { pid: process.pid, startedAt: 'earlier' }
const endedServer: ServerProcess = {
  identity: dead,
  adopted: false,
  exited: Promise.resolve('was ended by SIGKILL'),
  logOffset: 0,
}

async function hopelessCluster(lines: string[] = []): Promise<Cluster> {
  return {
    folders: openClusterFolders(folder),
    plan: { kind: 'direct' },
    native: '/nowhere',
    settings: {},
    connection: { port: await chooseFreePort(folder), password: 'secret', database: 'nemo' },
    log: (line) => lines.push(line),
  }
}

describe('the supervisor', () => {
  it('gives up on a server that can not be kept up, once, and says why', async () => {
    const lines: string[] = []
    const cluster = await hopelessCluster(lines)
    const atOnce: typeof restartDelayMs = (failedAt, now) => (restartDelayMs(failedAt, now) === null ? null : 0)
    const errors: Error[] = []
    await new Promise<void>((resolve) => {
      const supervision = supervise(
        cluster,
        endedServer,
        (error) => {
          errors.push(error)
          void supervision.stop().then(resolve)
        },
        atOnce,
      )
    })
    expect(errors.map((error) => error.message)).toEqual([
      expect.stringMatching(/could not start: .*ENOENT.*failed too often within a minute/),
    ])
    expect(lines).toHaveLength(9)
  })

  it('starts nothing after stop, not even what it was waiting to start', async () => {
    const lines: string[] = []
    const supervision = supervise(
      await hopelessCluster(lines),
      endedServer,
      () => {},
      () => 60_000,
    )
    await endedServer.exited
    await supervision.stop()
    expect(lines).toEqual(['PostgreSQL was ended by SIGKILL; starting it again in 60000 ms'])
  })
})
