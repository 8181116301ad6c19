import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { migrate } from '@nemo/postgres/migrate'
import { openDatabase } from '@nemo/testing/fresh-database'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { startScriptedProvider } from '@nemo/testing/scripted-provider'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'

/** What becomes of calls while Postgres is stopped, or frozen: a server of our own, so that nobody else misses it. */
let folder: string
let server: EmbeddedPostgres
let world: World
let running: RunningGateway
const agent = new Agent({ keepAlive: true })

/** Short in the suite; ten seconds and more by hand. */
const DOWN_MS = Number(process.env.NEMO_OUTAGE_MS ?? 3_000)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nemo-outage-'))
  server = await startServer()
  await migrate(server.url)
  world = await makeWorld(openDatabase(server.url))
  running = await runGateway(world)
})

afterAll(async () => {
  agent.destroy()
  await running?.close()
  await world?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

const startServer = () =>
  startEmbeddedPostgres({ dataFolder: folder, settings: { fsync: 'off', full_page_writes: 'off' } })

/** Postgres isn't there, while something is done. */
async function withoutPostgres(during: () => Promise<void>): Promise<void> {
  await server.stop()
  try {
    await during()
  } finally {
    server = await startServer()
  }
}

/** Postgres is there, but none of its processes does anything. */
async function withPostgresFrozen(during: () => Promise<void>): Promise<void> {
  const pids = [server.pid, ...(await childrenOf(server.pid))]
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  try {
    await during()
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const children: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    // The name of the process, in parentheses, may hold anything; behind it come its state and its parent.
    if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) children.push(Number(name))
  }
  return children
}

const ask = (key: string, body: object = {}) =>
  httpCall(`${running.url}/chat/completions`, {
    key,
    agent,
    body: { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }], max_tokens: 50, ...body },
  })

/** So many of a load's clients' calls can't all have been under way when Postgres went away. */
const MORE_THAN_BEGAN = 30

/** Calls without pause, from ten clients, until it is said to stop. */
function load(key: string) {
  const answers: Answer[] = []
  let isOn = true
  const clients = Array.from({ length: 10 }, async (_, i) => {
    while (isOn) answers.push(await ask(key, { stream: i % 2 === 0, sandbox: { latency_ms: 40, tokens: 20 } }))
  })
  const stop = async () => {
    isOn = false
    await Promise.all(clients)
    return answers
  }
  onTestFinished(async () => void (await stop()))
  return { answers, stop }
}

/** What Postgres has of an organization, once all of it is there. */
async function booksOf(organizationId: string) {
  await running.gateway.ledger.flush()
  const { rows } = await world.database.operator.query(
    `select count(distinct id)::int as calls, count(*)::int as rows, sum(cost_nanos)::bigint as charged, sum(loss_nanos)::bigint as loss,
            (select -sum(amount_nanos)::bigint from ledger_entries where organization_id = $1 and kind = 'usage') as entered
       from request_logs where organization_id = $1 and cost_nanos is not null`,
    [organizationId],
  )
  expect(await proveLedger(world.database.operator, organizationId)).toMatchObject(SOUND)
  return rows[0]
}

const nanosOf = ({ headers, trailers }: Answer) =>
  BigInt(Math.round(Number(headers['x-nemo-request-cost'] ?? trailers['x-nemo-request-cost']) * 1e9))

async function expectAllCharged(organizationId: string, answers: readonly Answer[]): Promise<void> {
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  const charged = answers.reduce((sum, answer) => sum + nanosOf(answer), 0n)
  const { length } = answers
  const books = await booksOf(organizationId)
  expect(books).toEqual({ calls: length, rows: length, charged, entered: charged, loss: 0n })
}

const ample = [
  { resource: 'requests', window: 'minute', bound: 100_000n },
  { resource: 'tokens', window: 'minute', bound: 100_000_000n },
  { resource: 'parallel', window: 'now', bound: 1_000n },
  { resource: 'cost', window: 'day', bound: 100_000_000_000n },
] as const

test('stopped, with ample credit: no call fails, and afterwards every charge is there, once', async () => {
  const organization = await world.organization('ample', '100')
  const { key } = await world.issueKey(organization, 'agent', ample)
  const calls = load(key)
  await vi.waitFor(() => expect(calls.answers.length).toBeGreaterThan(MORE_THAN_BEGAN), 10_000)
  await withoutPostgres(async () => {
    const before = calls.answers.length
    await sleep(DOWN_MS)
    expect(calls.answers.length).toBeGreaterThan(before + MORE_THAN_BEGAN)
  })
  const answers = await calls.stop()
  await expectAllCharged(organization.id, answers)
})

test('frozen: what is held in memory goes on at its own pace, and afterwards every charge is there, once', async () => {
  const organization = await world.organization('frozen', '100')
  const { key } = await world.issueKey(organization, 'agent', ample)
  const calls = load(key)
  await vi.waitFor(() => expect(calls.answers.length).toBeGreaterThan(MORE_THAN_BEGAN), 10_000)
  let during: Answer[] = []
  await withPostgresFrozen(async () => {
    const before = calls.answers.length
    await sleep(DOWN_MS)
    during = calls.answers.slice(before)
  })
  const answers = await calls.stop()
  expect(during.length).toBeGreaterThan(MORE_THAN_BEGAN)
  await expectAllCharged(organization.id, answers)
})

test('stopped, with credit nearly gone: what isn’t held already is a 503, and never a free call', async () => {
  const organization = await world.organization('nearly-gone', '0.05')
  const { key } = await world.issueKey(organization, 'agent')
  const flat = { model: 'sandbox-flat' }
  const first = await ask(key, flat)
  expect(first.status).toBe(200)
  const during: Answer[] = []
  await withoutPostgres(async () => {
    for (let i = 0; i < 8; i++) during.push(await ask(key, flat))
  })
  const paid = during.filter(({ status }) => status === 200)
  const refused = during.filter(({ status }) => status !== 200)
  expect(refused.length).toBeGreaterThanOrEqual(4)
  for (const { status, headers, json } of refused) {
    expect([status, json.error.code, headers['retry-after']]).toEqual([503, 'credit_check_failed', '1'])
    expect(headers['x-nemo-attempts']).toBeUndefined()
  }
  await vi.waitFor(async () => expect((await ask(key, { ...flat, nemo_tags: ['none'] })).status).toBe(400), 5_000)
  await expectAllCharged(organization.id, [first, ...paid])
  // What was left is there to be spent, to the last cent.
  const after: Answer[] = []
  await vi.waitFor(async () => {
    const answer = await ask(key, flat)
    if (answer.status === 200) after.push(answer)
    expect(answer.status).toBe(402)
  }, 10_000)
  expect(1 + paid.length + after.length).toBe(5)
  await expectAllCharged(organization.id, [first, ...paid, ...after])
})

test('stopped, while a stream needs more: it waits, and goes on when Postgres is back', async () => {
  // A first slice, and not enough beside it for a second without asking.
  const organization = await world.organization('long-stream', '0.0022')
  const { key } = await world.issueKey(organization, 'agent')
  const provider = await startScriptedProvider()
  onTestFinished(() => provider.close())
  let write = (_: string) => {}
  provider.script = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    write = (text) => response.write(text)
    write(EVENT)
  }
  await world.deploy('scripted', provider.url)
  await vi.waitFor(async () => expect((await ask(key, { model: 'scripted', max_tokens: 0 })).status).toBe(400), 5_000)
  // Postgres may be back from the test before for some of what asks it, and not for all yet.
  const { key: another } = await world.issueKey(world.acme, 'another')
  await vi.waitFor(async () => expect((await ask(another, { model: 'sandbox-flat' })).status).toBe(200), 5_000)

  const answer = ask(key, { model: 'scripted', stream: true, max_tokens: 4_000 })
  await vi.waitFor(() => expect(provider.open).toBe(1), 10_000)
  await withoutPostgres(async () => {
    write(EVENT.repeat(2_999))
    write(`data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 6, completion_tokens: 3_000 } })}\n\n`)
    write('data: [DONE]\n\n')
    const first = await Promise.race([answer.then(() => 'over'), sleep(500, 'waiting')])
    expect(first).toBe('waiting')
  })
  expect((await answer).body.split(EVENT)).toHaveLength(3_001)
  await expectAllCharged(organization.id, [await answer])
})

const EVENT = `data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta: { content: 'a' } }] })}\n\n`
