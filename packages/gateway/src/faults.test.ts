import { parseUsd } from '@nemo/domain/money'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** Every way in which a provider fails, streamed and not: what the caller sees, what is tried, and what is charged. */
let world: World
let running: RunningGateway
/** The same, but it loses patience with a silent answer soon. */
let impatient: RunningGateway

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world, { retriesMax: 1 })
  impatient = await runGateway(world, { retriesMax: 1, idleTimeoutMs: 250 })
})

afterAll(async () => {
  await Promise.all([running?.close(), impatient?.close()])
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  // What failed in one test isn't left out in the next.
  for (const { gateway } of [running, impatient]) gateway.health.restore([], performance.now())
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open + impatient.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
  await vi.waitFor(() => expect(world.sandbox.stats().open).toBe(0))
})

const question = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }
const ask = (body: object, through = running) =>
  httpCall(`${through.url}/chat/completions`, { key: world.researcher.key, body: { ...question, ...body } })
const logOf = ({ headers }: Answer) => running.logOf(headers['x-nemo-request-id'] as string)

/** What a caller gets: a status, or of a stream that began, how it ended. */
type Seen = number | 'complete' | 'cut'

function seen(answer: Answer, streamed: boolean): Seen {
  if (answer.status !== 200) {
    expect(Object.keys(answer.json.error)).toEqual(expect.arrayContaining(['message', 'type', 'param', 'code']))
    expect(answer.headers['x-nemo-request-cost']).toBeUndefined()
    return answer.status
  }
  if (!streamed) return 'complete'
  const events = answer.body.trimEnd().split(/\r?\n\r?\n/)
  const last = events.at(-1)!.replace(/^data: /, '')
  if (last === '[DONE]') return 'complete'
  expect(JSON.parse(last).error).toMatchObject({ type: 'api_error', param: null, code: 'upstream_failed' })
  expect(answer.body).not.toContain('[DONE]')
  expect(answer.trailers['x-nemo-request-cost']).toBeUndefined()
  return 'cut'
}

type Charge = 'nothing' | 'as billed' | 'as counted'

interface Case {
  readonly fault: object
  readonly plain?: readonly [Seen, attempts: string, Charge]
  readonly stream?: readonly [Seen, attempts: string, Charge]
  readonly extras?: object
  readonly impatient?: boolean
}

const both = (seen: Seen, attempts: string, charge: Charge) =>
  ({ plain: [seen, attempts, charge], stream: [seen, attempts, charge] }) as const
/** Tried twice, in vain. */
const failed = (word: string | number) => both(502, `${word} ${word}`, 'nothing')
/** Only the operator can mend it: the same place isn't tried again. */
const once = (status: number) => both(502, String(status), 'nothing')
const told = (status: number) => both(status, String(status), 'nothing')
const fine = ['complete', '200', 'as billed'] as const

const CASES: Record<string, Case> = {
  '400: the caller’s own mistake': { fault: { status: 400 }, ...told(400) },
  '413: the caller’s own mistake': { fault: { status: 413 }, ...told(413) },
  '422: the caller’s own mistake': { fault: { status: 422 }, ...told(422) },
  '401: our credential': { fault: { status: 401 }, ...once(401) },
  '402: our account': { fault: { status: 402 }, ...once(402) },
  '403: our permissions': { fault: { status: 403 }, ...once(403) },
  '404: our deployment': { fault: { status: 404 }, ...once(404) },
  '408': { fault: { status: 408 }, ...failed(408) },
  '409': { fault: { status: 409 }, ...failed(409) },
  '429': { fault: { status: 429 }, ...failed(429) },
  '429 with a moment to wait': { fault: { status: 429, retry_after: 0.02 }, ...failed(429) },
  '429 with longer to wait than anyone would': {
    fault: { status: 429, retry_after: 3_600 },
    ...both(502, '429', 'nothing'),
  },
  '500': { fault: { status: 500 }, ...failed(500) },
  '502': { fault: { status: 502 }, ...failed(502) },
  '503': { fault: { status: 503 }, ...failed(503) },
  '529': { fault: { status: 529 }, ...failed(529) },
  'no answer at all': {
    fault: { hang: 'before' },
    extras: { nemo_timeout_ms: 60 },
    ...both(502, 'timeout', 'nothing'),
  },
  'a reset in place of an answer': { fault: { reset: 'before' }, ...failed('reset') },
  'silence amid the answer': {
    fault: { hang: 'amid', hang_after: 4 },
    impatient: true,
    plain: [502, 'timeout timeout', 'nothing'],
    stream: ['cut', '200', 'as counted'],
  },
  'a cut right after the headers': { fault: { cut_at_byte: 0 }, ...failed('cut') },
  'a cut within the first event': { fault: { cut_at_byte: 40 }, ...failed('cut') },
  'a cut later': { fault: { cut_at_byte: 900 }, stream: ['cut', '200', 'as counted'] },
  'half a document': {
    fault: { malformed: true },
    plain: [502, 'malformed malformed', 'nothing'],
    // Events are handed on as they are: this one is the client's to judge.
    stream: fine,
  },
  'a plain answer though a stream was asked for': {
    fault: { not_a_stream: true },
    plain: fine,
    stream: [502, 'malformed malformed', 'nothing'],
  },
  'a stream without its last event': { fault: { no_done: true }, plain: fine, stream: ['cut', '200', 'as billed'] },
  'an error before the first token': {
    fault: { stream_error_after: 0, tokens: 0 },
    stream: [502, 'stream_error stream_error', 'nothing'],
  },
  'an error amid the stream': { fault: { stream_error_after: 5 }, plain: fine, stream: ['cut', '200', 'as counted'] },
  'no usage': { fault: { usage: 'missing' }, ...both('complete', '200', 'as counted') },
  'more usage than was held': {
    fault: { usage: { prompt_tokens: 300_000, completion_tokens: 100_000 } },
    ...both('complete', '200', 'as billed'),
  },
  'cached and reasoning tokens': {
    fault: { cached_tokens: 4, reasoning_tokens: 7 },
    ...both('complete', '200', 'as billed'),
  },
  'a byte at a time': { fault: { chunk_bytes: 1, unicode: true }, plain: fine, stream: fine },
  'seven bytes at a time, in CRLF, with comments': {
    fault: { chunk_bytes: 7, unicode: true, crlf: true, comments: true },
    plain: fine,
    stream: fine,
  },
}

const runs = Object.entries(CASES).flatMap(([name, { plain, stream, ...rest }]) => [
  ...(plain ? [{ name, streamed: false, expected: plain, ...rest }] : []),
  ...(stream ? [{ name, streamed: true, expected: stream, ...rest }] : []),
])

describe.each(runs)(
  '$name (streamed: $streamed)',
  ({ fault, extras, streamed, expected: [end, attempts, charge], impatient: soon }) => {
    test(`is seen as ${end} after ${attempts}, and costs ${charge}`, async () => {
      const answer = await ask({ stream: streamed, ...extras, sandbox: fault }, soon ? impatient : running)
      expect(seen(answer, streamed)).toBe(end)
      const outcomes = attempts.split(' ')
      expect(answer.headers['x-nemo-attempts']).toBe(
        outcomes.map((outcome) => `sandbox/sandbox-chat=${outcome}`).join(', '),
      )
      expect(answer.headers['x-nemo-retries']).toBe(String(outcomes.length - 1))
      const row = await logOf(answer)
      expect(row.attempts.map(({ outcome }) => outcome)).toEqual(outcomes)
      expect(row.status).toBe(end === 'complete' ? 200 : end === 'cut' ? 502 : end)
      if (charge === 'nothing') expect(row).toMatchObject({ cost_nanos: null, usage: null })
      else {
        expect(row).toMatchObject({ estimated: charge === 'as counted', loss_nanos: 0n })
        expect(row.cost_nanos).toBeGreaterThan(0n)
      }
      if (end === 502) expect(answer.headers['x-should-retry']).toBe('false')
    })
  },
)

test('what provider billed is charged to the nanodollar: cached and reasoning tokens at their own prices', async () => {
  const usage = { prompt_tokens: 300_000, completion_tokens: 100_000, cached_tokens: 200_000, reasoning_tokens: 40_000 }
  const answer = await ask({ sandbox: { usage } })
  expect(answer.headers['x-nemo-request-cost']).toBe('0.09')
  expect(await logOf(answer)).toMatchObject({
    cost_nanos: parseUsd('0.09'),
    usage: { input: 100_000, cachedInput: 200_000, output: 60_000, reasoning: 40_000 },
  })
})

test('a stream of split bytes reaches the client as the same bytes as an unsplit one', async () => {
  const body = { stream: true, stream_options: { include_usage: true } }
  world.sandbox.configure({ unicode: true })
  const whole = await ask(body)
  expect(whole.body).toMatch(/[^ -~\n]/)
  for (const chunk_bytes of [1, 7, 100]) {
    world.sandbox.configure({ chunk_bytes })
    expect((await ask(body)).body).toBe(whole.body)
  }
  world.sandbox.configure({ crlf: true })
  expect((await ask(body)).body.replaceAll('\r\n', '\n')).toBe(whole.body)
})

describe('two deployments of one group', () => {
  let second: Sandbox
  beforeAll(async () => {
    second = await startSandbox()
    await world.deploy('pair', world.sandbox.url)
    await world.deploy('pair', second.url)
    await world.deploy('refused', 'http://127.0.0.1:1/v1')
    await vi.waitFor(async () => expect((await ask({ model: 'refused' })).status).toBe(502))
  })
  afterAll(() => second?.close())

  test.each([false, true])(
    'a retry goes to the other one at once, whatever the first asks for (streamed: %s)',
    async (stream) => {
      world.sandbox.configure({ status: 429, retry_after: 60 })
      const retried: string[] = []
      // Which is first is a toss of a coin: until the failing one has been.
      for (let i = 0; i < 60 && retried.length === 0; i++) {
        const answer = await ask({ model: 'pair', stream })
        expect(seen(answer, stream)).toBe('complete')
        if (answer.headers['x-nemo-retries'] === '1') {
          retried.push(String(answer.headers['x-nemo-attempts']))
          const { attempts, deployment_id, cost_nanos } = await logOf(answer)
          expect(new Set(attempts.map((attempt) => attempt.deployment_id)).size).toBe(2)
          expect(deployment_id).toBe(attempts[1]!.deployment_id)
          expect(cost_nanos).toBeGreaterThan(0n)
        }
      }
      expect(retried).toEqual(['sandbox/sandbox-chat=429, sandbox/sandbox-chat=200'])
    },
  )

  test('nobody listening is a fault like any other', async () => {
    const answer = await ask({ model: 'refused' })
    expect(seen(answer, false)).toBe(502)
    expect(answer.headers['x-nemo-attempts']).toBe('sandbox/sandbox-chat=connect, sandbox/sandbox-chat=connect')
    expect(await logOf(answer)).toMatchObject({ cost_nanos: null, error_code: 'upstream_failed' })
  })
})

test('a refusal of our own credential is told to the operator, and to the caller only as a 502', async () => {
  running.problems.length = 0
  const answer = await ask({ nemo_max_retries: 0, sandbox: { status: 401, error_message: 'key sk-operator is bad' } })
  expect(answer.body).not.toContain('sk-operator')
  expect(running.problems).toMatchObject([
    { message: 'a provider refused us with 401', context: { credential: 'sandbox' } },
  ])
})

test('the prompt and the answer are in no log row', async () => {
  const answer = await ask({ messages: [{ role: 'user', content: 'xyzzy-prompt' }], sandbox: { status: 500 } })
  expect(
    JSON.stringify(await logOf(answer), (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  ).not.toContain('xyzzy')
})
