import { parseUsd } from '@nemo/domain/money'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { CHAT_PRICE, makeWorld, type World } from '@nemo/testing/world'
import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The promise of the product, through the whole stack: what is bought can't be overspent, and nothing leaks. */
let world: World
let gateways: RunningGateway[]

beforeAll(async () => {
  world = await makeWorld()
  // Two gateways on one database: what one admits, the other must know of.
  gateways = [await runGateway(world, { retriesMax: 0 }), await runGateway(world, { retriesMax: 0 })]
})

afterAll(async () => {
  await Promise.all((gateways ?? []).map((gateway) => gateway.close()))
  await world?.close()
})

const clients = (key: string) =>
  gateways.map(({ url }) => new OpenAI({ apiKey: key, baseURL: url, maxRetries: 0, timeout: 60_000 }))

const body = { model: 'sandbox-flat', messages: [{ role: 'user' as const, content: 'hello' }] }

/** The status of a call: 200, or that of its error. */
const statusOf = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => 200,
    (error) => (error instanceof APIError ? (error.status ?? 0) : 0),
  )

async function books(organizationId: string) {
  await Promise.all(gateways.map(({ gateway }) => gateway.ledger.flush()))
  const { rows } = await world.database.operator.query(
    `select balance_of($1) as balance,
            (select coalesce(sum(amount_nanos), 0) from ledger_entries where organization_id = $1 and account = 'credits')::bigint as entries,
            (select coalesce(sum(cost_nanos), 0) from request_logs where organization_id = $1)::bigint as charged,
            (select coalesce(sum(amount_nanos), 0) from ledger_entries where organization_id = $1 and kind = 'grant')::bigint as granted,
            (select sum(repeats)::int from request_logs where organization_id = $1) as calls`,
    [organizationId],
  )
  return rows[0]
}

test('200 requests at once on a dollar, at a cent each: 100 succeed, 100 get 402, nothing is left and nothing is held', async () => {
  const organization = await world.organization('dollar', '1.00')
  const { key } = await world.issueKey(organization, 'agent')
  const [one, two] = clients(key)
  const statuses = await Promise.all(
    Array.from({ length: 200 }, (_, i) => statusOf((i % 2 ? one! : two!).chat.completions.create(body))),
  )
  expect(statuses.filter((status) => status === 200)).toHaveLength(100)
  expect(statuses.filter((status) => status === 402)).toHaveLength(100)
  const { balance, entries, charged, calls } = await books(organization.id)
  expect({ balance, entries, charged, calls }).toEqual({ balance: 0n, entries: 0n, charged: parseUsd('1'), calls: 200 })
  expect(gateways.map(({ gateway }) => gateway.ledger.open)).toEqual([0, 0])
  expect(await proveLedger(world.database.operator, organization.id)).toMatchObject(SOUND)
})

test('the same for a key’s budget, while the organization has plenty', async () => {
  const { key } = await world.issueKey(world.acme, 'budgeted', [
    { resource: 'cost', window: 'month', bound: parseUsd('0.25') },
  ])
  const [one, two] = clients(key)
  const statuses = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      statusOf((i % 2 ? one! : two!).chat.completions.create({ ...body, stream: true })),
    ),
  )
  expect(statuses.filter((status) => status === 200)).toHaveLength(25)
  expect(statuses.filter((status) => status === 402)).toHaveLength(35)
})

test('the first requests of a fresh key are treated like all others', async () => {
  const { key } = await world.issueKey(world.acme, 'fresh', [{ resource: 'requests', window: 'minute', bound: 10n }])
  const [one, two] = clients(key)
  const statuses = await Promise.all(
    Array.from({ length: 40 }, (_, i) => statusOf((i % 2 ? one! : two!).chat.completions.create(body))),
  )
  expect(statuses.filter((status) => status === 200)).toHaveLength(10)
  expect(statuses.filter((status) => status === 429)).toHaveLength(30)
})

test('with token prices, and a third of the calls failing, hanging, cut or hung up on: never a cent over, every hold ended', async () => {
  // Less than sixty calls at once may hold: some are refused however slow the machine is.
  const organization = await world.organization('chaos', '0.006')
  const { key } = await world.issueKey(organization, 'agent', [
    { resource: 'cost', window: 'day', bound: parseUsd('0.005') },
    { resource: 'requests', window: 'minute', bound: 10_000n },
    { resource: 'tokens', window: 'minute', bound: 10_000_000n },
    { resource: 'parallel', window: 'now', bound: 40n },
  ])
  const openai = clients(key)
  const faults: Record<string, unknown>[] = [
    { status: 500 },
    // Without a time to come back at: until then nothing would be called, and nothing spent.
    { status: 429 },
    { reset: 'before' },
    { cut_at_byte: 700 },
    { hang: 'before' },
    { hang: 'amid', hang_after: 5 },
    { usage: 'missing' },
    { usage: { prompt_tokens: 100_000, completion_tokens: 100_000 } },
    { stream_error_after: 3 },
    { no_done: true },
  ]
  const statuses = new Map<number, number>()
  const call = async (i: number): Promise<void> => {
    const faulty = i % 3 === 0
    const sandbox = faulty
      ? faults[(i / 3) % faults.length]!
      : { tokens: 20 + (i % 50), chunk_bytes: i % 4 === 0 ? 13 : undefined }
    const stream = i % 2 === 0
    const hangUp = new AbortController()
    const request = { ...body, model: 'sandbox-chat', max_tokens: 200, stream, sandbox, nemo_timeout_ms: 400 }
    const timer =
      i % 7 === 0 || (faulty && 'hang' in sandbox) ? setTimeout(() => hangUp.abort(), 50 + (i % 5) * 20) : undefined
    const status = await statusOf(
      openai[i % 2]!.chat.completions.create(request as never, { signal: hangUp.signal }).then(
        async (answer: unknown) => {
          if (stream) for await (const _ of answer as AsyncIterable<unknown>);
        },
      ),
    )
    clearTimeout(timer)
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  let next = 0
  await Promise.all(
    Array.from({ length: 60 }, async () => {
      while (next < 600) await call(next++)
    }),
  )
  // A call that was hung up on ends a moment after its client has left.
  await expect.poll(() => gateways.reduce((sum, { server }) => sum + server.active, 0)).toBe(0)

  const { balance, entries, charged, granted, calls } = await books(organization.id)
  expect(balance).toBeGreaterThanOrEqual(0n)
  expect(balance).toBe(entries)
  expect(charged).toBe(granted - balance)
  expect(charged).toBeLessThanOrEqual(parseUsd('0.005'))
  expect(calls).toBe(600)
  expect(gateways.map(({ gateway }) => gateway.ledger.open)).toEqual([0, 0])
  expect(await proveLedger(world.database.operator, organization.id)).toMatchObject(SOUND)
  // It was a test of something: calls succeeded, failed upstream and were refused for want of money.
  for (const status of [200, 402, 502])
    expect(statuses.get(status) ?? 0, `${status} in ${JSON.stringify([...statuses])}`).toBeGreaterThan(0)
  expect(CHAT_PRICE.output).toBeGreaterThan(0n)
})
