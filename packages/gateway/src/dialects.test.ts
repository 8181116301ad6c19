import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import { formatUsd } from '@nemo/domain/money'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** Providers of every dialect, by real HTTP, as the unmodified clients of OpenAI and Anthropic see them. */
let world: World
let running: RunningGateway
let openai: OpenAI
let anthropic: Anthropic

/** Provider, path of its dialect in the sandbox, and what it is let in with. */
const AWS = JSON.stringify({ accessKeyId: 'AKIDSANDBOX', secretAccessKey: 'sandbox-secret' })
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const serviceAccount = (token_uri: string) =>
  JSON.stringify({
    client_email: 'nemo@p.iam.gserviceaccount.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri,
  })

const SPOKEN: readonly { provider: string; path: string; secret?: (tokenUri: string) => string }[] = [
  { provider: 'anthropic', path: '/anthropic' },
  { provider: 'cohere', path: '/cohere/v2' },
  { provider: 'gemini', path: '/gemini/v1beta' },
  {
    provider: 'vertex',
    path: '/vertex/v1/projects/p/locations/l',
    secret: serviceAccount,
  },
  { provider: 'vertex-anthropic', path: '/vertex/v1/projects/p/locations/l', secret: serviceAccount },
  { provider: 'bedrock', path: '/bedrock', secret: () => AWS },
  { provider: 'bedrock-anthropic', path: '/bedrock', secret: () => AWS },
]
/** Gives a token to everyone who asks, as Google's does to who may. */
const tokens = createServer((_, response) => response.end('{"access_token":"ya29.sandbox","expires_in":3600}'))

beforeAll(async () => {
  world = await makeWorld()
  await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve))
  const tokenUri = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`
  for (const { provider, path, secret } of SPOKEN) {
    await deployProvider(world, {
      provider,
      baseUrl: `${world.sandbox.origin}${path}`,
      ...(secret && { secret: secret(tokenUri) }),
    })
  }
  running = await runGateway(world)
  openai = new OpenAI({ apiKey: world.researcher.key, baseURL: running.url, maxRetries: 0 })
  anthropic = new Anthropic({ apiKey: world.researcher.key, baseURL: running.server.url, maxRetries: 0 })
})

afterAll(async () => {
  await running?.close()
  await world?.close()
  tokens.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
})

const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const PICTURE: OpenAI.ChatCompletionContentPart = {
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${PIXEL}` },
}

describe.each(SPOKEN)('$provider', ({ provider }) => {
  const model = `${provider}-chat`
  const ask = { model, max_tokens: 200, messages: [{ role: 'user' as const, content: 'Say something about rivers.' }] }

  test('an answer, and the same as a stream, charged alike', async () => {
    const { data, response } = await openai.chat.completions.create(ask).withResponse()
    expect(data.object).toBe('chat.completion')
    expect(data.choices[0]).toMatchObject({ index: 0, finish_reason: 'stop', message: { role: 'assistant' } })
    const stream = openai.chat.completions.stream({ ...ask, stream_options: { include_usage: true } })
    const streamed = await stream.finalChatCompletion()
    expect(streamed.choices[0]!.message.content).toBe(data.choices[0]!.message.content)
    expect(streamed.usage).toMatchObject({ completion_tokens: data.usage!.completion_tokens })
    const row = await running.logOf(response.headers.get('x-nemo-request-id'))
    expect(row).toMatchObject({ provider, estimated: false, status: 200 })
    expect(Number(response.headers.get('x-nemo-request-cost'))).toBe(Number(row.cost_nanos) / 1e9)
    expect(row.input_tokens).toBe(BigInt(data.usage!.prompt_tokens))
  })

  test('what a stream cost is one number in its last chunk, its trailer, the log and the ledger', async () => {
    world.sandbox.configure({ cached_tokens: 3, reasoning_tokens: 5 })
    const streams: [string, object][] = [
      ['/v1/chat/completions', { ...ask, stream: true, stream_options: { include_usage: true } }],
      ['/v1/messages', { ...ask, stream: true }],
      ['/v1/responses', { model, max_output_tokens: 200, input: 'Say something about rivers.', stream: true }],
    ]
    for (const [path, body] of streams) {
      const answer = await httpCall(running.server.url + path, { key: world.researcher.key, body })
      const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
      const trailer = answer.trailers['x-nemo-request-cost']
      expect(row, path).toMatchObject({ provider, status: 200, estimated: false })
      expect(row.cost_nanos, path).toBeGreaterThan(0n)
      expect(trailer, path).toBe(formatUsd(row.cost_nanos!))
      expect(answer.body.match(/"cost":[\d.e-]+/g)?.at(-1), path).toBe(`"cost":${Number(trailer)}`)
      const { rows } = await world.database.operator.query(
        'select -amount_nanos as charged, (select sum(cost_nanos)::bigint from request_logs where entry_id = e.id) as logged from ledger_entries e where id = $1',
        [(row as unknown as { entry_id: string }).entry_id],
      )
      // An entry is of all calls that were settled together.
      expect(rows[0].charged, path).toBe(rows[0].logged)
    }
  })

  test('system messages, several turns and a picture arrive', async () => {
    const answer = await openai.chat.completions.create({
      ...ask,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
        { role: 'assistant', content: 'Hello!' },
        { role: 'user', content: [{ type: 'text', text: 'What is this?' }, PICTURE] },
      ],
    })
    expect(answer.choices[0]!.message.content).toBeTruthy()
    const sent = JSON.stringify(world.sandbox.stats(1).recent[0]!.body)
    for (const part of ['Be brief.', 'Hello!', 'What is this?', PIXEL]) expect(sent).toContain(part)
  })

  test('a tool is called, streamed and not, and its result goes back under its id', async () => {
    const withTool = { ...ask, tools: [weather], tool_choice: 'required' as const }
    const plain = await openai.chat.completions.create(withTool)
    const call = plain.choices[0]!.message.tool_calls![0]!
    expect(plain.choices[0]!.finish_reason).toBe('tool_calls')
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } })
    if (call.type !== 'function') throw new Error('not a function')
    expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String) })
    const streamed = await openai.chat.completions.stream(withTool).finalChatCompletion()
    expect(streamed.choices[0]!.message.tool_calls).toHaveLength(1)
    const answer = await openai.chat.completions.create({
      ...ask,
      tools: [weather],
      messages: [...ask.messages, plain.choices[0]!.message, { role: 'tool', tool_call_id: call.id, content: 'Rain.' }],
    })
    expect(answer.choices[0]!.finish_reason).toBe('stop')
  })

  test('a cap ends an answer, and a stop sequence does', async () => {
    expect((await openai.chat.completions.create({ ...ask, max_tokens: 3 })).choices[0]!.finish_reason).toBe('length')
    const whole = (await openai.chat.completions.create(ask)).choices[0]!.message.content!
    const stop = whole.split(' ')[3]!
    const stopped = await openai.chat.completions.create({ ...ask, stop: [stop] })
    expect(stopped.choices[0]!.message.content).toBe(whole.slice(0, whole.indexOf(stop)))
  })

  test('what it can’t do is refused by name, and not passed over', async () => {
    const { status, json } = await httpCall(`${running.url}/chat/completions`, {
      key: world.researcher.key,
      body: { ...ask, logit_bias: { '50256': -100 } },
    })
    expect([status, json.error.code, json.error.param]).toEqual([400, 'unsupported_parameter', 'logit_bias'])
  })

  test('or left out, and named, where the organization wants that', async () => {
    const lenient = await world.organization(`lenient-${provider}`, '1')
    await world.database.operator.query('update organizations set drop_unsupported = true where id = $1', [lenient.id])
    const { key } = await world.issueKey(lenient, 'agent')
    const { status, headers } = await httpCall(`${running.url}/chat/completions`, {
      key,
      body: { ...ask, logit_bias: { '50256': -100 } },
    })
    expect([status, headers['x-nemo-dropped-params']]).toEqual([200, 'logit_bias'])
  })

  test('a hint for a prompt cache is heeded, or left out and named', async () => {
    const content = [{ type: 'text', text: 'hello', cache_control: { type: 'ephemeral' } }]
    const { status, headers } = await httpCall(`${running.url}/chat/completions`, {
      key: world.researcher.key,
      body: { ...ask, messages: [{ role: 'user', content }], prompt_cache_key: 'conversation-1' },
    })
    const heedsMarks = provider.endsWith('anthropic') || provider === 'bedrock'
    const leftOut = heedsMarks ? 'prompt_cache_key' : 'cache_control, prompt_cache_key'
    expect([status, headers['x-nemo-dropped-params']]).toEqual([200, leftOut])
  })

  test('tokens are counted by Anthropic for its own models, and by estimate for others, or when it doesn’t answer', async () => {
    const count = (more: object = {}) =>
      httpCall(`${running.url}/messages/count_tokens`, {
        key: world.researcher.key,
        body: { model, messages: ask.messages, ...more },
      })
    const { status, headers, json } = await count()
    expect([status, headers['x-nemo-estimated']]).toEqual([200, provider === 'anthropic' ? undefined : 'true'])
    expect(json).toEqual({ input_tokens: expect.any(Number) })
    const used = (await openai.chat.completions.create(ask)).usage!.prompt_tokens
    if (provider === 'anthropic') expect(json.input_tokens).toBe(used)
    else expect(json.input_tokens).toBeGreaterThanOrEqual(used)

    const instead = await count({ sandbox: { status: 500 } })
    expect([instead.status, instead.headers['x-nemo-estimated']]).toEqual([200, 'true'])
    expect((await count({ model: 'nowhere' })).status).toBe(404)
    expect((await count({ messages: 'hello' })).status).toBe(400)
  })

  test.each([
    ['a cut stream never ends cleanly', { cut_at_byte: 700 }],
    ['an error amid a stream is told', { stream_error_after: 2 }],
    ['a stream without its last event never ends cleanly', { no_done: true }],
  ])('%s', async (_, sandbox) => {
    const answer = await httpCall(`${running.url}/chat/completions`, {
      key: world.researcher.key,
      body: { ...ask, stream: true, sandbox, nemo_max_retries: 0 },
    })
    expect(answer.body).not.toContain('[DONE]')
    if (answer.status === 200) expect(answer.body).toContain('upstream_failed')
    else expect(answer.status).toBe(502)
  })

  test('a stream in pieces of a few bytes says the same', async () => {
    const body = { ...ask, stream: true, stream_options: { include_usage: true } }
    const whole = await httpCall(`${running.url}/chat/completions`, { key: world.researcher.key, body })
    const pieces = await httpCall(`${running.url}/chat/completions`, {
      key: world.researcher.key,
      body: { ...body, sandbox: { chunk_bytes: 7 } },
    })
    const texts = (text: string) => [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join('')
    expect(texts(pieces.body)).toBe(texts(whole.body))
    expect(pieces.body).toContain('[DONE]')
  })

  test('its errors are the caller’s where the caller made them, and tried elsewhere where it didn’t', async () => {
    const fail = (status: number) =>
      httpCall(`${running.url}/chat/completions`, {
        key: world.researcher.key,
        body: { ...ask, sandbox: { status }, nemo_max_retries: 0 },
      })
    expect((await fail(400)).status).toBe(400)
    for (const status of [401, 429, 500, 529]) expect((await fail(status)).status).toBe(502)
  })

  test('Anthropic’s client gets a message, streamed and not', async () => {
    const message = { model, max_tokens: 100, messages: ask.messages }
    const plain = await anthropic.messages.create(message)
    expect(plain.content[0]).toMatchObject({ type: 'text' })
    const streamed = await anthropic.messages.stream(message).finalMessage()
    expect(streamed.content[0]).toMatchObject({ text: (plain.content[0] as Anthropic.TextBlock).text })
    expect(streamed.usage.output_tokens).toBe(plain.usage.output_tokens)
  })
})
