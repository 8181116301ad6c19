import { uuidv7 } from '@nemo/domain/ids'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

/** Limits of those whom an organization serves in its turn: whom the `user` field of a request names. */
let world: World
let running: RunningGateway

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world)
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

afterEach(async () => {
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  }, 5_000)
  expect(running.problems).toEqual([])
})

const ask = (user: string | undefined, key = world.researcher.key, body = {}) =>
  httpCall(`${running.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-flat', messages: [{ role: 'user', content: 'hello' }], user, ...body },
  })

async function limitConsumer(
  consumer: string,
  resource: string,
  window: string,
  bound: bigint,
  organization = world.acme,
) {
  const id = uuidv7()
  await world.database.operator.query(
    `insert into limits (id, organization_id, subject, subject_id, consumer, resource, window_name, bound)
     values ($1, $2, 'consumer', $3, $4, $5, $6, $7)`,
    [id, organization.id, uuidv7(), consumer, resource, window, bound],
  )
  return id
}

/** A cent a call. */
const CENT = 10_000_000n

test('a consumer’s budget refuses that consumer and nobody else, with any key of the organization', async () => {
  await limitConsumer('alice', 'cost', 'day', 2n * CENT)
  await vi.waitFor(async () => {
    expect((await ask('bob')).status).toBe(200)
    const { rows } = await world.database.operator.query(`select 1 from limits where consumer = 'alice'`)
    expect(rows).toHaveLength(1)
  })
  const spent = [await ask('alice'), await ask('alice', world.writer.key)].map(({ status }) => status)
  expect(spent).toEqual([200, 200])
  const refused = await ask('alice', world.writer.key)
  expect(refused.status).toBe(402)
  expect(refused.json.error).toMatchObject({
    code: 'budget_exceeded',
    limit: { name: 'consumer.cost.day', bound: '$0.02', used: '$0.02', held: '$0', needed: '$0.01' },
  })
  for (const user of ['bob', 'Alice', 'alice ', undefined]) expect((await ask(user)).status).toBe(200)
  expect((await ask('alice', world.rivalKey.key)).status).toBe(200)
})

test('of many calls at once a consumer gets just what its budget allows', async () => {
  await limitConsumer('crowd', 'cost', 'total', 5n * CENT)
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('crowd')))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
  expect(answers.filter(({ status }) => status === 402)).toHaveLength(15)
})

test('a consumer’s rate is told in its headers, and refuses only this consumer', async () => {
  await limitConsumer('carol', 'requests', 'minute', 2n)
  for (const remaining of ['1', '0']) {
    expect((await ask('carol')).headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': remaining,
    })
  }
  const refused = await ask('carol')
  expect(refused.status).toBe(429)
  expect(refused.headers).toMatchObject({ 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '0' })
  expect((await ask('dave')).headers['x-ratelimit-limit-requests']).toBeUndefined()
})

test('a limit that is set on a consumer already at work applies within a second, and one that is lifted binds no more', async () => {
  expect((await ask('erin')).status).toBe(200)
  const id = await limitConsumer('erin', 'parallel', 'now', 0n)
  await vi.waitFor(async () => expect((await ask('erin')).status).toBe(429), 1_000)
  await world.database.operator.query('delete from limits where id = $1', [id])
  await vi.waitFor(async () => expect((await ask('erin')).status).toBe(200), 1_000)
})

test('whatever a caller names, it is a consumer of its own, or none, and never a failure', async () => {
  await limitConsumer('dora', 'cost', 'total', CENT)
  await vi.waitFor(async () => {
    await ask('dora')
    expect((await ask('dora')).status).toBe(402)
  })
  const users = [
    'dora\0',
    '\0',
    'dora\ud800',
    'do\u0301ra',
    'dora\u200b',
    "dora' or '1'='1",
    'dora '.repeat(100_000),
    '',
    ' ',
  ]
  for (const user of users) expect((await ask(user)).status, JSON.stringify(user.slice(0, 20))).toBe(200)
  expect((await ask('dora')).status).toBe(402)
})

test('a limit that was lifted unheard refuses nobody', async () => {
  const id = await limitConsumer('erin', 'cost', 'total', CENT)
  await vi.waitFor(async () => {
    await ask('erin')
    expect((await ask('erin')).status).toBe(402)
  })
  const { owner } = world.database
  await owner.query('alter table limits disable trigger config_changed')
  try {
    await owner.query('delete from limits where id = $1', [id])
    // A refusal is believed for a moment.
    await vi.waitFor(async () => expect((await ask('erin')).status).toBe(200))
    expect((await ask('erin')).status).toBe(200)
  } finally {
    await owner.query('alter table limits enable trigger config_changed')
  }
})

test('a stream that a consumer’s budget ends says so', async () => {
  await limitConsumer('frank', 'cost', 'total', 100n * 600n)
  const answer = await ask('frank', world.researcher.key, {
    model: 'sandbox-chat',
    stream: true,
    sandbox: { tokens: 2_000, chunk_ms: 1 },
  })
  expect(answer.body).toContain('"name":"consumer.cost.total"')
  expect(answer.body.trimEnd().endsWith('data: [DONE]')).toBe(true)
  const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
  expect(row).toMatchObject({ consumer: 'frank', status: 200, error_code: 'budget_exceeded', loss_nanos: 0n })
})
