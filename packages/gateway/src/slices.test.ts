import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Ledger } from '@nemo/ledger/ledger'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { startScriptedProvider } from '@nemo/testing/scripted-provider'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** Streams are paid for as they grow: what they hold, how they go on, how they end when nothing more can be held, and what a hang-up costs. */
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
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  }, 5_000)
  await vi.waitFor(() => expect(world.sandbox.stats().open).toBe(0), 5_000)
  expect(running.problems).toEqual([])
})

const OUTPUT_NANOS = 600n
const chat = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }], stream: true }
let keys = 0

/** A key whose budget has room for the prompt and so many output tokens. */
async function keyFor(outputTokens: number) {
  const bound = (await inputNanos()) + BigInt(outputTokens) * OUTPUT_NANOS
  const issued = await world.issueKey(world.acme, `slices-${keys++}`, [{ resource: 'cost', window: 'total', bound }])
  return { ...issued, bound }
}

/** What the prompt is held with. */
let promptNanos: bigint | null = null
async function inputNanos(): Promise<bigint> {
  if (promptNanos !== null) return promptNanos
  const answer = await ask(world.writer.key, { stream: false, max_tokens: 1, sandbox: { usage: 'missing' } })
  const { usage } = await logOf(answer)
  promptNanos = BigInt(usage!.input!) * 150n
  return promptNanos
}

const ask = (key: string, body: object) =>
  httpCall(`${running.url}/chat/completions`, { key, body: { ...chat, ...body } })
const logOf = ({ headers }: Answer) => running.logOf(headers['x-nemo-request-id'] as string)

/** The chunks of a stream that ended with `[DONE]`. */
function chunksOf(answer: Answer) {
  expect(answer.status).toBe(200)
  const events = answer.body.trimEnd().split('\n\n')
  expect(events.at(-1)).toBe('data: [DONE]')
  return events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)))
}

const contentOf = (chunks: ReturnType<typeof chunksOf>) =>
  chunks.filter(({ choices }) => choices[0]?.delta.content).length

describe('a stream without a cap', () => {
  test('holds a first slice, and not all that it might come to', async () => {
    const { key } = await keyFor(2_100)
    const chunks = chunksOf(await ask(key, {}))
    expect(chunks.at(-1).choices[0].finish_reason).toBe('stop')
  })

  test('goes on for as long as more can be held: it is charged what the provider billed', async () => {
    const { key } = await keyFor(4_096)
    const answer = await ask(key, { sandbox: { tokens: 4_000 } })
    expect(contentOf(chunksOf(answer))).toBe(4_000)
    expect(await logOf(answer)).toMatchObject({
      status: 200,
      error_code: null,
      estimated: false,
      output_tokens: 4_000n,
      loss_nanos: 0n,
    })
  })

  test('with a cap beyond a slice too, over several slices', async () => {
    const { key } = await keyFor(20_000)
    const answer = await ask(key, { max_tokens: 20_000, sandbox: { tokens: 9_000 } })
    expect(contentOf(chunksOf(answer))).toBe(9_000)
    expect(await logOf(answer)).toMatchObject({ estimated: false, output_tokens: 9_000n, loss_nanos: 0n })
  })

  test('ends cleanly when nothing more can be held: a notice names the limit, and what was streamed is charged', async () => {
    const { key, bound } = await keyFor(2_500)
    const answer = await ask(key, { sandbox: { tokens: 50_000 }, stream_options: { include_usage: true } })
    const chunks = chunksOf(answer)
    const [last, usage] = chunks.slice(-2)
    expect(last).toMatchObject({
      id: chunks[0].id,
      object: 'chat.completion.chunk',
      created: chunks[0].created,
      model: 'sandbox-chat',
      choices: [{ index: 0, delta: {}, finish_reason: 'length' }],
      nemo: {
        notice: expect.stringContaining('key.cost.total'),
        code: 'budget_exceeded',
        limit: { name: 'key.cost.total' },
      },
    })
    const given = contentOf(chunks)
    expect(given).toBeGreaterThan(2_400)
    expect(given).toBeLessThanOrEqual(2_500)

    const row = await logOf(answer)
    expect(row).toMatchObject({ status: 200, error_code: 'budget_exceeded', estimated: true, loss_nanos: 0n })
    expect(row.error_detail).toContain('key.cost.total')
    expect(row.cost_nanos).toBeLessThanOrEqual(bound)
    expect(row.output_tokens).toBeGreaterThanOrEqual(given)
    expect(usage).toMatchObject({
      id: chunks[0].id,
      choices: [],
      usage: { completion_tokens: Number(row.output_tokens) },
    })
    expect(BigInt(Math.round(usage.usage.cost * 1e9))).toBe(row.cost_nanos)
    expect(answer.trailers['x-nemo-request-cost']).toBe(String(usage.usage.cost))
    await vi.waitFor(() => expect(world.sandbox.stats(1).recent[0]).toMatchObject({ aborted: true }), 5_000)
  })

  test('gives a smaller slice where not even the first fits, and ends every choice', async () => {
    const { key, bound } = await keyFor(50)
    const answer = await ask(key, { n: 2, sandbox: { tokens: 400, chunk_ms: 1 } })
    const chunks = chunksOf(answer)
    expect(
      chunks.at(-1).choices.map(({ index, finish_reason }: Record<string, unknown>) => [index, finish_reason]),
    ).toEqual([
      [0, 'length'],
      [1, 'length'],
    ])
    const row = await logOf(answer)
    expect(contentOf(chunks)).toBeGreaterThan(30)
    expect(row.cost_nanos).toBeLessThanOrEqual(bound)
    expect(row.cost_nanos).toBeGreaterThan(bound - 20n * OUTPUT_NANOS)
  })

  test('of which less fits than is of any use is a 402', async () => {
    const { key } = await keyFor(15)
    const answer = await ask(key, {})
    expect(answer.status).toBe(402)
    expect(answer.json.error).toMatchObject({ code: 'budget_exceeded', limit: { name: 'key.cost.total' } })
    expect((await ask((await keyFor(16)).key, {})).status).toBe(200)
  })

  test('that was refused more goes on, if there is more by the time that it needs it', async () => {
    const { key, id, bound } = await keyFor(300)
    const answer = ask(key, { sandbox: { tokens: 600, chunk_ms: 2 } })
    await vi.waitFor(() => expect(world.sandbox.stats(1).recent[0]!.tokens_sent).toBeGreaterThan(20), 5_000)
    await world.database.operator.query('update limits set bound = $2 where subject_id = $1', [id, bound * 20n])
    expect(contentOf(chunksOf(await answer))).toBe(600)
  })

  test('takes nothing from others by its hold: many run at once on what one full answer would take', async () => {
    const organization = await world.organization('many-streams', '0.02')
    const { key } = await world.issueKey(organization, 'agent')
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => ask(key, { max_tokens: 30_000, sandbox: { chunk_ms: 2 } })),
    )
    for (const answer of answers) expect(chunksOf(answer).at(-1).choices[0].finish_reason).toBe('stop')
  })
})

test('what is changed while streams go on ends none: all are charged in full', async () => {
  const changes = [
    'delete from limits where subject_id = $1',
    `with other as (
       insert into teams (id, organization_id, name) select gen_random_uuid(), organization_id, 'Other' from virtual_keys where id = $1 returning id)
     update virtual_keys set team_id = (select id from other) where id = $1`,
    'update virtual_keys set revoked_at = now() where id = $1',
    'update organizations set suspended_at = now() where id = (select organization_id from virtual_keys where id = $1)',
  ]
  const issued = [await keyFor(2_100), ...(await Promise.all([1, 2, 3].map(() => keyFor(5_000))))]
  const answering = Promise.all(issued.map(({ key }) => ask(key, { sandbox: { tokens: 2_600, chunk_ms: 1 } })))
  const isUnderWay = () => world.sandbox.stats(4).recent.filter(({ tokens_sent }) => tokens_sent > 100).length === 4
  await vi.waitFor(() => expect(isUnderWay()).toBe(true), 5_000)
  try {
    for (const [i, sql] of changes.entries()) await world.database.owner.query(sql, [issued[i]!.id])
    const answers = await answering
    // Who comes now is refused.
    expect((await ask(issued[3]!.key, {})).status).toBe(401)
    for (const answer of answers) {
      expect(contentOf(chunksOf(answer))).toBe(2_600)
      const row = await logOf(answer)
      expect(row).toMatchObject({ status: 200, error_code: null, loss_nanos: 0n })
      expect(row.usage!.output).toBe(2_600)
    }
  } finally {
    await world.database.owner.query('update organizations set suspended_at = null where id = $1', [world.acme.id])
  }
})

test('a stream of half an hour isn’t swept: what a process holds that heartbeats is never taken', async () => {
  const { database } = world
  const { key } = await keyFor(4_000)
  const answer = ask(key, { sandbox: { tokens: 300, chunk_ms: 8 } })
  await vi.waitFor(() => expect(world.sandbox.stats(1).recent[0]!.tokens_sent).toBeGreaterThan(10), 5_000)
  const { processId } = running.gateway.ledger
  await database.owner.query(
    `update processes set started_at = now() - interval '30 minutes', heartbeat_at = clock_timestamp() - interval '27 seconds' where id = $1`,
    [processId],
  )
  const held = () =>
    database.owner.query('select sum(amount) as held from allotments where process_id = $1', [processId])
  const before = (await held()).rows[0].held
  const other = await Ledger.start({
    app: database.app,
    databaseUrl: database.url,
    journalFolder: world.journalFolder,
    journalOwner: namedProcess,
  })
  for (let i = 0; i < 5; i++) expect(await other.buryTheDead()).toBe(0)
  expect((await held()).rows[0].held).toBe(before)
  await other.close()
  expect(contentOf(chunksOf(await answer))).toBe(300)
  expect(running.gateway.ledger.processId).toBe(processId)
})

describe('a client that hangs up', () => {
  test.each([0, 1, 2, 3, 5, 9, 17, 40, 90, 200])(
    'after %i chunks pays for what was streamed, and the provider is hung up on',
    async (k) => {
      const { key, bound } = await keyFor(4_096)
      const hangUp = new AbortController()
      const response = await fetch(`${running.url}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ ...chat, sandbox: { tokens: 4_000, chunk_ms: 1 } }),
        signal: hangUp.signal,
      })
      let chunks = 0
      const reader = response.body!.getReader()
      while (chunks < k)
        chunks += (
          Buffer.from((await reader.read()).value!)
            .toString()
            .match(/^data:/gm) ?? []
        ).length
      hangUp.abort()
      await reader.closed.catch(() => {})

      const row = await running.logOf(response.headers.get('x-nemo-request-id'))
      const sent = await vi.waitFor(() => {
        const [record] = world.sandbox.stats(1).recent
        expect(record).toMatchObject({ aborted: true, open: false })
        return record!.tokens_sent
      })
      expect(row).toMatchObject({ status: 499, estimated: true, loss_nanos: 0n })
      expect(row.cost_nanos).toBeGreaterThanOrEqual((await inputNanos()) + BigInt(Math.max(k - 1, 0)) * OUTPUT_NANOS)
      expect(row.cost_nanos).toBeLessThanOrEqual((await inputNanos()) + BigInt(sent + 2) * OUTPUT_NANOS)
      expect(row.cost_nanos).toBeLessThanOrEqual(bound)
    },
  )

  test('pays what the provider billed, if it has said so', async () => {
    const provider = await startScriptedProvider()
    await world.deploy('says-usage', provider.url)
    provider.script = (response) => {
      const usage = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 }
      const chunk = {
        id: 'x',
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'a' } }],
        usage,
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${JSON.stringify(chunk)}\n\n`)
    }
    const hangUp = new AbortController()
    const response = await vi.waitFor(async () => {
      const answer = await fetch(`${running.url}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${world.researcher.key}` },
        body: JSON.stringify({ ...chat, model: 'says-usage' }),
        signal: hangUp.signal,
      })
      expect(answer.status).toBe(200)
      return answer
    }, 5_000)
    await response.body!.getReader().read()
    hangUp.abort()
    expect(await running.logOf(response.headers.get('x-nemo-request-id'))).toMatchObject({
      status: 499,
      estimated: false,
      cost_nanos: 28_500n,
    })
    await vi.waitFor(() => expect(provider.open).toBe(0), 5_000)
    await provider.close()
  })

  test('while a stream waits for more to be held leaves no hold behind', async () => {
    const { key } = await keyFor(300)
    const hangUp = new AbortController()
    // Another transaction has the limit: what asks for more waits for it.
    const tx = await world.database.owner.connect()
    const response = await fetch(`${running.url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ ...chat, sandbox: { tokens: 1_000, chunk_ms: 1 } }),
      signal: hangUp.signal,
    })
    await tx.query('begin')
    await tx.query(
      `select 1 from limits l join virtual_keys k on k.id = l.subject_id where k.alias = $1 for update of l`,
      [`slices-${keys - 1}`],
    )
    await vi.waitFor(() => expect(world.sandbox.stats(1).recent[0]!.tokens_sent).toBeGreaterThan(280), 5_000)
    hangUp.abort()
    await vi.waitFor(() => expect(world.sandbox.stats().open).toBe(0), 5_000)
    await tx.query('rollback')
    tx.release()
    const row = await running.logOf(response.headers.get('x-nemo-request-id'))
    expect(row).toMatchObject({ status: 499, loss_nanos: 0n })
  })
})
