import { randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { masterKeyId } from '@nemo/domain/vault'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildNemo, Installation } from './testing/installation.ts'

/** The master key is changed, and nothing that was sealed is lost. */
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

const keyFile = () => join(nemo.dataFolder, 'master.key')
const newKey = async (name: string) => {
  const [path, key] = [join(nemo.folder, name), randomBytes(32)]
  await writeFile(path, key.toString('hex'), { mode: 0o600 })
  return { path, key, id: masterKeyId(key) }
}
interface Status {
  readonly master_key: string
  readonly secrets: readonly { readonly master_key: string; readonly count: number; readonly opens: number }[]
}

test('the master key is changed on a stopped installation, whole, and not under a running one', async () => {
  const { nemo: running } = await nemo.start()
  await nemo.run(['provider', 'add', 'openai', '--api-key-stdin'], {}, 'sk-planted')
  const old = await readFile(keyFile(), 'utf8')
  const { path, id, key } = await newKey('new.key')

  const early = await nemo.run(['vault', 'rotate', '--new-master-key-file', path])
  expect([early.code, early.stderr]).toEqual([1, expect.stringContaining('1 nemo process runs with the old key')])
  expect((await running.stop()).code).toBe(0)

  // With another key than the one that it was sealed under, nothing is done.
  const wrong = await nemo.run(['vault', 'rotate', '--new-master-key-file', path], { NEMO_MASTER_KEY: 'ab'.repeat(32) })
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('Nothing was changed')])
  expect(await readFile(keyFile(), 'utf8')).toBe(old)

  const done = await nemo.run(['vault', 'rotate', '--new-master-key-file', path])
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining(id) })
  expect(done.stderr).toContain('provider_credentials.secret: 2 of 2 sealed anew')
  expect(done.stdout + done.stderr).not.toContain(key.toString('hex'))
  expect(await readFile(keyFile(), 'utf8')).toBe(`${key.toString('hex')}\n`)
  expect(await readFile(`${keyFile()}.previous`, 'utf8')).toBe(old)
  for (const file of [keyFile(), `${keyFile()}.previous`]) expect((await stat(file)).mode & 0o777).toBe(0o600)

  const after = await nemo.json<Status>('vault', 'status')
  expect(after.master_key).toBe(id)
  expect(after.secrets).toEqual([{ place: 'provider_credentials.secret', master_key: id, count: 2, opens: 2 }])
  // Again, as after an interruption: there is nothing left to do.
  const again = await nemo.json<{ report: readonly { changed: number }[] }>('vault', 'rotate')
  expect(again.report.every(({ changed }) => changed === 0)).toBe(true)
})

test('an interruption between the database and the file is made good by running it again', async () => {
  const { path, key, id } = await newKey('third.key')
  const before = (await readFile(keyFile(), 'utf8')).trim()
  // As if it had been cut off before the file: the key of the environment isn't replaced.
  const first = await nemo.run(['vault', 'rotate', '--new-master-key-file', path], { NEMO_MASTER_KEY: before })
  expect([first.code, first.stderr]).toEqual([0, expect.stringContaining('Set NEMO_MASTER_KEY to the new key')])
  expect((await nemo.json<Status>('vault', 'status')).secrets[0]).toMatchObject({ master_key: id, opens: 0 })
  expect((await nemo.run(['vault', 'rotate', '--new-master-key-file', path])).code).toBe(0)
  expect((await readFile(keyFile(), 'utf8')).trim()).toBe(key.toString('hex'))
  expect((await nemo.json<Status>('vault', 'status')).secrets[0]).toMatchObject({ master_key: id, opens: 2 })
})

test('a key takes the place of another while processes run that have both', async () => {
  const before = (await readFile(keyFile(), 'utf8')).trim()
  const { key, id } = await newKey('fourth.key')
  const both = { NEMO_MASTER_KEY: key.toString('hex'), NEMO_MASTER_KEY_PREVIOUS: before }
  const { nemo: running, listening } = await nemo.start([], both)
  expect(listening.providers).toContain('openai')
  const done = await nemo.run(['vault', 'rotate'], both)
  expect([done.code, done.stdout]).toEqual([0, expect.stringContaining(id)])
  expect(running.stderr).not.toContain('can’t be opened')
  await running.stop()
  const alone = await nemo.start([], { NEMO_MASTER_KEY: key.toString('hex') })
  expect(alone.listening.providers).toContain('openai')
  await alone.nemo.stop()
})
