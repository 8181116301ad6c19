import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from './sandbox.ts'
import { promptTokens } from './tokens.ts'

let sandbox: Sandbox
let client: OpenAI

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new OpenAI({ apiKey: 'sk-any', baseURL: sandbox.url, maxRetries: 0 })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const user = [{ role: 'user' as const, content: 'Say something about rivers.' }]
const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } },
      required: ['city', 'days'],
    },
  },
}

/** Settings ride in a field that OpenAI's types don't know. */
function chat(more: object = {}) {
  return client.chat.completions.create({
    model: 'sandbox-chat',
    messages: user,
    ...more,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming)
}

async function chunks(more: object = {}) {
  const stream = await client.chat.completions.create({
    model: 'sandbox-chat',
    messages: user,
    stream: true,
    ...more,
  } as OpenAI.ChatCompletionCreateParamsStreaming)
  const seen: OpenAI.ChatCompletionChunk[] = []
  for await (const chunk of stream) seen.push(chunk)
  return seen
}

function post(body: unknown, headers: Record<string, string> = { authorization: 'Bearer sk-any' }) {
  return fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

test('the same request gets the same bytes', async () => {
  const body = { model: 'sandbox-chat', messages: user }
  const [first, second] = [await post(body), await post(body)]
  expect(await first.text()).toBe(await second.text())
  expect(first.headers.get('x-request-id')).not.toBe(second.headers.get('x-request-id'))
})

test('usage follows the documented rule', async () => {
  const { usage } = await chat({ sandbox: { tokens: 7, reasoning_tokens: 5, cached_tokens: 4 } })
  expect(usage).toMatchObject({
    prompt_tokens: promptTokens({ messages: user }),
    completion_tokens: 12,
    prompt_tokens_details: { cached_tokens: 4 },
    completion_tokens_details: { reasoning_tokens: 5 },
  })
  expect(usage!.total_tokens).toBe(usage!.prompt_tokens + 12)
})

test('a stream says what the plain answer says, a token a chunk, in the documented order', async () => {
  const plain = await chat({ sandbox: { tokens: 5, unicode: true } })
  const seen = await chunks({ stream_options: { include_usage: true }, sandbox: { tokens: 5, unicode: true } })
  expect(seen).toHaveLength(1 + 5 + 1 + 1)
  expect(seen[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '', refusal: null })
  expect(seen.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(plain.choices[0]!.message.content)
  expect(seen[6]!.choices[0]!.finish_reason).toBe('stop')
  expect(seen[7]).toMatchObject({ choices: [], usage: plain.usage })
  expect(seen.slice(0, 7).every((chunk) => chunk.usage === null)).toBe(true)
})

test('a stream carries no usage unless it is asked for', async () => {
  const seen = await chunks()
  expect(seen.every((chunk) => !('usage' in chunk) && chunk.choices.length === 1)).toBe(true)
})

test('the token limit cuts the answer, reasoning included', async () => {
  const cut = await chat({ max_tokens: 3 })
  expect(cut.choices[0]!.finish_reason).toBe('length')
  expect(cut.usage!.completion_tokens).toBe(3)
  const thought = await chat({ max_completion_tokens: 10, sandbox: { reasoning_tokens: 50 } })
  expect(thought.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } })
  expect(thought.usage!.completion_tokens).toBe(10)
  const exact = await chat({ max_tokens: 24 })
  expect(exact.choices[0]!.finish_reason).toBe('stop')
})

test('several choices differ, are counted together, and are streamed side by side', async () => {
  const plain = await chat({ n: 3, sandbox: { tokens: 4 } })
  const texts = plain.choices.map((choice) => choice.message.content)
  expect(new Set(texts).size).toBe(3)
  expect(plain.usage!.completion_tokens).toBe(12)
  const streamed = ['', '', '']
  for (const chunk of await chunks({ n: 3, sandbox: { tokens: 4 } })) {
    for (const { index, delta } of chunk.choices) streamed[index] += delta.content ?? ''
  }
  expect(streamed).toEqual(texts)
})

test('a stop sequence ends the text and is not part of it', async () => {
  const whole = (await chat()).choices[0]!.message.content!
  const stop = whole.split(' ')[3]!
  const stopped = (await chat({ stop: [stop] })).choices[0]!
  expect(stopped.message.content).toBe(whole.slice(0, whole.indexOf(stop)))
  expect(stopped.finish_reason).toBe('stop')
})

test('a tool is called with arguments that satisfy its schema, and its result is answered with text', async () => {
  const { choices } = await chat({ tools: [weather] })
  const call = choices[0]!.message.tool_calls![0]!
  expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
  if (call.type !== 'function') throw new Error('expected a function call')
  expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String), days: expect.any(Number) })
  const messages = [...user, choices[0]!.message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }]
  const next = (await chat({ messages, tools: [weather] })).choices[0]!
  expect(next.finish_reason).toBe('stop')
  expect(next.message.content).toEqual(expect.any(String))
})

test('parallel tool calls are streamed in pieces that add up to the plain answer', async () => {
  const tools = [weather, { type: 'function', function: { name: 'time' } }]
  const sandboxed = { tools, sandbox: { tool_calls: 2 } }
  const plain = await chat(sandboxed)
  const calls: { id: string; name: string; arguments: string }[] = []
  const seen = await chunks({ ...sandboxed, stream_options: { include_usage: true } })
  for (const chunk of seen) {
    for (const { index, id, function: part } of chunk.choices[0]?.delta.tool_calls ?? []) {
      if (id !== undefined) calls[index] = { id, name: part!.name!, arguments: '' }
      calls[index]!.arguments += part?.arguments ?? ''
    }
  }
  expect(calls).toEqual(
    plain.choices[0]!.message.tool_calls!.map((call) => ({ id: call.id, ...(call as { function: object }).function })),
  )
  expect(calls.map((call) => call.name)).toEqual(['weather', 'time'])
  expect(seen.at(-1)!.usage).toEqual(plain.usage)
})

test('tool_choice forces a function or forbids them all', async () => {
  const tools = [weather, { type: 'function', function: { name: 'time' } }]
  const forced = await chat({ tools, tool_choice: { type: 'function', function: { name: 'time' } } })
  expect(forced.choices[0]!.message.tool_calls).toMatchObject([{ function: { name: 'time', arguments: '{}' } }])
  const forbidden = await chat({ tools, tool_choice: 'none' })
  expect(forbidden.choices[0]!.message.tool_calls).toBeUndefined()
})

test('JSON modes answer with an object, and with an instance of the schema', async () => {
  const object = await chat({ response_format: { type: 'json_object' } })
  expect(JSON.parse(object.choices[0]!.message.content!)).toBeTypeOf('object')
  const schema = { type: 'object', properties: { kind: { const: 'river' } }, required: ['kind'] }
  const strict = await chat({ response_format: { type: 'json_schema', json_schema: { name: 'r', schema } } })
  expect(JSON.parse(strict.choices[0]!.message.content!)).toEqual({ kind: 'river' })
})

test('images, audio and files are accepted in a message', async () => {
  const content = [
    { type: 'text', text: 'what is this' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
    { type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA', filename: 'a.pdf' } },
  ]
  const { usage } = await chat({ messages: [{ role: 'user', content }] })
  expect(usage!.prompt_tokens).toBe(3 + 3 + 3 + 3 * 85)
})

test('a refusal takes the place of the content', async () => {
  const { choices } = await chat({ sandbox: { refusal: true } })
  expect(choices[0]!.message).toMatchObject({ content: null, refusal: expect.any(String) })
  const seen = await chunks({ sandbox: { refusal: true } })
  expect(seen.map((chunk) => chunk.choices[0]!.delta.refusal ?? '').join('')).toBe(choices[0]!.message.refusal)
})

test('usage can be missing, and can be more than was promised', async () => {
  expect((await chat({ sandbox: { usage: 'missing' } })).usage).toBeUndefined()
  const seen = await chunks({ stream_options: { include_usage: true }, sandbox: { usage: 'missing' } })
  expect(seen.at(-1)!.choices[0]!.finish_reason).toBe('stop')
  const more = await chat({ max_tokens: 1, sandbox: { usage: { completion_tokens: 9000, cached_tokens: 70 } } })
  expect(more.usage).toMatchObject({ completion_tokens: 9000, prompt_tokens_details: { cached_tokens: 70 } })
})

test('the finish reason can be any', async () => {
  const { choices } = await chat({ sandbox: { finish_reason: 'content_filter' } })
  expect(choices[0]!.finish_reason).toBe('content_filter')
})

test('embeddings are the same in base64 as in floats, of unit length, and as long as asked', async () => {
  const input = ['a river', 'a lake']
  const base64 = await client.embeddings.create({ model: 'text-embedding-3-small', input })
  const floats = await client.embeddings.create({ model: 'text-embedding-3-small', input, encoding_format: 'float' })
  expect(base64.data[1]!.embedding).toEqual(floats.data[1]!.embedding)
  expect(base64.data[0]!.embedding).toHaveLength(1536)
  expect(Math.hypot(...floats.data[0]!.embedding)).toBeCloseTo(1)
  expect(base64.usage).toEqual({ prompt_tokens: 4, total_tokens: 4 })
  const small = await client.embeddings.create({ model: 'sandbox-e', input: [[1, 2, 3]], dimensions: 8 })
  expect(small.data[0]!.embedding).toHaveLength(8)
  expect(small.usage.prompt_tokens).toBe(3)
})

test('an image is a whole PNG, in base64 or behind a URL, and a GPT image model reports its usage', async () => {
  const png = Buffer.from('89504e470d0a1a0a', 'hex')
  const made = await client.images.generate({ model: 'gpt-image-1', prompt: 'a river', n: 2, quality: 'low' })
  expect(made.data).toHaveLength(2)
  expect(Buffer.from(made.data![0]!.b64_json!, 'base64').subarray(0, 8)).toEqual(png)
  expect(made.usage).toMatchObject({ input_tokens: 2, output_tokens: 544, total_tokens: 546 })
  const linked = await client.images.generate({ model: 'dall-e-3', prompt: 'a river', response_format: 'url' })
  const image = await fetch(linked.data![0]!.url!)
  expect(Buffer.from(await image.arrayBuffer()).subarray(0, 8)).toEqual(png)
})

test('models are listed, and any sandbox- model is served', async () => {
  const ids = (await client.models.list()).data.map((model) => model.id)
  expect(ids).toContain('gpt-4o-mini')
  expect(await client.models.retrieve('sandbox-anything')).toMatchObject({ id: 'sandbox-anything', object: 'model' })
  await expect(client.models.retrieve('gpt-none')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
})

test.each([
  ['no model', { messages: user }, 400, 'model', 'missing_required_parameter'],
  ['no messages', { model: 'sandbox-chat' }, 400, 'messages', 'missing_required_parameter'],
  ['empty messages', { model: 'sandbox-chat', messages: [] }, 400, 'messages', 'empty_array'],
  ['an unknown role', { model: 'sandbox-chat', messages: [{ role: 'x' }] }, 400, 'messages[0].role', 'invalid_value'],
  ['an unknown model', { model: 'gpt-none', messages: user }, 404, null, 'model_not_found'],
  [
    'a tool result without a call',
    { model: 'sandbox-chat', messages: [{ role: 'tool', content: '' }] },
    400,
    'messages[0].role',
    null,
  ],
  [
    'an unknown setting',
    { model: 'sandbox-chat', messages: user, sandbox: { tokns: 1 } },
    400,
    'sandbox.tokns',
    'unknown_parameter',
  ],
  ['malformed JSON', '{"model":', 400, null, null],
])('%s is refused with all four keys and a request id', async (_, body, status, param, code) => {
  const answer = await post(body)
  expect(answer.status).toBe(status)
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
  expect(await answer.json()).toEqual({
    error: { message: expect.any(String), type: 'invalid_request_error', param, code },
  })
})

test('a key is needed, and the right one where one is set', async () => {
  expect((await post({}, {})).status).toBe(401)
  const guarded = await startSandbox({ apiKey: 'sk-right' })
  const wrong = new OpenAI({ apiKey: 'sk-wrong', baseURL: guarded.url, maxRetries: 0 })
  await expect(wrong.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  const right = new OpenAI({ apiKey: 'sk-right', baseURL: guarded.url, maxRetries: 0 })
  await expect(right.models.list()).resolves.toBeDefined()
  await guarded.close()
})

test('an unknown URL is a 404, a wrong method a 405', async () => {
  const headers = { authorization: 'Bearer sk-any' }
  expect((await fetch(`${sandbox.url}/nothing`, { headers })).status).toBe(404)
  const wrong = await fetch(`${sandbox.url}/chat/completions`, { headers })
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
})

test('a body beyond 32 MiB is refused with a 413 that the client gets to read', async () => {
  const answer = await post(' '.repeat(33 * 1024 * 1024))
  expect(answer.status).toBe(413)
  expect(await answer.json()).toMatchObject({ error: { code: 'request_too_large' } })
})

test('stats keep what was received, without the values of headers', async () => {
  await chat({ nemo_tags: ['fast'], messages: [{ role: 'user', content: 'x'.repeat(5000) }] })
  const { recent } = sandbox.stats(1)
  expect(recent[0]).toMatchObject({
    model: 'sandbox-chat',
    status: 200,
    tokens_sent: 24,
    body: { nemo_tags: ['fast'] },
  })
  expect(recent[0]!.header_names).toContain('authorization')
  expect(JSON.stringify(recent)).not.toContain('sk-any')
  expect(JSON.stringify(recent).length).toBeLessThan(4000)
})

test('only the last fifty bodies and two thousand requests are kept', async () => {
  const headers = { authorization: 'Bearer sk-any' }
  for (let index = 0; index < 60; index++) await chat({ max_tokens: 1 })
  expect(sandbox.stats().recent.filter((record) => record.body !== undefined)).toHaveLength(50)
  for (let index = 0; index < 2000; index++) await (await fetch(`${sandbox.url}/none`, { headers })).arrayBuffer()
  const { requests, recent } = sandbox.stats()
  expect([requests, recent.length]).toEqual([2060, 2000])
})

test('settings of the process are changed and set back over HTTP, and a request has the last word', async () => {
  const config = (body: unknown) =>
    fetch(`${sandbox.origin}/sandbox/config`, { method: 'POST', body: JSON.stringify(body) })
  expect(await (await config({ tokens: 2 })).json()).toMatchObject({ tokens: 2 })
  expect((await chat()).usage!.completion_tokens).toBe(2)
  expect((await chat({ sandbox: { tokens: 3 } })).usage!.completion_tokens).toBe(3)
  expect((await config({ tokns: 2 })).status).toBe(400)
  await fetch(`${sandbox.origin}/sandbox/reset`, { method: 'POST' })
  expect((await chat()).usage!.completion_tokens).toBe(24)
  const stats = await (await fetch(`${sandbox.origin}/sandbox/stats?last=1`)).json()
  expect(stats).toMatchObject({ requests: 1, recent: [{ tokens_sent: 24 }] })
})
