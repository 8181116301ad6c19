import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { buildNemo, Installation } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation

beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
})
afterAll(async () => {
  await nemo?.close()
  await bundle?.remove()
})

interface Report {
  proven: boolean
  seed: number
  charged: number
  kills: number
  restarts: { of: string; count: number }
  verdicts: { name: string; broken: number; examples: object[] }[]
}

const SMALL = ['--processes', '2', '--racers', '100', '--duration', '12s', '--kill-every', '2s', '--seed', '1']

test('processes and Postgres are killed under callers near every bound, and nothing drifts', async () => {
  const file = join(nemo.folder, 'proof.json')
  const { code, stdout, stderr } = await nemo.run([
    'prove',
    ...SMALL,
    ...['--postgres-restarts', '1', '--json', '--report', file],
  ])
  const report = JSON.parse(stdout) as Report
  expect({ broken: report.verdicts.filter(({ broken }) => broken > 0), stderr }).toEqual({ broken: [], stderr })
  expect(report).toMatchObject({ proven: true, seed: 1, restarts: { of: 'server', count: 1 } })
  expect(report.kills).toBeGreaterThan(0)
  expect(report.charged).toBeGreaterThan(0)
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(report)
  expect(code).toBe(0)
}, 90_000)

test('stopped by a Ctrl-C it leaves no database behind on the operator’s server, and proves nothing', async () => {
  const proving = nemo.spawn(['prove', ...SMALL, '--seed', '77001'], { DATABASE_URL: inject('serverUrl') })
  await expect.poll(databases, { timeout: 20_000 }).toHaveLength(1)
  const { code, stdout, stderr } = await proving.stop('SIGINT')
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
  expect(stderr).toContain('nothing is proven')
  expect(await databases()).toEqual([])
}, 60_000)

async function databases(): Promise<string[]> {
  const client = new pg.Client({ connectionString: inject('serverUrl') })
  await client.connect()
  try {
    const { rows } = await client.query(`select datname from pg_database where datname like 'nemo\\_prove\\_77001\\_%'`)
    return rows.map((row) => row.datname)
  } finally {
    await client.end()
  }
}
