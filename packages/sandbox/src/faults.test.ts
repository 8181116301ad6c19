import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from './sandbox.ts'

let sandbox: Sandbox
let client: OpenAI

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new OpenAI({ apiKey: 'sk-any', baseURL: sandbox.url, maxRetries: 0 })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const messages = [{ role: 'user' as const, content: 'Say something about rivers.' }]
const asked = (settings: object, more: object = {}) =>
  JSON.stringify({ model: 'sandbox-chat', messages, ...more, sandbox: settings })

function post(settings: object, more: object = {}) {
  return fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-any' },
    body: asked(settings, more),
  })
}

/** What arrives before the connection ends, chunk by chunk, and whether it ended as it should. */
async function received(body: string): Promise<{ head: IncomingMessage; pieces: Buffer[]; complete: boolean }> {
  const request = httpRequest(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    agent: false,
    headers: { authorization: 'Bearer sk-any' },
  })
  request.end(body)
  const [head] = (await once(request, 'response')) as [IncomingMessage]
  const pieces: Buffer[] = []
  head.on('data', (piece: Buffer) => pieces.push(piece))
  head.on('error', () => {})
  await new Promise((resolve) => head.on('close', resolve))
  return { head, pieces, complete: head.complete }
}

async function eventually(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 200) throw new Error('it never came true')
    await delay(5)
  }
}

test.each([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529])(
  'status %d comes with a whole error body',
  async (status) => {
    const answer = await post({ status, retry_after: 1.5, rate_limit_headers: true })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(answer.headers.get('retry-after-ms')).toBe('1500')
    expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe(status === 429 ? '0' : '9999')
    expect(Object.keys(((await answer.json()) as { error: object }).error)).toEqual([
      'message',
      'type',
      'param',
      'code',
    ])
  },
)

test("an error's code and message can be chosen, and the SDK reads them", async () => {
  const settings = { status: 400, error_code: 'context_length_exceeded', error_message: 'too long' }
  const body = JSON.parse(asked(settings)) as OpenAI.ChatCompletionCreateParamsNonStreaming
  await expect(client.chat.completions.create(body)).rejects.toMatchObject({
    status: 400,
    code: 'context_length_exceeded',
    message: '400 too long',
  })
})

test('a cut connection ends mid-byte', async () => {
  const whole = Buffer.concat((await received(asked({ unicode: true }, { stream: true }))).pieces)
  // Inside the second byte of the first multibyte character.
  const at = whole.findIndex((byte) => byte > 0x7f) + 1
  for (const chunk_bytes of [null, 7]) {
    const cut = await received(asked({ unicode: true, cut_at_byte: at, chunk_bytes }, { stream: true }))
    const bytes = Buffer.concat(cut.pieces)
    expect(cut.complete).toBe(false)
    expect(bytes).toHaveLength(at)
    expect(bytes.toString().endsWith('\ufffd')).toBe(true)
  }
  await eventually(() => sandbox.stats().open === 0)
  expect(sandbox.stats()).toMatchObject({ aborted: 0 })
})

test('a plain answer can be cut too, right after its head even', async () => {
  for (const cut_at_byte of [0, 10]) {
    const cut = await received(asked({ cut_at_byte }))
    expect([cut.head.statusCode, Buffer.concat(cut.pieces).length, cut.complete]).toEqual([200, cut_at_byte, false])
  }
  const whole = await received(asked({ cut_at_byte: 1_000_000 }))
  expect(whole.complete).toBe(true)
})

test.each([true, false])('re-chunking changes where bytes are split and nothing else (stream: %s)', async (stream) => {
  const plain = await received(asked({ unicode: true }, { stream }))
  const split = await received(asked({ unicode: true, chunk_bytes: 3 }, { stream }))
  const text = (pieces: Buffer[]) =>
    Buffer.concat(pieces)
      .toString()
      .replaceAll(/chatcmpl-\w+/g, 'id')
  expect(text(split.pieces)).toBe(text(plain.pieces))
  if (stream) expect(split.pieces.length).toBeGreaterThan(plain.pieces.length)
  expect(split.pieces.filter((piece) => piece.length % 3 !== 0).length).toBeLessThanOrEqual(1)
})

test.each([
  { crlf: true },
  { comments: true },
  { crlf: true, comments: true, chunk_bytes: 1, unicode: true, tokens: 3 },
])('the SDK reads a stream with %j', async (settings) => {
  const body = JSON.parse(asked(settings, { stream: true })) as OpenAI.ChatCompletionCreateParamsStreaming
  let tokens = 0
  for await (const chunk of await client.chat.completions.create(body)) {
    if (chunk.choices[0]!.delta.content) tokens++
  }
  expect(tokens).toBe('tokens' in settings ? 3 : 24)
})

test('CRLF and comments are on the wire', async () => {
  const text = await (await post({ crlf: true, comments: true, tokens: 1 }, { stream: true })).text()
  expect(text.startsWith(': keep-alive\r\n\r\ndata: {')).toBe(true)
  expect(text.endsWith('data: [DONE]\r\n\r\n')).toBe(true)
  expect(text.replaceAll('\r\n', '')).not.toContain('\n')
})

test('a connection is reset before any answer', async () => {
  const socket = connect(sandbox.port, '127.0.0.1')
  const body = asked({ reset: 'before' })
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const bytes: Buffer[] = []
  socket.on('data', (piece) => bytes.push(piece))
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect([error.code, bytes.length]).toEqual(['ECONNRESET', 0])
})

test('a hang before the answer sends nothing, and is over once the client hangs up', async () => {
  const abort = new AbortController()
  const answer = client.chat.completions.create(JSON.parse(asked({ hang: 'before' })), { signal: abort.signal })
  await eventually(() => sandbox.stats().open === 1)
  abort.abort()
  await expect(answer).rejects.toThrow('aborted')
  await eventually(() => sandbox.stats().open === 0)
  expect(sandbox.stats().recent[0]).toMatchObject({ status: null, aborted: true, bytes: 0, tokens_sent: 0 })
})

test('a hang amid a stream keeps the socket open after so many events', async () => {
  const answer = await post({ hang: 'amid', hang_after: 3 }, { stream: true })
  const reader = answer.body!.getReader()
  let text = ''
  while (text.split('\n\n').length < 4) text += Buffer.from((await reader.read()).value!).toString()
  const stalled = await Promise.race([reader.read().then(() => 'more'), delay(20).then(() => 'stalled')])
  expect(stalled).toBe('stalled')
  expect(sandbox.stats()).toMatchObject({ open: 1, recent: [{ tokens_sent: 2 }] })
  await reader.cancel()
  await eventually(() => sandbox.stats().aborted === 1)
})

test('a hang amid a plain answer keeps back half of it', async () => {
  const answer = await post({ hang: 'amid' })
  const reader = answer.body!.getReader()
  const { value } = await reader.read()
  expect(value!.length).toBeLessThan(Number(answer.headers.get('content-length')))
  expect(sandbox.stats(1).recent[0]).toMatchObject({ bytes: value!.length, open: true, tokens_sent: 0 })
  await reader.cancel()
  await eventually(() => sandbox.stats().open === 0)
})

test('a hang-up stops generation at once', async () => {
  const body = JSON.parse(asked({ tokens: 100_000 }, { stream: true })) as OpenAI.ChatCompletionCreateParamsStreaming
  for (const chunk_ms of [0, 5]) {
    sandbox.reset()
    const stream = await client.chat.completions.create({
      ...body,
      sandbox: { tokens: 100_000, chunk_ms },
    } as typeof body)
    let seen = 0
    for await (const _ of stream) if (++seen === 3) break
    await eventually(() => sandbox.stats().open === 0)
    const { recent, aborted } = sandbox.stats()
    expect(aborted).toBe(1)
    expect(recent[0]!.tokens_sent).toBeGreaterThanOrEqual(2)
    expect(recent[0]!.tokens_sent).toBeLessThan(chunk_ms === 0 ? 100_000 : 10)
  }
})

test('a stream can end without [DONE]', async () => {
  const text = await (await post({ no_done: true, tokens: 1 }, { stream: true })).text()
  expect(text).toContain('"finish_reason":"stop"')
  expect(text).not.toContain('[DONE]')
})

test('an error event ends a stream after so many tokens, the last one included', async () => {
  for (const [stream_error_after, tokens] of [
    [0, 0],
    [2, 2],
    [24, 24],
  ] as const) {
    const body = JSON.parse(asked({ stream_error_after, error_code: 'overloaded' }, { stream: true }))
    let seen = 0
    const reading = (async () => {
      for await (const chunk of (await client.chat.completions.create(
        body,
      )) as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>) {
        if (chunk.choices[0]!.delta.content) seen++
        expect(chunk.choices[0]!.finish_reason).toBeNull()
      }
    })()
    await expect(reading).rejects.toMatchObject({ code: 'overloaded', type: 'server_error' })
    expect(seen).toBe(tokens)
  }
})

test('a malformed answer is no JSON, in a stream from its first token on', async () => {
  await expect((await post({ malformed: true })).json()).rejects.toThrow(SyntaxError)
  const events = (await (await post({ malformed: true }, { stream: true })).text()).split('\n\n')
  expect(() => JSON.parse(events[0]!.slice(6))).not.toThrow()
  expect(() => JSON.parse(events[1]!.slice(6))).toThrow(SyntaxError)
  expect(() => JSON.parse(events[2]!.slice(6))).not.toThrow()
})

test('a plain answer can come where a stream was asked for', async () => {
  const answer = await post({ not_a_stream: true }, { stream: true })
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(await answer.json()).toMatchObject({ object: 'chat.completion' })
})

test('latency comes before the first byte', async () => {
  const before = performance.now()
  await post({ latency_ms: 25 })
  expect(performance.now() - before).toBeGreaterThan(23)
})

test('the same seed fails the same requests', async () => {
  const run = async () => {
    sandbox.configure({ failure_rate: 0.5, failure_status: 503, seed: 42 })
    const statuses: number[] = []
    for (let index = 0; index < 20; index++) statuses.push((await post({})).status)
    return statuses
  }
  const first = await run()
  expect(await run()).toEqual(first)
  expect(new Set(first)).toEqual(new Set([200, 503]))
})

test('closing ends the connections that hang', async () => {
  const other = await startSandbox({ config: { hang_rate: 1 } })
  const answer = fetch(`${other.url}/models`, { headers: { authorization: 'Bearer x' } })
  await eventually(() => other.stats().open === 1)
  await Promise.all([expect(answer).rejects.toThrow(), other.close()])
})
