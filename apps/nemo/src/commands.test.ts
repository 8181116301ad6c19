import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startSandbox } from '@nemo/sandbox/sandbox'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { buildNemo, Installation, type Listening, type Spawned } from './testing/installation.ts'

let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation
let running: { nemo: Spawned; listening: Listening }

/** One installation for all: the commands beside a running nemo first, and those on a stopped one at the end. */
beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
  running = await nemo.start()
})
afterAll(async () => {
  await nemo?.close()
  await bundle?.remove()
})

test('where a call goes is configured, explained, and takes effect at once', async () => {
  const explain = async (...more: string[]) =>
    JSON.parse((await nemo.run(['route', 'explain', '--model', 'sandbox-chat', ...more, '--json'])).stdout)
  expect((await nemo.run(['group', 'set', 'sandbox-chat', '--chain', 'sandbox-images,later'])).stderr).toContain(
    '"later"',
  )
  const groups = JSON.parse((await nemo.run(['group', 'list', '--json'])).stdout)
  expect(groups.find((one: { name: string }) => one.name === 'sandbox-chat').chain).toEqual(['sandbox-images', 'later'])
  const { strategy, candidates } = await explain('--strategy', 'cost-based')
  expect(strategy).toBe('cost-based')
  expect(candidates).toMatchObject([
    { group: 'sandbox-chat', provider: 'sandbox', credential: 'sandbox', first: 1, why: 'can serve' },
    { group: 'sandbox-images', first: null, why: 'endpoint' },
  ])
  expect((await explain('--tags', 'telepathy')).candidates[0]).toMatchObject({ first: null, why: 'tags:telepathy' })
  expect((await nemo.run(['route', 'explain', '--model', 'sandbox-chat'])).stdout).toContain('100 %')

  const routing = '{"retries_max":0,"groups":{"sandbox-chat":{"chain":[]}}}'
  expect((await nemo.run(['organization', 'set', 'demo', '--routing', routing])).code).toBe(0)
  expect((await explain()).candidates).toHaveLength(1)
  const wrong = await nemo.run(['organization', 'set', 'demo', '--routing', '{"retries_max":99}'])
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('routing.retries_max')])
  const stranger = '{"groups":{"sandbox-chat":{"drop":["sandbox/sandbox-chatt"]}}}'
  const refused = await nemo.run(['organization', 'set', 'demo', '--routing', stranger])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('It has: sandbox/sandbox-chat')])
  await nemo.run(['organization', 'set', 'demo', '--routing', '{}'])
  await nemo.run(['group', 'set', 'sandbox-chat', '--chain', ''])

  const tagged = (await nemo.run(['key', 'create', '--alias', 'tagged', '--tags', 'telepathy'])).stdout.trim()
  expect(await call(tagged)).toBe(400)
  expect((await nemo.run(['route', 'explain', '--model', 'nowhere'])).stderr).toContain('does not exist')
})

async function call(key: string, model = 'sandbox-chat'): Promise<number> {
  const response = await fetch(`${running.listening.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }),
  })
  await response.arrayBuffer()
  return response.status
}

/** Until it is so, for up to two seconds: other processes hear of a change a moment later. */
async function eventually(question: () => Promise<boolean>): Promise<void> {
  await expect.poll(question, { timeout: 2_000, interval: 50 }).toBe(true)
}

test('a key is made, limited, listed without itself, and refused within a second of being revoked', async () => {
  const made = await nemo.run(['key', 'create', '--alias', 'ci', '--rpm', '2', '--budget', '1.50', '--expires', '30d'])
  const key = made.stdout.trim()
  expect(key).toMatch(/^sk-nemo-\w{46}$/)
  expect(await call(key)).toBe(200)
  expect(await call(key)).toBe(200)
  expect(await call(key)).toBe(429)

  const limitsOf = async (alias: string) =>
    (await nemo.json<{ alias: string; limits: { used: unknown }[] }[]>('key', 'list')).find(
      (key) => key.alias === alias,
    )!.limits
  // A call is counted when its row is in the log, a moment after its answer.
  await eventually(async () => (await limitsOf('ci'))[1]!.used === 2)
  expect(await limitsOf('ci')).toEqual([
    // What the process holds of the budget, to spend it from memory, is up to it.
    {
      ...{ resource: 'cost_usd', window: 'total', bound: '1.5' },
      ...{ used: expect.stringMatching(/^0\.0000/), held: expect.any(String) },
    },
    { resource: 'requests', window: 'minute', bound: 2, used: 2, held: 0 },
  ])
  const table = (await nemo.run(['key', 'list'])).stdout
  expect(table).toContain('2 of 2 requests a minute')
  expect(table).not.toContain(key)

  const twice = await nemo.run(['key', 'create', '--alias', 'ci'])
  expect(twice).toMatchObject({ code: 1, stdout: '' })
  expect(twice.stderr).toContain('has a key "ci" already')

  expect((await nemo.run(['key', 'revoke', 'ci'])).code).toBe(0)
  await eventually(async () => (await call(key)) === 401)
  expect(await nemo.run(['key', 'revoke', 'ci'])).toMatchObject({ code: 1 })
  expect((await nemo.run(['key', 'list', '--all'])).stdout).toContain('revoked')
})

test('an organization is told how its calls are treated, and nothing else changes', async () => {
  expect(
    await nemo.run(['organization', 'set', 'demo', '--strategy', 'least-busy', '--keep-responses', 'on']),
  ).toMatchObject({
    code: 0,
  })
  expect(await nemo.json('organization', 'set', 'demo', '--drop-unsupported', 'off')).toEqual({
    slug: 'demo',
    drop_unsupported: false,
  })
  expect(await nemo.run(['organization', 'set', 'nobody', '--uncapped', 'refuse'])).toMatchObject({ code: 1 })
  expect(await nemo.run(['organization', 'set', 'demo'])).toMatchObject({ code: 2 })
  expect(await nemo.run(['organization', 'set', 'demo', '--strategy', 'random'])).toMatchObject({ code: 2 })
})

test('the catalogue is looked through, and a price that isn’t known is no model’s', async () => {
  const found = await nemo.json('models', 'list', 'claude-opus', '--provider', 'anthropic', '--capability', 'vision')
  expect(found).toMatchObject({ models: expect.arrayContaining([expect.objectContaining({ provider: 'anthropic' })]) })
  expect(await nemo.json('models', 'show', 'openai/gpt-4o')).toMatchObject({
    usdPerMillion: { input: '2.5', output: '10' },
  })
  expect(await nemo.run(['models', 'show', 'nobody/nothing'])).toMatchObject({ code: 1 })
  expect(await nemo.run(['models', 'add', 'x', '--on', 'sandbox'])).toMatchObject({ code: 2 })
  expect(await nemo.json('models', 'show', 'dall-e-3')).toMatchObject({
    deprecatesOn: '2026-05-12',
    pictures: expect.arrayContaining([{ quality: 'hd', size: '1024x1024', usdPerMillion: '80000' }]),
  })
  expect(await nemo.json('models', 'quarantine')).toEqual([])
  expect(await nemo.run(['models', 'accept', 'openai/gpt-4o'])).toMatchObject({ code: 1 })
})

test('what the operator says of a model is shown as it is deployed', async () => {
  const images = ['models', 'add', 'painter', '--on', 'sandbox', '--endpoint', 'images']
  for (const wrong of [
    ['--picture-price', '0.04'],
    ['--picture-price', '=0.04'],
    ['--image-price', '1', '--deprecates', '2027-02-30'],
    ['--image-price', '1', '--rpm', '0'],
  ]) {
    expect(await nemo.run([...images, ...wrong])).not.toMatchObject({ code: 0 })
  }
  const table = ['--picture-price', 'hd/1024x1024=0.08', '--picture-price', 'hd=0.12', '--megapixel-price', '0.01']
  const facts = ['--rpm', '500', '--tpm', '30000', '--deprecates', '2027-01-31']
  await nemo.json(...images, ...table, ...facts)
  expect(await nemo.json('models', 'show', 'painter', '--deployed')).toMatchObject({
    deprecatesOn: '2027-01-31',
    requestsPerMinute: 500,
    tokensPerMinute: 30_000,
    pictures: [
      { quality: 'hd', size: '1024x1024', usdPerMillion: '80000' },
      { quality: 'hd', usdPerMillion: '120000' },
      { perMegapixel: true, usdPerMillion: '10000' },
    ],
  })
  expect(await nemo.run(['models', 'show', 'nobody/nothing', '--deployed'])).toMatchObject({ code: 1 })
})

test('with several organizations a command asks which is meant, and a grant with a reference is made once', async () => {
  expect(await nemo.run(['organization', 'create', 'acme', '--name', 'Acme Ltd.'])).toMatchObject({ code: 0 })
  const vague = await nemo.run(['credits', 'grant', '--amount', '3'])
  expect(vague.code).toBe(2)
  expect(vague.stderr).toContain('demo, acme')
  const grant = ['credits', 'grant', '--amount', '3.25', '--organization', 'acme', '--reference', 'invoice-1']
  expect(await nemo.json(...grant)).toMatchObject({ applied: true, balance_after_usd: '3.25' })
  expect(await nemo.json(...grant)).toMatchObject({ applied: false, balance_after_usd: '3.25' })
  expect(await nemo.json('credits', 'show', '--organization', 'acme')).toMatchObject({
    balance_usd: '3.25',
    held_usd: '0',
    entries: [{ kind: 'grant', reference: 'invoice-1' }],
  })
})

test('a provider that speaks OpenAI’s wire is added with its key from standard input, called at once, and removed', async () => {
  const other = await startSandbox({ apiKey: 'sk-other' })
  onTestFinished(() => other.close())
  const add = ['provider', 'add', 'other', '--base-url', other.url, '--model', 'fast=sandbox-fast']
  const unpriced = await nemo.run([...add, '--api-key-stdin'], {}, 'sk-other\n')
  expect(unpriced.code).toBe(2)
  expect(unpriced.stderr).toContain('--free')

  const prices = ['--input-price', '0.10', '--output-price', '0.40']
  expect(await nemo.run([...add, ...prices, '--api-key-stdin'], {}, 'sk-other\n')).toMatchObject({ code: 0 })
  await eventually(async () => (await call(running.listening.key!, 'fast')) === 200)
  const listed = (await nemo.run(['provider', 'list'])).stdout
  expect(listed).toMatch(/other +openai-compatible +http:\/\/127\.0\.0\.1:\d+\/v1 +in the vault +fast/)
  expect(listed).not.toContain('sk-other')

  // A stored key goes nowhere else without being given again.
  const moved = await nemo.run(['provider', 'add', 'other', '--base-url', 'http://127.0.0.1:9/v1'])
  expect(moved.code).toBe(2)
  expect(moved.stderr).toContain('another base URL')

  expect(await nemo.run(['provider', 'remove', 'other'])).toMatchObject({ code: 0 })
  await eventually(async () => (await call(running.listening.key!, 'fast')) === 404)
})

test('logs --follow shows a call when it ends, once, and stops at Ctrl-C with exit code 0', async () => {
  const following = nemo.spawn(['logs', '--follow', '--json', '--limit', '1'])
  await following.shows(/\n/)
  expect(await call(running.listening.key!)).toBe(200)
  await following.shows(/\n.*\n/)
  expect(await call('sk-nemo-nobody')).toBe(401)
  expect(await call(running.listening.key!, 'no-such-model')).toBe(404)
  await following.shows(/\n.*\n.*model_not_found.*\n/)
  const { code, stdout } = await following.stop('SIGINT')
  expect(code).toBe(0)
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(rows).toHaveLength(3)
  expect(rows[1]).toMatchObject({ status: 200, organization: 'demo', key_alias: 'demo', model_group: 'sandbox-chat' })
  expect(rows[1].request_id).toMatch(/^req_[0-9a-f]{32}$/)
  expect(Number(rows[1].cost_usd)).toBeGreaterThan(0)
  expect((await nemo.run(['logs', '--limit', '2'])).stdout).toContain('model_not_found')
})

test('the doctor finds nothing wrong with a healthy installation, and a wrong master key, a dead provider and an open folder', async () => {
  const healthy = await nemo.run(['doctor'])
  expect(healthy.stdout).not.toMatch(/[✗!] /)
  expect(healthy.code).toBe(0)

  const wrong = await nemo.run(['doctor'], { NEMO_MASTER_KEY: 'ab'.repeat(32) })
  expect(wrong.code).toBe(1)
  expect(wrong.stdout).toContain('✗ The master key does not open the secret of sandbox')

  const gone = await startSandbox()
  await gone.close()
  await nemo.run(['provider', 'add', 'dead', '--base-url', gone.url, '--model', 'dead', '--free'])
  await chmod(nemo.dataFolder, 0o755)
  const sick = await nemo.run(['doctor'])
  await chmod(nemo.dataFolder, 0o700)
  await nemo.run(['provider', 'remove', 'dead'])
  expect(sick.code).toBe(1)
  expect(sick.stdout).toContain(`✗ Provider dead does not answer at ${gone.url}: connection refused`)
  expect(sick.stdout).toContain('! Data folder')
})

test('wrong usage exits with 2 and a failure with 1, each in one sentence without a stack', async () => {
  for (const args of [
    ['key', 'create'],
    ['nonsense'],
    ['start', '--port', 'x'],
    ['key', 'create', '--alias', 'a', '--budget', 'x'],
  ]) {
    const { code, stdout, stderr } = await nemo.run(args)
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
    expect(stderr).not.toMatch(/^ +at /m)
  }
  const nowhere = await nemo.run(['key', 'list', '--data', join(nemo.folder, 'nowhere')])
  expect(nowhere).toMatchObject({ code: 1, stdout: '' })
  expect(nowhere.stderr).toContain('npm start')
  const unreachable = await nemo.run(['key', 'list'], { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' })
  expect(unreachable.code).toBe(1)
  expect(unreachable.stderr).toMatch(/^The database can't be reached.*\n$/)
  expect((await nemo.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(await nemo.run(['provider', 'add', '--help'])).toMatchObject({ code: 0, stderr: '' })
})

test('on a stopped installation a command brings the database up for itself, and leaves it stopped', async () => {
  expect((await running.nemo.stop()).code).toBe(0)
  const [one, two] = await Promise.all([
    nemo.run(['key', 'create', '--alias', 'one', '--organization', 'demo']),
    nemo.run(['key', 'create', '--alias', 'two', '--organization', 'demo']),
  ])
  expect([one.code, two.code, one.stderr + two.stderr]).toEqual([0, 0, expect.any(String)])
  expect((await nemo.run(['migrate'])).stdout).toBe('The schema is up to date.\n')
  expect((await nemo.run(['doctor'])).code).toBe(0)
  expect(await nemo.postgresPid()).toBeNull()

  await writeFile(join(nemo.dataFolder, 'master.key'), 'not a key\n')
  const spoilt = await nemo.run(['doctor'])
  expect(spoilt.code).toBe(1)
  expect(spoilt.stdout).toContain('is not a master key')
})
