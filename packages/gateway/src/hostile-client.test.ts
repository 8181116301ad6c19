import { connect } from 'node:net'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** Callers that go away at a bad moment, or don't go away at all. */
let world: World
let running: RunningGateway

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world, { idleTimeoutMs: 300 })
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

const chat = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }

/** Sends a request, whole or in part, and leaves the rest to the test. */
function send(body: object, { cutAt = Number.POSITIVE_INFINITY, key = world.researcher.key } = {}) {
  const json = JSON.stringify(body)
  const socket = connect(running.server.port, '127.0.0.1')
  socket.on('error', () => {})
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: nemo\r\nauthorization: Bearer ${key}\r\ncontent-length: ${json.length}\r\n\r\n`
  socket.write(head + json.slice(0, cutAt))
  return socket
}

const rowsOf = async (alias: string) =>
  (await world.database.operator.query('select * from request_logs where key_alias = $1', [alias])).rows

test('a client that never reads its stream counts as gone after a while: its call ends, and the provider is let go', async () => {
  const { key } = await world.issueKey(world.acme, 'deaf')
  const socket = send({ ...chat, stream: true, sandbox: { tokens: 200_000 }, max_tokens: 200_000 }, { key })
  socket.pause()
  await vi.waitFor(
    async () => expect(await rowsOf('deaf')).toMatchObject([{ status: 499, streamed: true, estimated: true }]),
    10_000,
  )
  expect(world.sandbox.stats()).toMatchObject({ open: 0, aborted: 1 })
  expect(running.server.active).toBe(0)
  socket.destroy()
})

test('a client that hangs up with half a request leaves a row, and holds nothing', async () => {
  const { key } = await world.issueKey(world.acme, 'half')
  const socket = send(chat, { key, cutAt: 20 })
  await vi.waitFor(() => expect(running.server.active).toBe(1))
  socket.destroy()
  await vi.waitFor(async () => expect(await rowsOf('half')).toMatchObject([{ status: 499, cost_nanos: null }]))
  expect(world.sandbox.stats().requests).toBe(0)
})

test('a client that hangs up between the reservation and the call pays nothing, and nobody is called', async () => {
  // So little credit that each request has to ask the database.
  const { key } = await world.issueKey(await world.organization('hasty', '0.004'), 'hasty')
  // The key is looked up now, or it would be the look-up that waits.
  expect((await httpCall(`${running.url}/models`, { key })).status).toBe(200)
  const locker = await world.database.owner.connect()
  await locker.query('begin')
  await locker.query('lock table limits in access exclusive mode')
  const socket = send(chat, { key })
  await vi.waitFor(async () => {
    const { rows } = await locker.query(
      `select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    expect(rows[0].waiting).toBe(1)
  })
  socket.destroy()
  // By the time a later request on another connection is answered, the gateway has seen this one go.
  await httpCall(`${running.server.url}/healthz`)
  await httpCall(`${running.server.url}/healthz`)
  await locker.query('commit')
  locker.release()
  await vi.waitFor(async () => expect(await rowsOf('hasty')).toMatchObject([{ status: 499 }]))
  expect((await rowsOf('hasty'))[0].cost_nanos ?? 0n).toBe(0n)
  expect(world.sandbox.stats().requests).toBe(0)
})

test('a client that hangs up while it waits for another try pays nothing, and there is none', async () => {
  const { key } = await world.issueKey(world.acme, 'fleeting')
  const socket = send({ ...chat, sandbox: { status: 500, retry_after: 5 } }, { key })
  await vi.waitFor(() => expect(world.sandbox.stats()).toMatchObject({ requests: 1, open: 0 }))
  socket.destroy()
  // Long before those five seconds are over.
  await vi.waitFor(async () => expect(await rowsOf('fleeting')).toMatchObject([{ status: 499 }]), 4_000)
  const [row] = await rowsOf('fleeting')
  expect(Number(row.cost_nanos ?? 0)).toBe(0)
  expect(row.attempts).toMatchObject([{ outcome: '500' }])
  expect(world.sandbox.stats().requests).toBe(1)
})

test('while the ledger can’t be asked nothing is called, and the caller is told to come again', async () => {
  const { key } = await world.issueKey(await world.organization('poor', '0.004'), 'poor')
  const signature = 'allot(uuid, integer, uuid[], uuid[], integer[], integer[], bigint[], bigint[])'
  await world.database.owner.query(`revoke execute on function ${signature} from nemo_app`)
  try {
    const answer = await httpCall(`${running.url}/chat/completions`, { key, body: chat })
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      json: { error: { code: 'credit_check_failed', param: null } },
    })
    expect(world.sandbox.stats().requests).toBe(0)
  } finally {
    await world.database.owner.query(`grant execute on function ${signature} to nemo_app`)
  }
  const answer = await httpCall(`${running.url}/chat/completions`, { key, body: chat })
  expect(answer.status).toBe(200)
})

test('one caller’s absurd request never fails another’s that is admitted with it', async () => {
  const absurd = { ...chat, max_tokens: 1_000_000_000, n: 128 }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      httpCall(`${running.url}/chat/completions`, {
        key: i % 2 ? world.rivalKey.key : world.writer.key,
        body: i % 2 ? chat : absurd,
      }),
    ),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, (_, i) => (i % 2 ? 200 : 402)))
})

test('what a provider would obey by another name than ours, so that it bills more than is held, isn’t sent', async () => {
  world.sandbox.reset()
  for (const [more, param] of [
    [{ extra_body: { generationConfig: { candidateCount: 8 } } }, 'generationConfig.candidateCount'],
    [{ MAX_TOKENS: 100_000 }, 'MAX_TOKENS'],
  ] as const) {
    const answer = await httpCall(`${running.url}/chat/completions`, {
      key: world.writer.key,
      body: { ...chat, max_tokens: 1, ...more },
    })
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'invalid_request', param } } })
  }
  expect(world.sandbox.stats().requests).toBe(0)
})
