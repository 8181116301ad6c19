import { generateKeyPairSync } from 'node:crypto'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { type ScriptedProvider, startScriptedProvider } from '@nemo/testing/scripted-provider'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** A provider that lies, floods and never ends: nothing of it may cost the caller, fill the memory or keep a connection. */
let world: World
let running: RunningGateway
let provider: ScriptedProvider

beforeAll(async () => {
  world = await makeWorld()
  provider = await startScriptedProvider()
  await world.deploy('hostile', provider.url)
  running = await runGateway(world, { retriesMax: 0, idleTimeoutMs: 2_000 })
})

afterAll(async () => {
  await running?.close()
  await provider?.close()
  await world?.close()
})

afterEach(async () => {
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

const ask = (more: object = {}) =>
  httpCall(`${running.url}/chat/completions`, {
    key: world.researcher.key,
    body: { model: 'hostile', messages: [{ role: 'user', content: 'hello' }], max_tokens: 50, ...more },
  })
const chunk = (content: string) => `data: {"choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`
const JSON_TYPE = { 'content-type': 'application/json' }
const SSE_TYPE = { 'content-type': 'text/event-stream' }

describe('whoever gives out the tokens for a provider, and doesn’t answer', () => {
  const body = { model: 'vertex-chat', messages: [{ role: 'user', content: 'hello' }], max_tokens: 50 }

  let issuer: ScriptedProvider

  beforeAll(async () => {
    issuer = await startScriptedProvider()
    issuer.script = () => {}
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' })
    const secret = JSON.stringify({ client_email: 'a@b', private_key, token_uri: issuer.url })
    await deployProvider(world, {
      ...{ provider: 'vertex', baseUrl: provider.url, secret },
      settings: { project: 'p', location: 'l' },
    })
    await vi.waitFor(() => expect(running.gateway.catalogue.find('vertex-chat', world.acme.id)).not.toBeNull())
  })

  afterAll(() => issuer?.close())

  test('is waited for no longer than the caller waits, whose impatience is no fault of the platform’s', async () => {
    const answer = await ask({ ...body, nemo_timeout_ms: 100 })
    expect([answer.status, answer.headers['x-nemo-attempts']]).toEqual([502, 'vertex/sandbox-chat=timeout'])
  })

  test('isn’t waited for once the client is gone, who owes nothing', async () => {
    const gone = new AbortController()
    const call = fetch(`${running.url}/chat/completions`, {
      ...{ method: 'POST', signal: gone.signal, body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json', authorization: `Bearer ${world.researcher.key}` },
    })
    await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(1))
    gone.abort()
    await expect(call).rejects.toThrow()
    await vi.waitFor(() => expect(running.gateway.ledger.open).toBe(0))
    await running.gateway.ledger.flush()
    const { rows } = await world.database.operator.query(
      `select status, cost_nanos, deployment_id, attempts from request_logs where model_group = 'vertex-chat' order by started_at desc limit 1`,
    )
    expect(rows).toMatchObject([{ status: 499, deployment_id: null, attempts: [{ outcome: 'hung-up' }] }])
    expect(Number(rows[0].cost_nanos)).toBe(0)
  })
})

describe('usage that can’t be', () => {
  test.each([
    ['negative', { prompt_tokens: -5, completion_tokens: -9 }],
    ['broken', { prompt_tokens: 1.5, completion_tokens: 2 }],
    ['text', { prompt_tokens: '9', completion_tokens: '9' }],
    ['beyond any ledger', { prompt_tokens: 9e15, completion_tokens: 9e15 }],
    ['zero', { prompt_tokens: 0, completion_tokens: 0 }],
    ['null', null],
    ['a list', []],
  ])('%s: it is counted here instead, and the answer is still charged', async (_, usage) => {
    provider.script = (response) =>
      response
        .writeHead(200, JSON_TYPE)
        .end(JSON.stringify({ choices: [{ message: { content: 'a '.repeat(300) } }], usage }))
    const plain = await ask()
    expect(Number(plain.headers['x-nemo-request-cost'])).toBeGreaterThan(0)
    expect(await running.logOf(plain.headers['x-nemo-request-id'] as string)).toMatchObject({ estimated: true })

    provider.script = (response) =>
      response
        .writeHead(200, SSE_TYPE)
        .end(`${chunk('a')}data: {"choices":[],"usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`)
    const streamed = await ask({ stream: true })
    expect(Number(streamed.trailers['x-nemo-request-cost'])).toBeGreaterThan(0)
    expect(await running.logOf(streamed.headers['x-nemo-request-id'] as string)).toMatchObject({
      status: 200,
      estimated: true,
    })
  })
})

describe('answers that are none', () => {
  test.each<[string, string, (script: Parameters<ScriptedProvider['script']>[0]) => void]>([
    [
      'an error with status 200',
      'malformed',
      (response) => response.writeHead(200, JSON_TYPE).end('{"error":{"message":"no"}}'),
    ],
    ['a redirect', 'malformed', (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end()],
    ['nothing', 'malformed', (response) => response.writeHead(204).end()],
    ['a list', 'malformed', (response) => response.writeHead(200, JSON_TYPE).end('[]')],
    [
      'headers without end',
      'reset',
      (response) => response.writeHead(200, { ...JSON_TYPE, 'x-long': 'x'.repeat(40_000) }).end('{}'),
    ],
    ['no HTTP', 'reset', (response) => response.socket!.end('hello\r\n\r\n')],
    [
      'an error page',
      '500',
      (response) => response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>\0oh</h1>'),
    ],
  ])('%s is a 502, and costs nothing', async (_, outcome, script) => {
    provider.script = script
    const answer = await ask()
    expect(answer.status).toBe(502)
    expect(answer.headers['x-nemo-attempts']).toBe(`sandbox/sandbox-chat=${outcome}`)
    expect(await running.logOf(answer.headers['x-nemo-request-id'] as string)).toMatchObject({ cost_nanos: null })
  })

  test('an error behind comments is still a status, since nothing was answered yet', async () => {
    provider.script = (response) =>
      response.writeHead(200, SSE_TYPE).end(': PROCESSING\n\ndata: {"error":{"message":"overloaded"}}\n\n')
    const answer = await ask({ stream: true })
    expect(answer.status).toBe(502)
    expect(answer.headers['x-nemo-attempts']).toBe('sandbox/sandbox-chat=stream_error')
  })

  test('hints before the answer are passed over', async () => {
    provider.script = (response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' })
      response.writeHead(200, JSON_TYPE).end('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}')
    }
    expect((await ask()).status).toBe(200)
  })

  test('a content type of any bytes doesn’t break the answer, or set headers', async () => {
    provider.script = (response) => {
      response.socket!.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; x="\xc3\xbc\xe2\x82\xac"\r\nconnection: close\r\n\r\n',
      )
      response.socket!.end(`${chunk('a')}data: [DONE]\n\n`)
    }
    const answer = await ask({ stream: true })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8')
  })
})

describe('streams without end', () => {
  test.each([
    ['an event', 'x'.repeat(1024 * 1024)],
    ['comments', ': wait\n\n'.repeat(150_000)],
  ])('%s: is given up before it fills the memory', async (_, piece) => {
    provider.script = (response) => {
      response.writeHead(200, SSE_TYPE)
      const flood = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once('drain', flood)
      }
      flood()
    }
    const answer = await ask({ stream: true })
    expect(answer.status).toBe(502)
    expect(answer.headers['x-nemo-attempts']).toBe('sandbox/sandbox-chat=malformed')
    await vi.waitFor(() => expect(provider.open).toBe(0))
  })

  test('what comes behind [DONE] is not handed on, and the connection is not kept for it', async () => {
    provider.script = (response) => {
      response.writeHead(200, SSE_TYPE).write(`${chunk('a')}data: [DONE]\n\n${chunk('late')}`)
      const more = () => {
        if (!response.destroyed) response.write(chunk('later'), () => setImmediate(more))
      }
      more()
    }
    const answer = await ask({ stream: true })
    expect(answer.body).toBe(`${chunk('a')}data: [DONE]\n\n`)
    await vi.waitFor(() => expect(provider.open).toBe(0))
  })

  test('an answer that dribbles is cut off at the caller’s patience', async () => {
    provider.script = (response) => {
      response.writeHead(200, JSON_TYPE)
      const timer = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(timer))
    }
    const answer = await ask({ nemo_timeout_ms: 150 })
    expect(answer.headers['x-nemo-attempts']).toBe('sandbox/sandbox-chat=timeout')
    await vi.waitFor(() => expect(provider.open).toBe(0))
  })
})
