import { Agent } from 'node:http'
import { connect } from 'node:net'
import { uuidv7 } from '@nemo/domain/ids'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { type Answer, type CallOptions, httpCall, rawCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { ROUTES } from './routes.ts'

/** What is promised to callers, byte for byte where it matters: requests as they leave, headers, errors, connections. */
let world: World
let running: RunningGateway
let origin: string

const BODY_BYTES_MAX = 64 * 1024

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world, { bodyBytesMax: BODY_BYTES_MAX })
  origin = running.server.url
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
  expect(running.problems).toEqual([])
})

const chat = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }
const post = (body: CallOptions['body'], more: CallOptions = {}) =>
  httpCall(`${origin}/v1/chat/completions`, {
    key: world.researcher.key,
    ...(body === undefined ? {} : { body }),
    ...more,
    method: 'POST',
  })
const lastBody = () => world.sandbox.stats(1).recent[0]!.body!

/** Every error, wherever it comes from, looks like this. */
function expectError(answer: Answer, status: number, code: string, param: string | null = null): void {
  expect({ status: answer.status, ...answer.json?.error }).toMatchObject({ status, code, param })
  const { message, type } = answer.json.error
  expect([typeof message, typeof type]).toEqual(['string', 'string'])
  expect(answer.headers['x-nemo-request-cost']).toBeUndefined()
  expectAlwaysThere(answer)
}

function expectAlwaysThere({ headers }: Answer): void {
  expect(headers['x-nemo-request-id']).toMatch(/^req_[0-9a-f]{32}$/)
  expect(Number(headers['x-nemo-latency-ms'])).toBeGreaterThanOrEqual(0)
  expect(Number(headers['x-nemo-overhead-ms'])).toBeGreaterThanOrEqual(0)
}

describe('request extras', () => {
  const ours = {
    nemo_tags: ['vision'],
    nemo_max_retries: 1,
    nemo_timeout_ms: 5_000,
    nemo_cache: false,
    nemo_strategy: 'simple-shuffle',
  }

  test.each([
    ['at the top', { ...chat, ...ours }],
    ['in a literal extra_body', { ...chat, extra_body: ours }],
    ['in metadata', { ...chat, metadata: ours }],
    [
      'in the metadata of an extra_body',
      { ...chat, extra_body: { metadata: { ...ours, tags: ['a'], session_id: 's' } } },
    ],
    ['beside a null extra_body', { ...chat, ...ours, extra_body: null }],
  ])('%s: all of ours are taken out before the request leaves', async (_, body) => {
    expect((await post(body)).status).toBe(200)
    expect(lastBody()).toEqual(chat)
  })

  test('what extra_body and metadata hold of others stays: the one at the top, the other where it was', async () => {
    await post({
      ...chat,
      seed: 1,
      extra_body: { seed: 2, top_k: 5, toString: 1 },
      metadata: { nemo_cache: true, tags: ['t'], run: '7' },
    })
    expect(lastBody()).toEqual({ ...chat, seed: 1, top_k: 5, toString: 1, metadata: { run: '7' } })
  })

  test('attribution is logged: the consumer, the session and the tags', async () => {
    const answer = await post({ ...chat, user: 'u-1', metadata: { tags: ['a', 'b\0'], session_id: 's-1' } })
    expect(await running.logOf(answer.headers['x-nemo-request-id'] as string)).toMatchObject({
      consumer: 'u-1',
      session_id: 's-1',
      tags: ['a', 'b'],
    })
    expect(lastBody()).toEqual({ ...chat, user: 'u-1' })
  })

  test('a prototype in the body is a field like any other', async () => {
    const answer = await post(
      '{"model":"sandbox-chat","messages":[{"role":"user","content":"hi"}],"__proto__":{"nemo_tags":["none"]},"extra_body":{"__proto__":{"model":"x"},"constructor":1}}',
    )
    expect(answer.status).toBe(200)
    expect(Object.hasOwn(lastBody(), 'constructor')).toBe(true)
  })

  test.each([
    'nemo_guardrail_ids',
    'nemo_prompt_template_id',
    'nemo_prompt_variables',
    'nemo_prompt_version',
    'nemo_fallbacks',
    'nemo_unheard_of',
  ])('%s is refused by name, wherever it stands, rather than passed over', async (name) => {
    for (const body of [{ [name]: 1 }, { extra_body: { [name]: 1 } }, { metadata: { [name]: 1 } }]) {
      expectError(await post({ ...chat, ...body }), 400, 'invalid_request', name)
    }
    expect(world.sandbox.stats().requests).toBe(0)
  })

  test('tags are needs: all of them are met, or the call is refused', async () => {
    expect((await post({ ...chat, nemo_tags: ['vision', 'function-calling'] })).status).toBe(200)
    expectError(await post({ ...chat, nemo_tags: ['vision', 'clairvoyance'] }), 400, 'tags_not_satisfied', 'nemo_tags')
    expectError(await post({ ...chat, nemo_tags: 'vision' }), 400, 'invalid_request', 'nemo_tags')
  })

  test('nemo_max_retries asks for fewer attempts, never for more than the operator allows', async () => {
    world.sandbox.configure({ status: 503 })
    for (const [asked, requests] of [
      [0, 1],
      [1, 2],
      [10, 3],
    ] as const) {
      world.sandbox.configure({})
      const before = world.sandbox.stats().requests
      expectError(await post({ ...chat, nemo_max_retries: asked }), 502, 'upstream_failed')
      expect(world.sandbox.stats().requests - before).toBe(requests)
    }
  })

  test('nemo_timeout_ms ends a call that nobody answers', async () => {
    const answer = await post({ ...chat, nemo_timeout_ms: 50, sandbox: { hang: 'before' } })
    expectError(answer, 502, 'upstream_failed')
    expect(answer.headers['x-nemo-attempts']).toBe('sandbox/sandbox-chat=timeout')
    await vi.waitFor(() => expect(world.sandbox.stats().open).toBe(0))
  })
})

test('what we don’t know rides along, digit by digit and escape by escape', async () => {
  const { startScriptedProvider } = await import('@nemo/testing/scripted-provider')
  const provider = await startScriptedProvider()
  try {
    const received: Promise<string> = new Promise((resolve) => {
      provider.script = (response, body) => {
        resolve(body)
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}')
      }
    })
    await world.deploy('echo', provider.url)
    const sent = (model: string, more = '') =>
      `{"messages":[{"role":"user","content":"Gr\\u00fc\\u00dfe \\ud83d\\ude00"}], "model":"${model}"${more}, "seed":12345678901234567890,"t":1.0,"x":{"a":1,"a":2.50},"e":1E5}`
    await vi.waitFor(async () => expect((await post(sent('echo', ',"nemo_cache":true'))).status).toBe(200))
    expect(await received).toBe(sent('sandbox-chat'))
  } finally {
    await provider.close()
  }
})

describe('requests that are refused', () => {
  test.each<[string, object, string]>([
    ['no model', { model: undefined }, 'model'],
    ['an empty model', { model: '' }, 'model'],
    ['a model that is a number', { model: 5 }, 'model'],
    ['no messages', { messages: undefined }, 'messages'],
    ['messages that are a string', { messages: 'hi' }, 'messages'],
    ['a message that is null', { messages: [null] }, 'messages[0]'],
    ['a message without a role', { messages: [{ content: 'x' }] }, 'messages[0]'],
    ['n = 0', { n: 0 }, 'n'],
    ['n = 1.5', { n: 1.5 }, 'n'],
    ['n = 129', { n: 129 }, 'n'],
    ['max_tokens = 0', { max_tokens: 0 }, 'max_tokens'],
    ['max_tokens = -1', { max_tokens: -1 }, 'max_tokens'],
    ['max_tokens = 1e308', { max_tokens: 1e308 }, 'max_tokens'],
    ['max_tokens that no ledger holds', { max_tokens: Number.MAX_SAFE_INTEGER, n: 128 }, 'max_tokens'],
    ['max_completion_tokens as text', { max_completion_tokens: '5' }, 'max_completion_tokens'],
    ['stream as text', { stream: 'true' }, 'stream'],
    ['stream_options as a list', { stream: true, stream_options: [] }, 'stream_options'],
    ['user as a number', { user: 1 }, 'user'],
    ['metadata as a list', { metadata: [] }, 'metadata'],
    ['extra_body as text', { extra_body: '{}' }, 'extra_body'],
    ['nemo_max_retries as text', { nemo_max_retries: '1' }, 'nemo_max_retries'],
    ['nemo_timeout_ms = 0', { nemo_timeout_ms: 0 }, 'nemo_timeout_ms'],
    ['nemo_cache as text', { nemo_cache: 'no' }, 'nemo_cache'],
    ['nemo_strategy of tomorrow', { nemo_strategy: 'clairvoyant' }, 'nemo_strategy'],
  ])('%s is a 400 that names the field', async (_, change, param) => {
    expectError(await post({ ...chat, ...change }), 400, 'invalid_request', param)
    expect(world.sandbox.stats().requests).toBe(0)
  })

  test.each([
    ['half a document', '{"model":'],
    ['a list', '[]'],
    ['a number', '1'],
    ['null', 'null'],
    ['nothing', ''],
    [
      'a value nested beyond reason',
      `{"model":"sandbox-chat","messages":[{"role":"user","tool_calls":${'['.repeat(9_000)}${']'.repeat(9_000)}}]}`,
    ],
    [
      'an extra_body nested beyond reason',
      `{"model":"sandbox-chat","messages":[{"role":"user","content":"x"}],"extra_body":{"a":${'['.repeat(9_000)}${']'.repeat(9_000)}}}`,
    ],
  ])('a body that is %s is a 400', async (_, body) => {
    expectError(await post(body), 400, 'invalid_request')
  })

  test('of a field that is there twice neither is believed', async () => {
    expectError(
      await post('{"model":"sandbox-chat","messages":[],"mod\\u0065l":"other"}'),
      400,
      'invalid_request',
      'model',
    )
  })

  test('the larger of two caps on the answer is held, since a provider may obey either', async () => {
    const { key } = await world.issueKey(world.acme, 'two-caps', [
      { resource: 'cost', window: 'total', bound: 1_000_000n },
    ])
    expectError(await post({ ...chat, max_completion_tokens: 1, max_tokens: 4_000 }, { key }), 402, 'budget_exceeded')
    expect((await post({ ...chat, max_completion_tokens: 1 }, { key })).status).toBe(200)
  })

  test('a model that the endpoint can’t serve is a 400', async () => {
    expectError(await post({ ...chat, model: 'sandbox-images' }), 400, 'invalid_request', 'model')
    expectError(
      await httpCall(`${origin}/v1/embeddings`, {
        key: world.researcher.key,
        body: { model: 'sandbox-embeddings', input: 'x', stream: true },
      }),
      400,
      'invalid_request',
      'stream',
    )
  })

  test('a compressed body is refused by name', async () => {
    expectError(
      await post(chat, { headers: { 'content-encoding': 'gzip' } }),
      400,
      'invalid_request',
      'content-encoding',
    )
  })

  test('the wrong method is a 405 that says which is right, and an unknown path a 404', async () => {
    const wrong = await httpCall(`${origin}/v1/chat/completions`, { key: world.researcher.key })
    expectError(wrong, 405, 'method_not_allowed')
    expect(wrong.headers.allow).toBe('POST')
    const reading = await httpCall(`${origin}/v1/models`, { method: 'DELETE' })
    expect([reading.status, reading.headers.allow]).toEqual([405, 'GET, HEAD'])
    expectError(await httpCall(`${origin}/v1/nothing`), 404, 'not_found')
    expectError(await httpCall(`${origin}/v1/models/`), 404, 'not_found')
    expectError(await httpCall(`${origin}/__proto__`), 404, 'not_found')
  })

  test('an error’s answer is nothing but its headers for HEAD', async () => {
    const answer = await httpCall(`${origin}/v1/models`, { method: 'HEAD' })
    expect([answer.status, answer.body]).toEqual([401, ''])
    const found = await httpCall(`${origin}/v1/models`, { method: 'HEAD', key: world.researcher.key })
    expect([found.status, found.body]).toEqual([200, ''])
  })
})

describe('connections', () => {
  let agent: Agent
  beforeAll(() => {
    agent = new Agent({ keepAlive: true, maxSockets: 1 })
  })
  afterAll(() => agent.destroy())

  test.each([
    ['a 400', () => post('{', { agent })],
    ['a 401', () => post(chat, { agent, key: 'sk-nemo-nobody' })],
    ['a 404', () => httpCall(`${origin}/nothing`, { agent, body: chat })],
    ['a 413 with a length', () => post('x'.repeat(BODY_BYTES_MAX + 1), { agent })],
    ['a 413 in chunks', () => post('x'.repeat(10 * BODY_BYTES_MAX), { agent, chunked: true })],
    ['a 401 with a long body', () => post('x'.repeat(10 * BODY_BYTES_MAX), { agent, key: 'nobody' })],
    ['a stream', () => post({ ...chat, stream: true }, { agent })],
  ])('the next request on the connection is answered after %s', async (_, first) => {
    const answer = await first()
    expect(answer.headers.connection).not.toBe('close')
    if (answer.status === 413) expectError(answer, 413, 'request_too_large')
    expect((await post(chat, { agent })).status).toBe(200)
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
  })

  test('requests that are sent without waiting are answered in their order', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: nemo\r\n\r\n`
    const answer = await rawCall(running.server.port, get('/nothing') + get('/healthz') + get('/v1/models'), (text) =>
      text.includes('HTTP/1.1 401'),
    )
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 401'])
  })

  test.each([
    ['what is no HTTP', 'EHLO nemo\r\n\r\n', 400],
    ['a length that is none', 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n', 400],
    [
      'two ways to tell the length',
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['headers without end', `GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s gets an answer in JSON and the connection is closed', async (_, bytes, status) => {
    const answer = await rawCall(running.server.port, bytes)
    expect(answer).toContain(`HTTP/1.1 ${status} `)
    expect(answer).toMatch(/x-nemo-request-id: req_[0-9a-f]{32}\r\n/)
    const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type'])
  })

  test('garbage behind a request never gets into the answer that is under way', async () => {
    const json = JSON.stringify({ ...chat, stream: true, sandbox: { tokens: 100, chunk_ms: 2 } })
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${world.researcher.key}\r\n`
    const socket = connect(running.server.port, '127.0.0.1')
    socket.write(`${head}content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`)
    let answer = ''
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      if (answer === '') socket.write('GARBAGE\r\n\r\n')
      answer += bytes
    })
    await new Promise((resolve) => socket.on('close', resolve))
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200'])
    expect(answer).not.toContain('[DONE]')
  })

  test('a stream goes over HTTP/1.0 as well, which many a proxy speaks: without a trailer', async () => {
    const json = JSON.stringify({ ...chat, stream: true })
    const answer = await rawCall(
      running.server.port,
      `POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer ${world.researcher.key}\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
    )
    expect(answer).toContain('200 OK')
    expect(answer.trimEnd().endsWith('data: [DONE]')).toBe(true)
  })
})

describe('response headers', () => {
  test('an answer says what it cost, three times the same, and how it was routed', async () => {
    const answer = await post(chat)
    expectAlwaysThere(answer)
    const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
    const cost = answer.headers['x-nemo-request-cost']
    expect(Number(cost) * 1e9).toBeCloseTo(Number(row.cost_nanos), 6)
    expect(answer.headers).toMatchObject({
      'x-nemo-response-cost': cost,
      'x-litellm-response-cost': cost,
      'x-nemo-provider': 'sandbox',
      'x-nemo-model': 'sandbox-chat',
      'x-nemo-strategy': 'simple-shuffle',
      'x-nemo-retries': '0',
      'x-nemo-fallback-used': 'false',
      'x-nemo-attempts': 'sandbox/sandbox-chat=200',
    })
  })

  test('a stream’s cost is one number in its trailer, its usage chunk and the log', async () => {
    const answer = await post({ ...chat, stream: true, stream_options: { include_usage: true } })
    expectAlwaysThere(answer)
    expect(answer.headers['x-nemo-request-cost']).toBeUndefined()
    const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
    const usage = answer.body
      .split('\n\n')
      .flatMap((event) => (event.includes('"usage":{') ? JSON.parse(event.slice(6)).usage : []))
    expect(usage).toHaveLength(1)
    expect(Number(answer.trailers['x-nemo-request-cost'])).toBe(usage[0].cost)
    expect(Number(row.cost_nanos)).toBeCloseTo(usage[0].cost * 1e9, 6)
    expect(row.overhead_micros).toBeLessThan(row.latency_ms * 1000 + 1000)
  })

  test('a stream’s log counts as overhead what was spent here, and not the time that the stream took', async () => {
    const answer = await post({ ...chat, stream: true, sandbox: { tokens: 40, chunk_ms: 10 } })
    const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
    expect(row.latency_ms).toBeGreaterThan(400)
    expect(row.latency_ms * 1000 - row.overhead_micros).toBeGreaterThan(350_000)
  })

  test('x-ratelimit-* count down to the refusal', async () => {
    const { key } = await world.issueKey(world.acme, 'three-a-minute', [
      { resource: 'requests', window: 'minute', bound: 3n },
      { resource: 'tokens', window: 'minute', bound: 100_000n },
    ])
    for (const remaining of [2, 1, 0]) {
      const { headers } = await post(chat, { key })
      expect(headers).toMatchObject({
        'x-ratelimit-limit-requests': '3',
        'x-ratelimit-reset-requests': '1m1s',
        'x-ratelimit-limit-tokens': '100000',
      })
      // What a process gives back when it isn't called for a while it doesn't count as left.
      expect(Number(headers['x-ratelimit-remaining-requests'])).toBeLessThanOrEqual(remaining)
      expect(Number(headers['x-ratelimit-remaining-tokens'])).toBeLessThan(100_000)
    }
    expectError(await post(chat, { key }), 429, 'rate_limit_exceeded')
  })

  test('a header never carries what a request or a provider put into it', async () => {
    const answer = await post({ ...chat, model: 'evil\r\nset-cookie: a=b' })
    expectError(answer, 404, 'model_not_found', 'model')
    expect(answer.headers['set-cookie']).toBeUndefined()
  })
})

describe('routes', () => {
  const pathOf = (path: string) => `${origin}${path.endsWith('/') ? `${path}sandbox-chat` : path}`

  test('each that isn’t public refuses without a key, all in the same words', async () => {
    const words = new Set<string>()
    for (const { path, method, access } of ROUTES) {
      if (access === 'operator') continue
      const answer = await httpCall(pathOf(path), { method, ...(method === 'POST' ? { body: chat } : {}) })
      if (access === 'public') expect(answer.status).toBe(200)
      else {
        expect({ status: answer.status, ...answer.json.error }).toMatchObject({ status: 401, code: 'invalid_api_key' })
        words.add(answer.json.error.message)
      }
      expectAlwaysThere(answer)
    }
    expect(words.size).toBe(1)
  })

  test('metrics are for this machine, and not for who comes through a proxy on it', async () => {
    const direct = await httpCall(`${origin}/metrics`)
    expect(direct.status).toBe(200)
    expect(direct.body).toContain('nemo_ledger_holds_open 0')
    expectError(await httpCall(`${origin}/metrics`, { headers: { 'x-forwarded-for': '10.0.0.1' } }), 404, 'not_found')
  })

  test('each that spends is admitted: a key without requests left is refused on it; what only reads is not', async () => {
    const { key } = await world.issueKey(world.acme, 'exhausted', [
      { resource: 'requests', window: 'minute', bound: 1n },
    ])
    expect((await post(chat, { key })).status).toBe(200)
    const bodies: Record<string, object> = {
      '/v1/chat/completions': chat,
      '/v1/messages': { ...chat, max_tokens: 10 },
      '/v1/messages/count_tokens': chat,
      '/v1/quote': chat,
      '/v1/responses': { model: 'sandbox-chat', input: 'x' },
      '/v1/embeddings': { model: 'sandbox-embeddings', input: 'x' },
      '/v1/images/generations': { model: 'sandbox-images', prompt: 'x' },
    }
    const before = world.sandbox.stats().requests
    for (const { path, method, access } of ROUTES) {
      if (access === 'admitted')
        expect((await httpCall(pathOf(path), { key, body: bodies[path]! })).json.error.code).toBe('rate_limit_exceeded')
      else {
        const body = bodies[path] ? { body: bodies[path] } : {}
        expect((await httpCall(pathOf(path), { method, key, ...body })).status).toBe(200)
      }
    }
    expect(world.sandbox.stats().requests).toBe(before)
  })

  test('what an installation can do is public, and tells nothing of credentials or of who calls what', async () => {
    const models = await httpCall(`${origin}/api/public/models`)
    const chatModel = models.json.data.find((model: { id: string }) => model.id === 'sandbox-chat')
    expect(chatModel.deployments).toEqual([
      {
        model: 'sandbox/sandbox-chat',
        provider: 'sandbox',
        endpoint: 'chat',
        context_tokens: 128_000,
        output_tokens_max: 4_096,
        capabilities: ['function-calling', 'vision'],
        deprecates_on: null,
        requests_per_minute: null,
        tokens_per_minute: null,
        price_version: expect.any(String),
        usd_per_million: { input: '0.15', cachedInput: '0.075', output: '0.6' },
      },
    ])
    const can = await httpCall(`${origin}/public/capabilities`)
    expect(can.json).toMatchObject({
      object: 'capabilities',
      streaming: true,
      endpoints: { '/v1/images/generations': true },
    })
    const page = await httpCall(`${origin}/api/public/models?limit=1&capability=vision&q=sandbox-chat`)
    expect(page.json).toMatchObject({ data: [{ id: 'sandbox-chat' }], has_more: false, last_id: 'sandbox-chat' })
    const next = await httpCall(`${origin}/api/public/models?after=sandbox-chat&endpoint=chat&q=flat`)
    expect(next.json.data.map(({ id }: { id: string }) => id)).toEqual(['sandbox-flat'])
    expectError(await httpCall(`${origin}/api/public/models?limit=0`), 400, 'invalid_request', 'limit')
    const known = { 'if-none-match': String(page.headers.etag) }
    const again = await httpCall(`${origin}/api/public/models?limit=1&capability=vision&q=sandbox-chat`, {
      headers: known,
    })
    expect([again.status, again.body]).toEqual([304, ''])
    expect(models.body + can.body).not.toContain(world.sandbox.origin)
    expect((await httpCall(`${origin}/healthz`)).json).toEqual({ status: 'ok' })
    expect((await httpCall(`${origin}/readyz`)).json).toEqual({ status: 'ready' })
  })
})

describe('another tenant’s model', () => {
  beforeAll(async () => {
    await world.deploy('rival-secret', world.sandbox.url, { organization: world.rival })
    await world.deploy('sandbox-flat', world.sandbox.url, { organization: world.rival })
    await vi.waitFor(async () => {
      const { json } = await httpCall(`${origin}/v1/models`, { key: world.rivalKey.key })
      expect(json.data.map(({ id }: { id: string }) => id)).toContain('rival-secret')
    })
  })

  test('is the same 404 as one that doesn’t exist, by whatever name it is tried, and isn’t listed', async () => {
    const neutral = (answer: Answer, name: string) => answer.body.replaceAll(JSON.stringify(name).slice(1, -1), '…')
    const absent = await post({ ...chat, model: 'absent' })
    for (const name of [
      'rival-secret',
      `${world.rival.id} rival-secret`,
      `${world.rival.id}/rival-secret`,
      `${uuidv7()} x`,
    ]) {
      const answer = await post({ ...chat, model: name })
      expectError(answer, 404, 'model_not_found', 'model')
      expect(neutral(answer, name)).toBe(neutral(absent, 'absent'))
      const shown = await httpCall(`${origin}/v1/models/${encodeURIComponent(name)}`, { key: world.researcher.key })
      expect(neutral(shown, name)).toBe(neutral(absent, 'absent'))
    }
    for (const path of ['/v1/models', '/api/public/models', '/public/capabilities']) {
      expect((await httpCall(`${origin}${path}`, { key: world.researcher.key })).body).not.toContain('rival-secret')
    }
    expect((await post({ ...chat, model: 'rival-secret' }, { key: world.rivalKey.key })).status).toBe(200)
  })

  test('of the same name as everyone’s is the one its owner means, and is listed once', async () => {
    const { json } = await httpCall(`${origin}/v1/models`, { key: world.rivalKey.key })
    const names = json.data.map(({ id }: { id: string }) => id)
    expect(names).toEqual([...new Set(names)])
    const own = await post({ ...chat, model: 'sandbox-flat' }, { key: world.rivalKey.key })
    expect(own.headers['x-nemo-request-cost']).not.toBe('0.01')
    const shared = await post({ ...chat, model: 'sandbox-flat' })
    expect(shared.headers['x-nemo-request-cost']).toBe('0.01')
  })
})
