import { CohereClientV2, CohereError } from 'cohere-ai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'
import type { SandboxConfig } from '../settings.ts'

let sandbox: Sandbox
let client: CohereClientV2

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new CohereClientV2({ token: 'any', environment: `${sandbox.origin}/cohere`, maxRetries: 0 })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

type Params = Partial<Parameters<CohereClientV2['chat']>[0]>
type Event = Awaited<ReturnType<CohereClientV2['chatStream']>> extends AsyncIterable<infer One> ? One : never

const messages: NonNullable<Params['messages']> = [{ role: 'user', content: 'Say something about rivers.' }]
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

const ask = (more: Params = {}) => client.chat({ model: 'sandbox-command', messages, ...more })

/** What a client puts together from the events of a stream. */
async function stream(more: Params = {}) {
  const text: string[] = []
  const thinking: string[] = []
  const plan: string[] = []
  const calls: { id?: string; name: string; json: string }[] = []
  let end: Extract<Event, { type: 'message-end' }>['delta'] | undefined
  for await (const event of await client.chatStream({ model: 'sandbox-command', messages, ...more })) {
    switch (event.type) {
      case 'content-delta':
        text.push(event.delta?.message?.content?.text ?? '')
        thinking.push(event.delta?.message?.content?.thinking ?? '')
        break
      case 'tool-plan-delta':
        plan.push(event.delta?.message?.toolPlan ?? '')
        break
      case 'tool-call-start': {
        const call = event.delta?.message?.toolCalls
        calls.push({ id: call?.id ?? '', name: call?.function?.name ?? '', json: '' })
        break
      }
      case 'tool-call-delta':
        calls[event.index ?? 0]!.json += event.delta?.message?.toolCalls?.function?.arguments ?? ''
        break
      case 'message-end':
        end = event.delta
    }
  }
  const joined = { text: text.join(''), thinking: thinking.join(''), plan: plan.join('') }
  return { ...joined, calls, finishReason: end?.finishReason, usage: end?.usage, error: end?.error }
}

test.each<[string, Params, Partial<SandboxConfig>]>([
  ['text', {}, {}],
  ['thoughts and text', { thinking: { type: 'enabled' } }, { reasoning_tokens: 12 }],
  ['parallel tool calls after a plan', { tools: [weather] }, { tool_calls: 3, reasoning_tokens: 5 }],
  ['a text that its cap cuts off', { maxTokens: 5 }, {}],
  ['multibyte text', {}, { unicode: true, chunk_bytes: 7 }],
  ['a JSON answer', { responseFormat: { type: 'json_object', jsonSchema: weather.function.parameters } }, {}],
])('the official SDK reads the same from a stream as from a plain answer: %s', async (_, more, settings) => {
  sandbox.configure(settings)
  const plain = await ask(more)
  const content = plain.message.content ?? []
  expect(await stream(more)).toEqual({
    text: content.map((part) => (part.type === 'text' ? part.text : '')).join(''),
    thinking: content.map((part) => (part.type === 'thinking' ? part.thinking : '')).join(''),
    plan: plain.message.toolPlan ?? '',
    calls: (plain.message.toolCalls ?? []).map(({ id, function: called }) => ({
      id,
      name: called?.name,
      json: called?.arguments,
    })),
    finishReason: plain.finishReason,
    usage: plain.usage,
    error: undefined,
  })
  expect(content.length + (plain.message.toolCalls?.length ?? 0)).toBeGreaterThan(0)
})

test('the answer counts what is billed apart from what is read', async () => {
  sandbox.configure({ tokens: 7, cached_tokens: 4 })
  expect((await ask()).usage).toEqual({
    billedUnits: { inputTokens: 7 + 3 + 3, outputTokens: 7 },
    tokens: { inputTokens: 7 + 3 + 3 + 66, outputTokens: 7 },
    cachedTokens: 4,
  })
})

test('a loop with tools runs to its end', async () => {
  const first = await ask({ tools: [weather] })
  expect(first.finishReason).toBe('TOOL_CALL')
  const results = first.message.toolCalls!.map(({ id }) => ({
    role: 'tool' as const,
    toolCallId: id!,
    content: 'Rain.',
  }))
  const second = await ask({ tools: [weather], messages: [...messages, first.message, ...results] })
  expect(second.finishReason).toBe('COMPLETE')
})

const call = { id: 'c1', type: 'function' as const, function: { name: 'weather', arguments: '{}' } }

test.each<[string, object, RegExp, number]>([
  ['an unknown field', { nemo_tags: [] }, /unknown field: parameter 'nemo_tags'/, 422],
  ['an unknown model', { model: 'gpt-5' }, /model 'gpt-5' not found/, 404],
  [
    'a tool call left open',
    { messages: [...messages, { role: 'assistant', toolCalls: [call] }, ...messages] },
    /without a result: c1/,
    400,
  ],
  [
    'a result of nothing',
    { messages: [...messages, { role: 'tool', toolCallId: 'c2', content: 'x' }] },
    /no tool call with id 'c2'/,
    400,
  ],
  ['a choice without tools', { toolChoice: 'REQUIRED' }, /only supported with tools/, 400],
  ['JSON beside tools', { tools: [weather], responseFormat: { type: 'json_object' } }, /not supported with tools/, 400],
  ['a p of 1', { p: 1 }, /p must be between 0.01 and 0.99/, 400],
])('is refused as Cohere refuses it: %s', async (_, more, message, status) => {
  const refusal = await ask(more as Params).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(CohereError)
  expect((refusal as CohereError).statusCode).toBe(status)
  expect((refusal as CohereError).body).toEqual({ message: expect.stringMatching(message) })
})

test('failures look like Cohere’s, before a stream and amid it', async () => {
  sandbox.configure({ status: 429, retry_after: 2 })
  const before = await ask().catch((error: unknown) => error)
  expect((before as CohereError).statusCode).toBe(429)
  expect((before as CohereError).rawResponse?.headers.get('retry-after')).toBe('2')
  sandbox.reset()
  sandbox.configure({ stream_error_after: 3 })
  expect(await stream()).toMatchObject({ finishReason: 'ERROR', error: expect.stringMatching(/internal server error/) })
  sandbox.reset()
  sandbox.configure({ no_done: true })
  expect((await stream()).finishReason).toBeUndefined()
  sandbox.reset()
  sandbox.configure({ cut_at_byte: 900 })
  await expect(stream()).rejects.toThrow()
})

test('a key must be there', async () => {
  const answer = await fetch(`${sandbox.origin}/cohere/v2/chat`, { method: 'POST', body: '{}' })
  expect(answer.status).toBe(401)
  expect(await answer.json()).toEqual({ message: 'no api key supplied' })
})

test('texts are embedded, the same text alike, in floats and in base64', async () => {
  const { embeddings, meta } = await client.embed({
    model: 'embed-v4.0',
    inputType: 'search_document',
    texts: ['river', 'stone', 'river'],
    embeddingTypes: ['float', 'base64'],
    outputDimension: 256,
  })
  expect(embeddings.float?.map(({ length }) => length)).toEqual([256, 256, 256])
  expect(embeddings.float?.[0]).toEqual(embeddings.float?.[2])
  expect(embeddings.float?.[0]).not.toEqual(embeddings.float?.[1])
  expect(Buffer.from(embeddings.base64![0]!, 'base64').readFloatLE(0)).toBe(embeddings.float![0]![0])
  expect(meta?.billedUnits?.inputTokens).toBe(6)
})
