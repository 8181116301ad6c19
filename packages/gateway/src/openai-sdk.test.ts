import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** The unmodified `openai` package against a real gateway, a real Postgres and a real HTTP provider. */
let world: World
let running: RunningGateway
let openai: OpenAI

beforeAll(async () => {
  world = await makeWorld()
  running = await runGateway(world)
  openai = clientOf(world.researcher.key)
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

const clientOf = (apiKey: string, maxRetries = 0) => new OpenAI({ apiKey, baseURL: running.url, maxRetries })
const question = [{ role: 'user' as const, content: 'What is the capital of France?' }]
const chat = { model: 'sandbox-chat', messages: question }
/** A body with settings for the sandbox, which the SDK sends on as it sends everything. */
const withFault = <B extends object>(body: B, sandbox: object): B => ({ ...body, sandbox })
const lastBody = () => world.sandbox.stats(1).recent[0]!.body!

const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
    },
  },
}
const clock: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'clock',
    parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] },
  },
}

describe('chat completions', () => {
  test('an answer comes with its usage, and its cost is one number in header and log', async () => {
    const { data, response, request_id } = await openai.chat.completions.create(chat).withResponse()
    expect(data.choices[0]!.message.content).toBeTruthy()
    expect(data.usage!.total_tokens).toBe(data.usage!.prompt_tokens + data.usage!.completion_tokens)
    const nanos = Math.ceil(
      (data.usage!.prompt_tokens * 150_000_000 + data.usage!.completion_tokens * 600_000_000) / 1e6,
    )
    expect(response.headers.get('x-nemo-request-cost')).toBe((nanos / 1e9).toFixed(9).replace(/0+$/, ''))
    expect(response.headers.get('x-nemo-provider')).toBe('sandbox')
    expect(response.headers.get('x-nemo-attempts')).toBe('sandbox/sandbox-chat=200')
    const row = await running.logOf(request_id)
    expect(row).toMatchObject({
      status: 200,
      key_alias: 'researcher',
      model: 'sandbox-chat',
      cost_nanos: BigInt(nanos),
      estimated: false,
      streamed: false,
    })
    expect(row.price_version_id).toBeTruthy()
  })

  test('a stream gives the same text as the plain answer, and the usage only to who asked for it', async () => {
    const plain = await openai.chat.completions.create(chat)
    let text = ''
    let usage: unknown = null
    const { data: stream, request_id } = await openai.chat.completions.create({ ...chat, stream: true }).withResponse()
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? ''
      usage = chunk.usage ?? usage
    }
    expect(text).toBe(plain.choices[0]!.message.content)
    expect(usage).toBeNull()
    const row = await running.logOf(request_id)
    expect(row).toMatchObject({ status: 200, streamed: true, estimated: false })
    expect(Number(row.output_tokens)).toBe(plain.usage!.completion_tokens)

    const asked = await openai.chat.completions.create({
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    })
    for await (const chunk of asked) usage = chunk.usage ?? usage
    expect(usage).toMatchObject({ ...plain.usage, cost: Number(row.cost_nanos) / 1e9 })
  })

  test('a picture and a text in one message reach the provider as they were sent', async () => {
    const content: OpenAI.ChatCompletionContentPart[] = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'high' } },
    ]
    await openai.chat.completions.create({ model: 'sandbox-chat', messages: [{ role: 'user', content }] })
    expect(lastBody()).toEqual({ model: 'sandbox-chat', messages: [{ role: 'user', content }] })
  })

  test('JSON mode and a JSON schema are answered with what they promise', async () => {
    const anything = await openai.chat.completions.create({ ...chat, response_format: { type: 'json_object' } })
    expect(JSON.parse(anything.choices[0]!.message.content!)).toBeTypeOf('object')
    const response_format = {
      type: 'json_schema' as const,
      json_schema: {
        name: 'capital',
        schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    }
    const exact = await openai.chat.completions.parse({ ...chat, response_format })
    expect(JSON.parse(exact.choices[0]!.message.content!)).toEqual({ city: expect.any(String) })
  })
})

describe('tools', () => {
  test('one call, its result, and the answer: a whole turn of an agent', async () => {
    const first = await openai.chat.completions.create({ ...chat, tools: [weather] })
    const { message, finish_reason } = first.choices[0]!
    expect(finish_reason).toBe('tool_calls')
    const [call] = message.tool_calls!
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } })
    const second = await openai.chat.completions.create({
      ...chat,
      messages: [...question, message, { role: 'tool', tool_call_id: call!.id, content: '{"degrees":21}' }],
      tools: [weather],
    })
    expect(second.choices[0]!.message.content).toBeTruthy()
    expect(second.choices[0]!.finish_reason).toBe('stop')
  })

  test('parallel calls keep their ids apart, and the stream gives the same arguments as the plain answer', async () => {
    const body = withFault({ ...chat, tools: [weather, clock] }, { tool_calls: 3 })
    const plain = (await openai.chat.completions.create(body)).choices[0]!.message.tool_calls!
    expect(plain.map((call) => call.type === 'function' && call.function.name)).toEqual(['weather', 'clock', 'weather'])
    expect(new Set(plain.map((call) => call.id)).size).toBe(3)

    const stream = openai.chat.completions.stream(body)
    const streamed = (await stream.finalChatCompletion()).choices[0]!.message.tool_calls!
    expect(streamed.map(({ id, function: { name, arguments: args } }) => ({ id, name, args }))).toEqual(
      plain.map((call) => ({
        id: call.id,
        name: call.type === 'function' && call.function.name,
        args: call.type === 'function' && call.function.arguments,
      })),
    )
  })

  test('a forced choice calls the tool that was named', async () => {
    const { choices } = await openai.chat.completions.create({
      ...chat,
      tools: [weather, clock],
      tool_choice: { type: 'function', function: { name: 'clock' } },
      parallel_tool_calls: false,
    })
    expect(choices[0]!.message.tool_calls).toMatchObject([{ function: { name: 'clock' } }])
  })
})

describe('embeddings, images and models', () => {
  test('an embedding is the same by base64, which the SDK asks for, and by floats, and has the dimensions asked for', async () => {
    const body = { model: 'sandbox-embeddings', input: ['one', 'two'], dimensions: 8 }
    const base64 = await openai.embeddings.create(body)
    const floats = await openai.embeddings.create({ ...body, encoding_format: 'float' })
    expect(base64.data.map(({ embedding }) => embedding.length)).toEqual([8, 8])
    expect(base64.data[1]!.embedding).toEqual(floats.data[1]!.embedding.map(Math.fround))
    const { response, request_id } = await openai.embeddings.create({ ...body, input: 'a' }).withResponse()
    expect(response.headers.get('x-nemo-request-cost')).toBe('0.00000002')
    expect(await running.logOf(request_id)).toMatchObject({ endpoint: 'embeddings', cost_nanos: 20n })
  })

  test('an embedding without usage is counted by what went in, not by the numbers that came out', async () => {
    const { request_id } = await openai.embeddings
      .create(withFault({ model: 'sandbox-embeddings', input: 'hello' }, { usage: 'missing' }))
      .withResponse()
    expect(await running.logOf(request_id)).toMatchObject({ estimated: true, output_tokens: 0n })
  })

  test('two images cost twice as much as one, by URL and in base64', async () => {
    const byUrl = await openai.images
      .generate({ model: 'sandbox-images', prompt: 'a cat', n: 2, response_format: 'url' })
      .withResponse()
    expect(byUrl.data.data!.map((image) => URL.canParse(image.url!))).toEqual([true, true])
    expect(byUrl.response.headers.get('x-nemo-request-cost')).toBe('0.08')
    const inline = await openai.images
      .generate({ model: 'sandbox-images', prompt: 'a cat', response_format: 'b64_json' })
      .withResponse()
    expect(Buffer.from(inline.data.data![0]!.b64_json!, 'base64').subarray(1, 4).toString()).toBe('PNG')
    expect(inline.response.headers.get('x-nemo-request-cost')).toBe('0.04')
  })

  test('models are listed, found by name, and otherwise not found', async () => {
    const names: string[] = []
    for await (const model of openai.models.list()) names.push(model.id)
    expect(names.sort()).toEqual(['sandbox-chat', 'sandbox-embeddings', 'sandbox-flat', 'sandbox-images'])
    expect(await openai.models.retrieve('sandbox-chat')).toMatchObject({ id: 'sandbox-chat', object: 'model' })
    for (const id of ['nothing', 'some/thing', 'sandbox/sandbox-chat']) {
      await expect(openai.models.retrieve(id)).rejects.toThrow(OpenAI.NotFoundError)
    }
  })
})

describe('hanging up', () => {
  test('amid a stream: what was seen is charged, the provider is hung up on, and the hold ends', async () => {
    const { data: stream, request_id } = await openai.chat.completions
      .create(withFault({ ...chat, stream: true as const }, { tokens: 100_000, chunk_ms: 2 }))
      .withResponse()
    let seen = 0
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) seen++
      if (seen === 5) break
    }
    const row = await running.logOf(request_id)
    expect(row).toMatchObject({ status: 499, error_code: 'hung_up', estimated: true })
    expect(Number(row.output_tokens)).toBeGreaterThanOrEqual(5)
    expect(row.cost_nanos).toBeGreaterThan(5n * 600n)
    await vi.waitFor(() => expect(world.sandbox.stats()).toMatchObject({ open: 0, aborted: 1 }))
  })

  test('before the first byte: the prompt is charged, the provider is hung up on, and the hold ends', async () => {
    for (const stream of [true, false]) {
      world.sandbox.reset()
      const controller = new AbortController()
      const call = openai.chat.completions.create(withFault({ ...chat, stream }, { hang: 'before' }), {
        signal: controller.signal,
      })
      await vi.waitFor(() => expect(world.sandbox.stats().open).toBe(1))
      controller.abort()
      await expect(call).rejects.toThrow(OpenAI.APIUserAbortError)
      await vi.waitFor(() => expect(world.sandbox.stats()).toMatchObject({ requests: 1, open: 0, aborted: 1 }))
      const { rows } = await vi.waitFor(async () => {
        const found = await world.database.operator.query(
          `select * from request_logs where status = 499 and first_token_ms is null and streamed = $1`,
          [stream],
        )
        expect(found.rows).toHaveLength(1)
        return found
      })
      expect(rows[0]).toMatchObject({ estimated: true, output_tokens: 0n })
      expect(rows[0].cost_nanos).toBeGreaterThan(0n)
    }
  })
})

describe('errors', () => {
  const errorOf = (call: Promise<unknown>) =>
    call.then(
      () => expect.fail('the call succeeded'),
      (error: unknown) => error as InstanceType<typeof OpenAI.APIError>,
    )

  test('a key that is missing, garbage, unknown, revoked or expired gets the same 401, word for word', async () => {
    const revoked = await world.issueKey(world.acme, 'soon-revoked')
    await world.database.operator.query('update virtual_keys set revoked_at = now() where id = $1', [revoked.id])
    const expired = await world.issueKey(world.acme, 'expired', [], { expiresAt: new Date(Date.now() - 1_000) })
    const { newVirtualKey } = await import('@nemo/domain/virtual-key')
    const keys = [undefined, 'garbage', 'sk-nemo-', newVirtualKey(), `${newVirtualKey()}x`, revoked.key, expired.key]
    const bodies = new Set<string>()
    for (const key of keys) {
      const answer = await httpCall(`${running.url}/chat/completions`, { key, body: chat })
      expect(answer.status).toBe(401)
      bodies.add(answer.body)
    }
    expect(bodies.size).toBe(1)
    const error = await errorOf(clientOf(revoked.key).chat.completions.create(chat))
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
    expect(error).toMatchObject({ code: 'invalid_api_key', param: null, requestID: expect.stringMatching(/^req_/) })
  })

  test.each([
    ['an unknown model', { model: 'nothing' }, OpenAI.NotFoundError, 'model_not_found', 'model'],
    ['messages that are none', { messages: [] }, OpenAI.BadRequestError, 'invalid_request', 'messages'],
    ['the provider’s own refusal', { temperature: 7 }, OpenAI.BadRequestError, 'invalid_value', 'temperature'],
    ['a parallel universe', { nemo_universe: 2 }, OpenAI.BadRequestError, 'invalid_request', 'nemo_universe'],
  ])('%s is an error of its class, with its param and the request id', async (_, change, errorClass, code, param) => {
    const error = await errorOf(openai.chat.completions.create({ ...chat, ...change } as never))
    expect(error).toBeInstanceOf(errorClass)
    expect(error).toMatchObject({ code, param })
    expect(error.requestID).toMatch(/^req_[0-9a-f]{32}$/)
    expect(await running.logOf(error.requestID)).toMatchObject({ status: error.status, error_code: code })
  })

  test.each([
    ['requests', 2n, 'rate_limit_exceeded'],
    ['tokens', 1_000n, 'tpm_limit_exceeded'],
  ] as const)('a limit on %s refuses with 429 and says when to come again', async (resource, bound, code) => {
    const { key } = await world.issueKey(world.acme, `limited-${resource}`, [{ resource, window: 'minute', bound }])
    const limited = clientOf(key)
    const body = { ...chat, max_tokens: 400 }
    await limited.chat.completions.create(body)
    await limited.chat.completions.create(body)
    const error = await errorOf(
      limited.chat.completions.create({ ...body, messages: [{ role: 'user', content: 'long '.repeat(480) }] }),
    )
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    expect(error.code).toBe(code)
    const seconds = Number(error.headers!.get('retry-after'))
    expect(seconds).toBeGreaterThan(50)
    expect(seconds).toBeLessThanOrEqual(62)
    expect(Number(error.headers!.get('retry-after-ms'))).toBeLessThanOrEqual(seconds * 1000)
  })

  test('a request larger than its limit can ever hold is not tried again', async () => {
    const { key } = await world.issueKey(world.acme, 'tiny', [{ resource: 'tokens', window: 'minute', bound: 10n }])
    const error = await errorOf(clientOf(key, 2).chat.completions.create(chat))
    expect(error).toMatchObject({ status: 429, code: 'tpm_limit_exceeded' })
    expect(error.headers!.get('x-should-retry')).toBe('false')
    await running.logOf(error.requestID)
    const { rows } = await world.database.operator.query(
      `select count(*)::int as calls from request_logs where key_alias = 'tiny'`,
    )
    expect(rows).toEqual([{ calls: 1 }])
  })

  test('an empty purse and a spent budget are 402, which the SDK does not try again', async () => {
    const poor = await world.organization('poor', '0')
    const broke = await world.issueKey(poor, 'broke')
    const capped = await world.issueKey(world.acme, 'capped', [{ resource: 'cost', window: 'day', bound: 1n }])
    for (const [{ key, id }, code] of [
      [broke, 'insufficient_credits'],
      [capped, 'budget_exceeded'],
    ] as const) {
      const error = await errorOf(clientOf(key, 2).chat.completions.create(chat))
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).toMatchObject({ status: 402, code, type: 'billing_error' })
      expect(error.error).toMatchObject({ limit: { used: '$0', held: '$0' } })
      await running.logOf(error.requestID)
      const { rows } = await world.database.operator.query(
        'select status, cost_nanos from request_logs where key_id = $1',
        [id],
      )
      expect(rows).toEqual([{ status: 402, cost_nanos: null }])
    }
    expect(world.sandbox.stats().requests).toBe(0)
  })

  test('when every attempt failed it is a 502 once: the SDK does not run the chain again', async () => {
    world.sandbox.configure({ status: 500 })
    const error = await errorOf(clientOf(world.researcher.key, 2).chat.completions.create(chat))
    expect(error).toBeInstanceOf(OpenAI.InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(error.headers!.get('x-nemo-attempts')).toBe(Array(3).fill('sandbox/sandbox-chat=500').join(', '))
    expect(error.headers!.get('x-nemo-request-cost')).toBeNull()
    expect(world.sandbox.stats().requests).toBe(3)
  })

  test('a stream that breaks off throws at the SDK’s user, who never takes half an answer for a whole one', async () => {
    const stream = await openai.chat.completions.create(
      withFault({ ...chat, stream: true as const }, { cut_at_byte: 900 }),
    )
    let text = ''
    const reading = (async () => {
      for await (const part of stream) text += part.choices[0]?.delta.content ?? ''
    })()
    await expect(reading).rejects.toThrow(OpenAI.APIError)
    expect(text).not.toBe('')
  })

  test('a body over the limit is a 413 that the SDK gets to see', async () => {
    const error = await errorOf(
      openai.chat.completions.create({ ...chat, messages: [{ role: 'user', content: 'x'.repeat(21 * 1024 * 1024) }] }),
    )
    expect(error).toMatchObject({ status: 413, code: 'request_too_large' })
    expect(await running.logOf(error.requestID)).toMatchObject({ status: 413, model_group: null })
  })
})
