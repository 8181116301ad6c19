import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

const sh = async (line: string) =>
  (await promisify(execFile)('sh', ['-c', line], { cwd: nemo.folder, env: { PATH: process.env.PATH } })).stdout

const PASSWORD = 'correct horse battery'

test('a start without an operator prints how to become it, and the lines of the guide do the rest', async () => {
  const first = nemo.spawn(['start', '--port', '0'])
  const greeting = await first.shows('Ctrl-C')
  const [, origin, token] = /(http:\S+)\/api\/operator\/claim .*"token":"([\w-]{43})"/.exec(greeting)!
  const line = greeting
    .split('\n')
    .find((text) => text.includes('/api/operator/claim'))!
    .trim()
  // As it is, it is nobody's.
  expect(JSON.parse(await sh(line)).error.code).toBe('invalid_request')
  const filled = line
    .replace('"email":"…"', '"email":"ops@example.com"')
    .replace('"password":"…"', `"password":"${PASSWORD}"`)
    .replace('"name":"…"', '"name":"Ops"')
  expect(JSON.parse(await sh(`${filled} -c cookies`))).toMatchObject({ email: 'ops@example.com', is_operator: true })
  expect(JSON.parse(await sh(filled)).error.code).toBe('claim_invalid')

  const guide = await readFile(join(import.meta.dirname, '../../../docs/operator.md'), 'utf8')
  const ops = /^ops\(\) .*$/m.exec(guide)![0]
  const operator = async (path: string, options = '') =>
    JSON.parse(await sh(`${ops}\nops ${origin}/api/operator/${path} ${options}`))
  expect((await operator('health')).this_process).toMatchObject({ journal_records: expect.any(Number) })
  const post = (body: object) => `--json '${JSON.stringify(body)}'`
  const place = { provider: 'openai-compatible', base_url: 'http://127.0.0.1:1', secret: 'sk-planted-in-vault' }
  expect(await operator('credentials/test', post(place))).toMatchObject({ outcome: 'unreachable' })
  const { id } = await operator('credentials', post({ name: 'own', ...place }))
  const changed = `-X PATCH ${post({ base_url: 'http://127.0.0.1:2' })}`
  expect((await operator(`credentials/${id}`, changed)).error.param).toBe('secret')
  expect(await operator(`credentials/${id}/test`, '-X POST')).toMatchObject({ outcome: 'unreachable' })
  expect(await operator(`credentials/${id}`, '-X DELETE')).toMatchObject({ deleted: true })
  await operator('credentials', post({ name: 'own', ...place }))

  const again = await nemo.run(['operator', 'claim-token'])
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('There is an operator already')])
  const ended = await first.stop()
  const second = await nemo.start()
  expect(second.listening).toMatchObject({ operator_claim: null })
  const after = await second.nemo.stop()
  for (const text of [ended.stderr, after.stderr, after.stdout]) expect(text).not.toContain(token)
  const secrets = [token!, PASSWORD, place.secret]
  for (const entry of await readdir(nemo.dataFolder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = await readFile(join(entry.parentPath, entry.name))
    expect([entry.name, secrets.filter((secret) => bytes.includes(secret))]).toEqual([entry.name, []])
  }
})

test('operators are made and let go by command, and the last one stays', async () => {
  const own = await Installation.make(bundle.path)
  const { nemo: running, listening } = await own.start()
  const { operator_claim: printed } = listening as unknown as { operator_claim: { token: string } }
  expect(printed.token).toMatch(/^[\w-]{43}$/)
  expect(await own.json('operator', 'list')).toEqual([])
  const claim = await own.json<{ token: string; curl: string }>('operator', 'claim-token')
  expect(claim.curl).toContain(claim.token)
  const { origin } = new URL(listening.url)
  const claimed = await fetch(`${origin}/api/operator/claim`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: claim.token, email: 'ops@example.com', password: PASSWORD, name: 'Ops' }),
  })
  expect(claimed.status).toBe(201)

  await own.json('organization', 'create', 'acme')
  const { link } = await own.json<{ link: string }>('organization', 'invite', 'acme', 'ada@example.com')
  await fetch(`${origin}/api/invitations/accept`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.split('#token=')[1], name: 'Ada', password: PASSWORD }),
  })
  const emails = async () => (await own.json<{ email: string }[]>('operator', 'list')).map(({ email }) => email)
  expect(await own.json('operator', 'add', 'Ada@example.com')).toMatchObject({ email: 'ada@example.com' })
  expect(await emails()).toEqual(['ops@example.com', 'ada@example.com'])
  await own.json('operator', 'remove', 'ops@example.com')
  expect(await emails()).toEqual(['ada@example.com'])
  const last = await own.run(['operator', 'remove', 'ada@example.com'])
  expect([last.code, last.stderr]).toEqual([1, expect.stringContaining('keeps an operator')])
  expect((await own.run(['operator', 'add', 'nobody@example.com'])).code).toBe(1)
  const entries = await own.run(['audit', 'list', '--json'])
  for (const action of ['operator.claimed', 'operator.added', 'operator.removed'])
    expect(entries.stdout).toContain(action)
  await running.stop()
  await own.close()
})
