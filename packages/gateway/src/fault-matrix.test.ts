import { readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { uuidv7 } from '@nemo/domain/ids'
import { formatUsd, parseUsd } from '@nemo/domain/money'
import { costOf, type Price } from '@nemo/domain/pricing'
import { seal } from '@nemo/domain/vault'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deploy } from '@nemo/postgres/catalogue'
import { inTransaction } from '@nemo/postgres/tenancy'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type LogRow, type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { type ScriptedProvider, startScriptedProvider } from '@nemo/testing/scripted-provider'
import { startUnansweringPort, type UnansweringPort } from '@nemo/testing/unanswering-port'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

/**
 * Every way in which a provider fails × streamed or not × what is left to try. The matrix is data: it is what the tests hold the gateway to, and, printed, the table of docs/routing-faults.md.
 *
 * Each case has deployments of its own, so that what failed in one isn't left out in the next: `first` and `second` in the group that is asked for, `third` and `fourth` in the group that it falls
 * back to. They cost more from one to the next, so that cost-based routing tries them in that order and the charge tells which of them answered, and take a longer context each.
 */
interface Fault {
  readonly name: string
  /** The word for it in `x-nemo-attempts`; of an answer that isn't streamed, and of a stream, where they differ. */
  readonly word: string | readonly [plain: string, stream: string]
  readonly plain: Follows
  readonly stream: Follows
  /** It is only known to be one when patience ends. */
  readonly isSlow?: boolean
  /** How the provider comes to do so: settings of a sandbox, an answer of its own, or a place where nobody answers. */
  readonly provider: object | ((response: ServerResponse, streamed: boolean) => unknown) | 'refuses' | 'unanswering'
}

/** What follows from a fault. `moves on`: the next place is tried. `grows`: only places with a larger context are. `told`: to the caller, at once. `cut`: the answer has begun, and ends as cut. */
type Follows = 'moves on' | 'grows' | 'told' | 'cut'

const OPENING = `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] })}\n\n`
const EVENT = `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'a' } }] })}\n\n`
const HALF = '{"id":"x","object":"chat.completion","choices":[{"index":0,"mess'
const SSE = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

const movesOn = (name: string, provider: Fault['provider'], word: Fault['word'] = name): Fault => ({
  ...{ name, word, provider, plain: 'moves on', stream: 'moves on' },
})

const FAULTS: readonly Fault[] = [
  movesOn('500', { status: 500 }),
  movesOn('502', { status: 502 }),
  movesOn('503', { status: 503 }),
  movesOn('529', { status: 529 }),
  movesOn('429', { status: 429 }),
  movesOn('429 with `retry-after: 20`', { status: 429, retry_after: 20 }, '429'),
  movesOn('408', { status: 408 }),
  movesOn('connection refused', 'refuses', 'connect'),
  { ...movesOn('connection not accepted in time', 'unanswering', 'connect'), isSlow: true },
  { ...movesOn('no first byte in time', { hang: 'before' }, 'timeout'), isSlow: true },
  { ...movesOn('silence amid the answer', { hang: 'amid', hang_after: 4 }, 'timeout'), stream: 'cut', isSlow: true },
  movesOn('reset before the headers', { reset: 'before' }, 'reset'),
  {
    ...movesOn('reset amid the body', resetAmid, 'cut'),
    stream: 'cut',
  },
  movesOn('closed before the first token', { cut_at_byte: 20 }, 'cut'),
  { ...movesOn('closed amid the body', closeAmid, 'cut'), stream: 'cut' },
  movesOn(
    'malformed JSON',
    (response: ServerResponse, streamed: boolean) =>
      streamed
        ? response.writeHead(200, SSE).end(`data: ${HALF}\n\ndata: [DONE]\n\n`)
        : response.writeHead(200, JSON_TYPE).end(HALF),
    'malformed',
  ),
  movesOn(
    'malformed events',
    (response: ServerResponse, streamed: boolean) =>
      response.writeHead(200, streamed ? SSE : JSON_TYPE).end('event of none\n\n<html>busy</html>\n\n'),
    ['malformed', 'cut'],
  ),
  movesOn(
    'an error as the first event',
    (response: ServerResponse, streamed: boolean) =>
      response
        .writeHead(200, streamed ? SSE : JSON_TYPE)
        .end(streamed ? 'data: {"error":{"message":"overloaded"}}\n\n' : '{"error":{"message":"overloaded"}}'),
    ['malformed', 'stream_error'],
  ),
  movesOn(
    'closed behind an opening that says nothing yet',
    (response: ServerResponse, streamed: boolean) =>
      streamed ? response.writeHead(200, SSE).end(OPENING) : response.writeHead(200, JSON_TYPE).end('{'),
    ['malformed', 'cut'],
  ),
  movesOn(
    'an error behind such an opening',
    (response: ServerResponse, streamed: boolean) =>
      streamed
        ? response.writeHead(200, SSE).end(`${OPENING}data: {"error":{"message":"overloaded"}}\n\n`)
        : response.writeHead(200, JSON_TYPE).end('{"id":"x","error":{"message":"overloaded"}}'),
    ['malformed', 'stream_error'],
  ),
  movesOn('401 of our credential', { status: 401 }, '401'),
  movesOn('404 of our deployment', { status: 404 }, '404'),
  { name: '400 of the caller', word: '400', provider: { status: 400 }, plain: 'told', stream: 'told' },
  {
    name: '400: the context is too long',
    word: '400',
    provider: { status: 400, error_message: 'prompt is too long: 207791 tokens > 200000 maximum' },
    plain: 'grows',
    stream: 'grows',
  },
]

async function resetAmid(response: ServerResponse, streamed: boolean): Promise<void> {
  writeHalf(response, streamed)
  // The bytes before it have to arrive.
  setTimeout(() => response.socket?.resetAndDestroy(), 50)
}

async function closeAmid(response: ServerResponse, streamed: boolean): Promise<void> {
  writeHalf(response, streamed)
  response.socket?.end()
}

function writeHalf(response: ServerResponse, streamed: boolean): void {
  if (streamed) response.writeHead(200, SSE).write(EVENT)
  else response.writeHead(200, { ...JSON_TYPE, 'content-length': '1000' }).write(HALF)
}

const SCENARIOS = ['retry', 'fallback', 'exhausted'] as const
type Scenario = (typeof SCENARIOS)[number]
/** How many of the four places fail; the others answer. */
const FAILING: Readonly<Record<Scenario, number>> = { retry: 1, fallback: 2, exhausted: 4 }

interface Place {
  readonly name: string
  readonly price: Price['nanosPerMillion']
  readonly contextTokens: number
  readonly kind: 'first' | 'retry' | 'fallback'
}

const place = (name: string, times: bigint, contextTokens: number, kind: Place['kind']): Place => ({
  ...{ name, contextTokens, kind },
  price: { input: parseUsd('0.15') * times, output: parseUsd('0.6') * times },
})
const PLACES = [
  place('first', 1n, 8_000, 'first'),
  place('second', 3n, 32_000, 'retry'),
  place('third', 10n, 128_000, 'fallback'),
  place('fourth', 20n, 1_000_000, 'retry'),
]

interface Expected {
  /** `complete` and `cut` are answers; a number is the status of an error. */
  readonly end: 'complete' | 'cut' | 502 | 400
  readonly code: string | null
  readonly outcomes: readonly string[]
  /** Which place is paid, by its number; null if none. */
  readonly paid: number | null
}

function expectedOf(fault: Fault, streamed: boolean, scenario: Scenario): Expected {
  const follows = streamed ? fault.stream : fault.plain
  const word = wordOf(fault, streamed)
  if (follows === 'told') return { end: 400, code: 'invalid_request', outcomes: [word], paid: null }
  if (follows === 'cut') return { end: 'cut', code: 'cut', outcomes: ['200'], paid: 0 }
  const failing = FAILING[scenario]
  const outcomes = Array<string>(failing).fill(word)
  if (scenario !== 'exhausted') return { end: 'complete', code: null, outcomes: [...outcomes, '200'], paid: failing }
  return follows === 'grows'
    ? { end: 400, code: 'context_length_exceeded', outcomes, paid: null }
    : { end: 502, code: 'upstream_failed', outcomes, paid: null }
}

function wordOf({ word }: Fault, streamed: boolean): string {
  return typeof word === 'string' ? word : word[streamed ? 1 : 0]
}

let world: World
let running: RunningGateway
let good: Sandbox
let unanswering: UnansweringPort
const providers: (Sandbox | ScriptedProvider)[] = []
/** The ids of each case's places, by the name of its group. */
const ids = new Map<string, string[]>()

const groupOf = (fault: Fault, streamed: boolean, scenario: Scenario) =>
  `${fault.name} ${streamed ? 'streamed' : 'plain'} ${scenario}`

beforeAll(async () => {
  world = await makeWorld()
  good = await startSandbox()
  unanswering = await startUnansweringPort()
  await deployCases()
  running = await runGateway(world, { connectTimeoutMs: 150, firstByteTimeoutMs: 1_000, idleTimeoutMs: 300 })
  // One patience is waited for with the others.
  for (const fault of FAULTS.filter(isSlow)) begun.set(fault, begin(fault))
})

afterAll(async () => {
  await running?.close()
  await Promise.all([good, unanswering, ...providers].map((one) => one?.close()))
  await world?.close()
})

async function deployCases(): Promise<void> {
  const { operator } = world.database
  const rows: object[] = []
  const groups: object[] = []
  const works = await credentialAt(good.url)
  await inTransaction(operator, async (tx) => {
    for (const { name, price, contextTokens } of PLACES) {
      await deploy(tx, works, {
        ...{ id: `sandbox/${name}`, provider: 'sandbox', endpoint: 'chat', contextTokens, outputTokensMax: 4_096 },
        ...{
          capabilities: [],
          group: name,
          upstreamModel: `sandbox-${name}`,
          nanosPerMillion: price,
          priceSource: 'test',
        },
      })
    }
  })
  for (const fault of FAULTS) {
    const fails = await credentialAt(await urlOf(fault))
    for (const { streamed, scenario } of formsOf()) {
      const group = groupOf(fault, streamed, scenario)
      const own = [uuidv7(), uuidv7()]
      groups.push({ id: own[0], name: group, chain: [`${group}, further`] })
      groups.push({ id: own[1], name: `${group}, further`, chain: [] })
      const places = PLACES.map(({ name }, i) => ({
        ...{ id: uuidv7(), group: own[i < 2 ? 0 : 1], model: `sandbox/${name}`, upstream: `sandbox-${name}` },
        credential: i < FAILING[scenario] ? fails : works,
      }))
      rows.push(...places)
      ids.set(
        group,
        places.map(({ id }) => id),
      )
    }
  }
  await operator.query(
    `insert into model_groups (id, name, chain)
     select id, name, array(select json_array_elements_text(chain)) from json_to_recordset($1) g (id uuid, name text, chain json)`,
    [JSON.stringify(groups)],
  )
  await operator.query(
    `insert into deployments (id, group_id, model_id, credential_id, upstream_model)
     select id, "group", model, credential, upstream
       from json_to_recordset($1) d (id uuid, "group" uuid, model text, credential uuid, upstream text)`,
    [JSON.stringify(rows)],
  )
}

async function credentialAt(baseUrl: string): Promise<string> {
  const id = uuidv7()
  await world.database.operator.query(
    `insert into provider_credentials (id, name, provider, base_url, secret) values ($1, $2, 'sandbox', $3, $4)`,
    [id, id, baseUrl, seal(world.masterKey, 'sandbox-secret', id)],
  )
  return id
}

async function urlOf({ provider }: Fault): Promise<string> {
  if (provider === 'refuses') return 'http://127.0.0.1:1/v1'
  if (provider === 'unanswering') return unanswering.url
  if (typeof provider !== 'function') {
    const sandbox = await startSandbox({ config: provider })
    providers.push(sandbox)
    return sandbox.url
  }
  const scripted = await startScriptedProvider()
  scripted.script = (response, body) => void provider(response, JSON.parse(body).stream === true)
  providers.push(scripted)
  return scripted.url
}

function formsOf() {
  return [false, true].flatMap((streamed) => SCENARIOS.map((scenario) => ({ streamed, scenario })))
}

interface Seen {
  readonly answer: Answer
  readonly row: LogRow
}

/** What came of a fault's cases, by their groups. */
const begun = new Map<Fault, Promise<Map<string, Seen>>>()

/** All cases of a fault at once. */
async function begin(fault: Fault): Promise<Map<string, Seen>> {
  const seen = formsOf().map(async ({ streamed, scenario }): Promise<[string, Seen]> => {
    const group = groupOf(fault, streamed, scenario)
    const answer = await ask(group, streamed)
    return [group, { answer, row: await running.logOf(String(answer.headers['x-nemo-request-id'])) }]
  })
  return new Map(await Promise.all(seen))
}

const isSlow = (fault: Fault) => fault.isSlow === true
const inOrder = [...FAULTS.filter(isSlow), ...FAULTS.filter((fault) => !isSlow(fault))]

describe.each(inOrder)('$name', (fault) => {
  let seen: Map<string, Seen>

  beforeAll(async () => {
    await Promise.all(begun.values())
    seen = await (begun.get(fault) ?? begin(fault))
  })

  test.each(formsOf())('streamed: $streamed, $scenario', ({ streamed, scenario }) => {
    const group = groupOf(fault, streamed, scenario)
    const { answer, row } = seen.get(group)!
    const expected = expectedOf(fault, streamed, scenario)
    expect(endOf(answer, streamed)).toBe(expected.end)
    expectAttempts(expected, answer, row, ids.get(group)!)
    expectCharge(expected, answer, row, streamed)
    expect(row).toMatchObject({ error_code: expected.code, model_group: group })
    if (typeof expected.end === 'number') expect(answer.json.error.code).toBe(expected.code)
  })

  test('every hold is ended, and the books are exact', async () => {
    await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(0))
    await running.gateway.ledger.flush()
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

test('what has no larger context than the one that was too small is passed over', async () => {
  const fault = FAULTS.find(({ plain }) => plain === 'grows')!
  const answer = await ask(groupOf(fault, false, 'fallback'), false, { nemo_fallbacks: ['first', 'third'] })
  expect(answer.headers['x-nemo-attempts']).toBe(
    'sandbox/sandbox-first=400, sandbox/sandbox-second=400, sandbox/sandbox-third=200',
  )
})

function ask(group: string, streamed: boolean, more: object = {}): Promise<Answer> {
  const options = streamed && { stream: true, stream_options: { include_usage: true } }
  return httpCall(`${running.url}/chat/completions`, {
    key: world.researcher.key,
    body: {
      ...{ model: group, messages: [{ role: 'user', content: 'hello' }], ...options },
      ...{ nemo_strategy: 'cost-based', nemo_max_retries: 1, ...more },
    },
  })
}

/** A stream that broke off ends with an error, and never as one that is whole. */
function endOf(answer: Answer, streamed: boolean): Expected['end'] {
  if (answer.status !== 200) return answer.status as 502
  if (!streamed) return 'complete'
  const last = eventsOf(answer).at(-1)!
  if (last === '[DONE]') return 'complete'
  expect(JSON.parse(last).error).toMatchObject({ type: 'api_error', code: 'upstream_failed' })
  expect(answer.body).not.toContain('[DONE]')
  return 'cut'
}

const eventsOf = ({ body }: Answer) =>
  body
    .trimEnd()
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''))

function expectAttempts({ outcomes, end }: Expected, { headers }: Answer, row: LogRow, places: string[]): void {
  const attempts = outcomes.map((outcome, i) => ({ outcome, kind: PLACES[i]!.kind, deployment_id: places[i] }))
  expect(row.attempts).toMatchObject(attempts)
  expect(row.attempts).toHaveLength(attempts.length)
  expect(headers).toMatchObject({
    'x-nemo-attempts': outcomes.map((outcome, i) => `sandbox/sandbox-${PLACES[i]!.name}=${outcome}`).join(', '),
    'x-nemo-retries': String(attempts.filter(({ kind }) => kind === 'retry').length),
    'x-nemo-fallback-used': String(attempts.some(({ kind }) => kind === 'fallback')),
  })
  expect(row.status).toBe(end === 'complete' ? 200 : end === 'cut' ? 502 : end)
}

/** What answered is paid at its own price, as it billed, or, of a stream that broke off, as was seen of it; nothing where nothing answered. */
function expectCharge({ paid, end }: Expected, answer: Answer, row: LogRow, streamed: boolean): void {
  const told = answer.headers['x-nemo-request-cost'] ?? answer.trailers['x-nemo-request-cost']
  if (paid === null) {
    expect(row).toMatchObject({ cost_nanos: null, usage: null, deployment_id: null, loss_nanos: 0n })
    expect(told).toBeUndefined()
    return
  }
  const { name, price } = PLACES[paid]!
  const cost = costOf(row.usage!, { versionId: 'any', nanosPerMillion: price })
  expect(cost).toBeGreaterThan(0n)
  expect(row).toMatchObject({ cost_nanos: cost, model: `sandbox-${name}`, estimated: end === 'cut', loss_nanos: 0n })
  expect(told).toBe(end === 'cut' ? undefined : formatUsd(cost))
  if (end === 'cut') return
  const usage = streamed ? JSON.parse(eventsOf(answer).at(-2)!).usage : answer.json.usage
  expect(row.usage).toMatchObject({ input: usage.prompt_tokens, output: usage.completion_tokens })
}

const DOCS = join(import.meta.dirname, '../../../docs/routing-faults.md')
const START =
  '<!-- made from packages/gateway/src/fault-matrix.test.ts: UPDATE_GOLDEN=1 npx vitest run packages/gateway/src/fault-matrix.test.ts -->\n'

test('the table in the docs is what these tests show', () => {
  const text = readFileSync(DOCS, 'utf8')
  const at = text.indexOf(START) + START.length
  const table = [
    '| what the first does | streamed | another of the group works | another group works | nothing works |',
    '|---|---|---|---|---|',
    ...FAULTS.flatMap(rowsOf),
  ].join('\n')
  if (process.env.UPDATE_GOLDEN) writeFileSync(DOCS, `${text.slice(0, at)}\n${table}\n`)
  else expect(text.slice(at).trim()).toBe(table)
})

function rowsOf(fault: Fault): string[] {
  const [plain, stream] = [false, true].map((streamed) =>
    SCENARIOS.map((scenario) => cellOf(expectedOf(fault, streamed, scenario))).join(' | '),
  )
  return plain === stream
    ? [`| ${fault.name} | either | ${plain} |`]
    : [`| ${fault.name} | no | ${plain} |`, `| | yes | ${stream} |`]
}

function cellOf({ end, code, outcomes }: Expected): string {
  const chain = outcomes.join(', ')
  if (end === 'complete') return chain
  return `${chain}: ${end === 'cut' ? 'an error ends the stream' : `${end} \`${code}\``}`
}
