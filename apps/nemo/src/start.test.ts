import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startSandbox } from '@nemo/sandbox/sandbox'
import { databaseForThisTest } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { buildNemo, canBeReadBy, Installation } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>

beforeAll(async () => {
  bundle = await buildNemo()
})
afterAll(() => bundle?.remove())

async function installation(uid: number | null = null): Promise<Installation> {
  const made = await Installation.make(bundle.path, uid)
  onTestFinished(() => made.close())
  return made
}

const sh = (line: string, env = {}) => promisify(execFile)('sh', ['-c', line], { env: { ...process.env, ...env } })

function chat(url: string, key: string, more: object = {}): Promise<Response> {
  return fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'sandbox-chat', messages: [{ role: 'user', content: 'Hello!' }], ...more }),
  })
}

test('a first start prints a key, once, and a line for the shell that works as it is; a second start keeps the key', async () => {
  const nemo = await installation()
  const first = nemo.spawn(['start', '--port', '0'])
  const greeting = await first.shows('Ctrl-C')
  const key = /sk-nemo-\w+/.exec(greeting)![0]
  const curl = greeting.split('\n').find((line) => line.trim().startsWith('curl'))!
  expect(JSON.parse((await sh(curl)).stdout)).toMatchObject({ object: 'chat.completion', model: 'sandbox-chat' })
  expect(greeting).toContain(nemo.dataFolder)
  expect((await stat(nemo.dataFolder)).mode & 0o777).toBe(0o700)
  expect((await stat(join(nemo.dataFolder, 'master.key'))).mode & 0o777).toBe(0o600)

  const refused = await nemo.run(['start', '--port', '0'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain(`process ${first.child.pid}`)
  expect(refused.stderr.trim().split('\n')).toHaveLength(1)

  expect((await first.stop()).code).toBe(0)
  expect(first.stderr).not.toMatch(/"level":[45]0/)
  expect(await nemo.postgresPid()).toBeNull()

  const second = nemo.spawn(['start', '--port', '0'])
  const again = await second.shows('Ctrl-C')
  expect(again).not.toContain('sk-nemo-')
  expect(again).toContain('key create')
  const line = again.split('\n').find((text) => text.trim().startsWith('curl'))!
  expect(JSON.parse((await sh(line, { NEMO_KEY: key })).stdout)).toMatchObject({ object: 'chat.completion' })
  expect((await second.stop('SIGINT')).code).toBe(0)
})

test('a nemo that was killed leaves its server running, and the next start adopts it', async () => {
  const nemo = await installation()
  const first = await nemo.start()
  const pid = await nemo.postgresPid()
  await first.nemo.stop('SIGKILL')
  expect(await nemo.postgresPid()).toBe(pid)
  const second = await nemo.start()
  expect(await nemo.postgresPid()).toBe(pid)
  expect(second.listening.key).toBeNull()
  expect((await chat(second.listening.url, first.listening.key!)).status).toBe(200)
  expect((await second.nemo.stop()).code).toBe(0)
  expect(await nemo.postgresPid()).toBeNull()
})

test('a stream that is under way at SIGTERM, and at the Ctrl-C that npm repeats, is finished, and no hold stays open', async () => {
  const nemo = await installation()
  const { nemo: process, listening } = await nemo.start()
  const response = await chat(listening.url, listening.key!, { stream: true, sandbox: { tokens: 20, chunk_ms: 40 } })
  process.child.kill('SIGINT')
  await sleep(20)
  const ended = process.stop('SIGINT')
  expect(await response.text()).toMatch(/data: \[DONE\]\s*$/)
  expect((await ended).code).toBe(0)

  const { findings } = await nemo.json<{ findings: { what: string }[] }>('doctor')
  expect(findings.map((finding) => finding.what)).toContain('Nothing is held by a process that died')
  const [log] = await nemo.json<object[]>('logs', '--limit', '1').then((row) => [row].flat())
  expect(log).toMatchObject({ status: 200, streamed: true, output_tokens: expect.any(Number) })
})

test('a stop cuts what takes longer than the drain may, and a second signal ends it at once', async () => {
  const nemo = await installation()
  const first = await nemo.start([], { NEMO_DRAIN_MS: '200' })
  const { key } = first.listening
  const hanging = chat(first.listening.url, key!, { sandbox: { hang: 'before' } }).catch((error: Error) => error)
  await sleep(100)
  expect((await first.nemo.stop()).code).toBe(0)
  await hanging
  expect(first.nemo.stderr).toContain('NEMO_DRAIN_MS')

  const second = await nemo.start()
  const again = chat(second.listening.url, key!, { sandbox: { hang: 'before' } }).catch((error: Error) => error)
  await sleep(100)
  second.nemo.child.kill('SIGTERM')
  await sleep(600)
  expect((await second.nemo.stop('SIGTERM')).code).toBe(143)
  await again
})

test('a port in use is named, and everything is cleaned up', async () => {
  const nemo = await installation()
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => void other.close())
  const port = String((other.address() as { port: number }).port)
  const refused = await nemo.run(['start'], { NEMO_PORT: port })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain(`Port ${port} on 127.0.0.1 is in use`)
  expect(await nemo.postgresPid()).toBeNull()
  // The key of the demo organization was not made for nobody to see.
  const { nemo: started, listening } = await nemo.start()
  expect(listening.key).toMatch(/^sk-nemo-/)
  expect((await started.stop()).code).toBe(0)
})

test('on a server of the operator’s own, with a provider’s key in the environment: no demo, no sandbox, the key in the vault', async () => {
  const nemo = await installation()
  const database = await databaseForThisTest()
  const openai = await startSandbox({ apiKey: 'sk-secret' })
  onTestFinished(() => openai.close())
  const environment = { DATABASE_URL: database.url, OPENAI_API_KEY: 'sk-secret', OPENAI_BASE_URL: openai.url }

  const sandboxed = await nemo.start([], { DATABASE_URL: database.url })
  expect(sandboxed.listening).toMatchObject({ key: null, providers: ['sandbox'] })
  expect((await sandboxed.nemo.stop()).code).toBe(0)

  const { nemo: started, listening } = await nemo.start(['--demo'], environment)
  expect(listening.providers).toEqual(['openai'])
  expect(listening.models).toContain('gpt-4o-mini')
  expect(listening.models).not.toContain('sandbox-chat')
  expect((await chat(listening.url, listening.key!, { model: 'gpt-4o-mini' })).status).toBe(200)
  expect(started.stderr + started.stdout).not.toContain('sk-secret')
  expect((await started.stop()).code).toBe(0)
  expect(await nemo.postgresPid()).toBeNull()

  const elsewhere = await installation()
  const refused = await elsewhere.run(['start', '--port', '0'], { DATABASE_URL: database.url })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('no master key')
})

const NOBODY = 65_534

test.runIf(process.getuid?.() === 0)('an ordinary user starts it too', async (context) => {
  if (!(await canBeReadBy(NOBODY, bundle.path))) return context.skip('the repository is closed to other users')
  const nemo = await installation(NOBODY)
  const { nemo: started, listening } = await nemo.start()
  expect((await chat(listening.url, listening.key!)).status).toBe(200)
  expect((await stat(nemo.dataFolder)).uid).toBe(NOBODY)
  expect((await started.stop()).code).toBe(0)
  expect(await nemo.postgresPid()).toBeNull()
})
