import {
  BedrockRuntimeClient,
  BedrockRuntimeServiceException,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'
import type { SandboxConfig } from '../settings.ts'

let sandbox: Sandbox
let client: BedrockRuntimeClient

beforeAll(async () => {
  sandbox = await startSandbox()
  client = clientOf({})
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

function clientOf(more: ConstructorParameters<typeof BedrockRuntimeClient>[0]): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region: 'eu-west-1',
    endpoint: `${sandbox.origin}/bedrock`,
    credentials: { accessKeyId: 'AKIDSANDBOX', secretAccessKey: 'sandbox-secret' },
    maxAttempts: 1,
    // The SDK's own default speaks HTTP/2, which the sandbox doesn't.
    requestHandler: new NodeHttpHandler(),
    ...more,
  })
}

type Params = Partial<ConverseCommandInput>

const user = { role: 'user' as const, content: [{ text: 'Say something about rivers.' }] }
const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } },
  required: ['city', 'days'],
}
const toolConfig = { tools: [{ toolSpec: { name: 'weather', inputSchema: { json: schema } } }] }
const thinking = { thinking: { type: 'enabled', budget_tokens: 1024 } }

const params = (more: Params = {}): ConverseCommandInput => ({
  modelId: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  messages: [user],
  ...more,
})
const ask = (more: Params = {}, by = client) => by.send(new ConverseCommand(params(more)))

/** What a client puts together from the events of a stream. */
async function stream(more: Params = {}) {
  const blocks: { text: string; thought: string; signature: string | undefined; call: unknown; json: string }[] = []
  let stopReason: string | undefined
  let metadata: unknown
  const answer = await client.send(new ConverseStreamCommand(params(more)))
  for await (const event of answer.stream!) {
    const { contentBlockStart: start, contentBlockDelta: delta } = event
    const index = start?.contentBlockIndex ?? delta?.contentBlockIndex
    if (index !== undefined) {
      blocks[index] ??= { text: '', thought: '', signature: undefined, call: undefined, json: '' }
      const block = blocks[index]
      block.call ??= start?.start?.toolUse
      block.text += delta?.delta?.text ?? ''
      block.thought += delta?.delta?.reasoningContent?.text ?? ''
      block.signature ??= delta?.delta?.reasoningContent?.signature
      block.json += delta?.delta?.toolUse?.input ?? ''
    }
    stopReason ??= event.messageStop?.stopReason
    metadata ??= event.metadata?.usage
  }
  const content = blocks.map(({ text, thought, signature, call, json }) => {
    if (call !== undefined) return { toolUse: { ...(call as object), input: JSON.parse(json || '{}') } }
    return thought === '' ? { text } : { reasoningContent: { reasoningText: { text: thought, signature } } }
  })
  return { content, stopReason, usage: metadata }
}

test.each<[string, Params, Partial<SandboxConfig>]>([
  ['text', {}, {}],
  ['thoughts and text', { additionalModelRequestFields: thinking }, { reasoning_tokens: 12 }],
  ['parallel tool calls', { toolConfig }, { tool_calls: 3 }],
  ['a text that its cap cuts off', { inferenceConfig: { maxTokens: 5 } }, {}],
  ['multibyte text', {}, { unicode: true, chunk_bytes: 7 }],
])('the official SDK reads the same from a stream as from a plain answer: %s', async (_, more, settings) => {
  sandbox.configure(settings)
  const plain = await ask(more)
  expect(await stream(more)).toEqual({
    content: plain.output?.message?.content,
    stopReason: plain.stopReason,
    usage: plain.usage,
  })
  expect(plain.output?.message?.content?.length).toBeGreaterThan(0)
})

test('the answer counts what was cached beside the input', async () => {
  sandbox.configure({ tokens: 7, cached_tokens: 4 })
  const cached = { role: 'user' as const, content: [...user.content, { cachePoint: { type: 'default' as const } }] }
  expect((await ask({ messages: [cached] })).usage).toMatchObject({
    inputTokens: 5,
    cacheReadInputTokens: 4,
    cacheWriteInputTokens: 4,
    outputTokens: 7,
    totalTokens: 20,
  })
})

test('a loop with tools and signed thoughts runs to its end', async () => {
  const first = await ask({ toolConfig, additionalModelRequestFields: thinking })
  expect(first.stopReason).toBe('tool_use')
  const said = first.output!.message!
  const results = said.content!.flatMap(({ toolUse }) =>
    toolUse ? [{ toolResult: { toolUseId: toolUse.toolUseId, content: [{ text: 'Rain.' }] } }] : [],
  )
  const messages = [user, said, { role: 'user' as const, content: results }]
  expect((await ask({ toolConfig, messages })).stopReason).toBe('end_turn')
  const altered = structuredClone(said)
  altered.content![0]!.reasoningContent!.reasoningText!.text = 'Something else.'
  await expect(ask({ toolConfig, messages: [user, altered, messages[2]!] })).rejects.toThrow(/Invalid `signature`/)
})

test('a schema is satisfied', async () => {
  const jsonSchema = { name: 'answer', schema: JSON.stringify(schema) }
  const outputConfig = { textFormat: { type: 'json_schema' as const, structure: { jsonSchema } } }
  const { output } = await ask({ outputConfig })
  expect(JSON.parse(output!.message!.content![0]!.text!)).toEqual({
    city: expect.any(String),
    days: expect.any(Number),
  })
})

const assistant = (...content: object[]) => ({ role: 'assistant' as const, content: content as never })
const call = { toolUse: { toolUseId: 'tooluse_1', name: 'weather', input: {} } }
const result = (toolUseId: string) => ({ toolResult: { toolUseId, content: [{ text: 'Rain.' }] } })

test.each<[string, Params, RegExp]>([
  ['an assistant first', { messages: [assistant({ text: 'Hi.' }), user] }, /must start with a user message/],
  ['two messages of one role', { messages: [user, user] }, /must alternate between user and assistant/],
  [
    'an open tool call',
    { toolConfig, messages: [user, assistant(call), user] },
    /Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1/,
  ],
  [
    'a result of nothing',
    { toolConfig, messages: [{ role: 'user', content: [result('tooluse_2')] }] },
    /exceeds the number of toolUse blocks/,
  ],
  [
    'calls without tools',
    { messages: [user, assistant(call), { role: 'user', content: [result('tooluse_1')] }] },
    /toolConfig field must be defined/,
  ],
  [
    'a blank text',
    { messages: [{ role: 'user', content: [{ text: '' }] }] },
    /text field in the ContentBlock object at messages.0.content.0 is blank/,
  ],
  ['a temperature above 1', { inferenceConfig: { temperature: 1.5 } }, /inferenceConfig.temperature/],
  ['a model that isn’t there', { modelId: 'gpt-5' }, /model identifier is invalid/],
])('is refused as Bedrock refuses it: %s', async (_, more, message) => {
  const refusal = await ask(more).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(BedrockRuntimeServiceException)
  expect((refusal as Error).name).toBe('ValidationException')
  expect((refusal as Error).message).toMatch(message)
})

test('a signature must be right, recent, and that of a known key', async () => {
  const failing = (more: ConstructorParameters<typeof BedrockRuntimeClient>[0]) =>
    ask({}, clientOf(more)).then(
      () => null,
      (error: BedrockRuntimeServiceException) => [error.name, error.$metadata.httpStatusCode],
    )
  const id = 'AKIDSANDBOX'
  const known = { accessKeyId: id, secretAccessKey: 'sandbox-secret' }
  expect(await failing({})).toBeNull()
  expect(await failing({ credentials: { ...known, sessionToken: 'a token' } })).toBeNull()
  expect(await failing({ credentials: { ...known, secretAccessKey: 'wrong' } })).toEqual([
    'InvalidSignatureException',
    403,
  ])
  expect(await failing({ credentials: { ...known, accessKeyId: 'AKIDX' } })).toEqual([
    'UnrecognizedClientException',
    403,
  ])
})

test('whatever of a signed request is altered on its way is noticed', async () => {
  const signed = await signedRequest()
  const send = async (altered: Partial<typeof signed>) => {
    const { url, headers, body } = { ...signed, ...altered }
    const answer = await fetch(url, { method: 'POST', headers, body })
    return [answer.status, answer.headers.get('x-amzn-errortype')?.split(':')[0] ?? null]
  }
  expect(await send({})).toEqual([200, null])
  const mismatch = [403, 'InvalidSignatureException']
  expect(await send({ body: signed.body.replace('rivers', 'lakes') })).toEqual(mismatch)
  expect(await send({ url: signed.url.replace('v1', 'v2') })).toEqual(mismatch)
  expect(await send({ url: `${signed.url}?a=b` })).toEqual(mismatch)
  expect(await send({ headers: { ...signed.headers, 'content-type': 'text/plain' } })).toEqual(mismatch)
  expect(await send({ headers: { ...signed.headers, 'x-amz-other': '1' } })).toEqual([403, 'AccessDeniedException'])
  expect(await send({ headers: {} })).toEqual([403, 'MissingAuthenticationTokenException'])
})

test('a signature is good for five minutes', async () => {
  const at = (offset: number) => ask({}, clientOf({ systemClockOffset: offset * 1000 })).then(() => 'good', String)
  expect(await at(-290)).toBe('good')
  expect(await at(-310)).toMatch(/Signature expired/)
  expect(await at(310)).toMatch(/Signature not yet current/)
})

/** A request as the SDK signs it, to be sent by hand. */
async function signedRequest() {
  const by = clientOf({})
  let signed: { url: string; headers: Record<string, string>; body: string } | undefined
  by.middlewareStack.add(
    (next) => async (args) => {
      const { path, headers, body } = args.request as {
        path: string
        headers: Record<string, string>
        body: Uint8Array | string
      }
      const { host: _, 'content-length': __, ...others } = headers
      signed = { url: `${sandbox.origin}${path}`, headers: others, body: Buffer.from(body).toString() }
      return next(args)
    },
    { step: 'finalizeRequest', priority: 'low' },
  )
  await ask({}, by)
  return signed!
}

test('an API key of Bedrock’s own is let in', async () => {
  const url = `${sandbox.origin}/bedrock/model/sandbox-claude/converse`
  const body = JSON.stringify({ messages: [user] })
  const answer = await fetch(url, { method: 'POST', headers: { authorization: 'Bearer any' }, body })
  expect(answer.status).toBe(200)
  const unknown = await fetch(url, {
    method: 'POST',
    headers: { authorization: 'Bearer any' },
    body: JSON.stringify({ messages: [user], nemo_tags: [] }),
  })
  expect(unknown.status).toBe(400)
  expect(await unknown.json()).toEqual({ message: 'extraneous key [nemo_tags] is not permitted' })
})

test('failures look like Bedrock’s, before a stream and amid it', async () => {
  sandbox.configure({ status: 429 })
  await expect(ask()).rejects.toMatchObject({ name: 'ThrottlingException', $metadata: { httpStatusCode: 429 } })
  sandbox.reset()
  sandbox.configure({ stream_error_after: 3 })
  await expect(stream()).rejects.toMatchObject({ name: 'ModelStreamErrorException' })
  sandbox.reset()
  sandbox.configure({ cut_at_byte: 900 })
  await expect(stream()).rejects.toThrow()
  sandbox.reset()
  sandbox.configure({ no_done: true })
  expect(await stream()).toMatchObject({ stopReason: undefined, usage: undefined })
})
