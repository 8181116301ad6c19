import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'

let sandbox: Sandbox
let client: BedrockRuntimeClient

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: `${sandbox.origin}/bedrock`,
    credentials: { accessKeyId: 'AKIDSANDBOX', secretAccessKey: 'sandbox-secret' },
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
  })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'
const question = {
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 4000,
  messages: [{ role: 'user', content: 'Say something about rivers.' }],
}
const parameters = (body: object, modelId = CLAUDE) => ({
  modelId,
  contentType: 'application/json',
  body: JSON.stringify(body),
})

async function invoke(body: object, modelId?: string) {
  const answer = await client.send(new InvokeModelCommand(parameters(body, modelId)))
  return JSON.parse(answer.body.transformToString())
}

async function invokeStream(body: object) {
  const answer = await client.send(new InvokeModelWithResponseStreamCommand(parameters(body)))
  const events: Record<string, Record<string, unknown>>[] = []
  for await (const { chunk } of answer.body!) {
    if (chunk?.bytes) events.push(JSON.parse(new TextDecoder().decode(chunk.bytes)))
  }
  return events
}

test('Claude says in chunks what it says in one piece', async () => {
  const whole = await invoke(question)
  expect(whole).toMatchObject({ type: 'message', model: 'claude-sonnet-4-5-20250929', stop_reason: 'end_turn' })
  const events = await invokeStream(question)
  const said = events.map(({ delta }) => (delta?.type === 'text_delta' ? delta.text : '')).join('')
  expect(said).toBe(whole.content[0].text)
  expect(events.at(0)).toMatchObject({ type: 'message_start' })
  expect(events.at(-1)).toMatchObject({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': {} })
})

test.each([
  [{ ...question, anthropic_version: undefined }, 'anthropic_version: Field required'],
  [{ ...question, model: 'claude-sonnet-4-5' }, 'model: Extra inputs are not permitted'],
  [{ ...question, stream: true }, 'stream: Extra inputs are not permitted'],
  [{ ...question, max_tokens: undefined }, 'max_tokens: Field required'],
])('a body that only Claude’s maker would take is refused: %o', async (body, message) => {
  await expect(invoke(body)).rejects.toMatchObject({ name: 'ValidationException', message })
})

test('a failure amid a stream is an exception of its own', async () => {
  sandbox.configure({ stream_error_after: 3 })
  await expect(invokeStream(question)).rejects.toMatchObject({ name: 'ModelStreamErrorException' })
})

test('Titan embeds one text, and Cohere several', async () => {
  const one = await invoke({ inputText: 'Hello', dimensions: 256 }, 'amazon.titan-embed-text-v2:0')
  expect(one).toMatchObject({ inputTextTokenCount: 2, embedding: { length: 256 } })
  const several = { texts: ['Hello', 'you'], input_type: 'search_document', embedding_types: ['float'] }
  const { embeddings } = await invoke(several, 'cohere.embed-v4:0')
  expect(embeddings.float).toHaveLength(2)
  await expect(invoke({ texts: ['Hello'] }, 'cohere.embed-v4:0')).rejects.toThrow(/input_type/)
  await expect(invoke({ prompt: 'Hello' }, 'meta.llama3-8b-instruct-v1:0')).rejects.toThrow(/fits no model/)
})

const user = { role: 'user' as const, content: [{ text: 'Say something about rivers.' }] }

test('an event whose checksum is wrong is noticed', async () => {
  sandbox.configure({ malformed: true })
  const answer = await client.send(new ConverseStreamCommand({ modelId: CLAUDE, messages: [user] }))
  const read = async () => {
    for await (const _ of answer.stream!);
  }
  await expect(read()).rejects.toThrow(/checksum/)
})

test('which sequence stopped it, and the tier that served it, are told where they were asked for', async () => {
  const { output } = await client.send(new ConverseCommand({ modelId: CLAUDE, messages: [user] }))
  const word = output!.message!.content![0]!.text!.split(' ')[3]!
  const asked = {
    ...{ modelId: CLAUDE, messages: [user], inferenceConfig: { stopSequences: [word] } },
    ...{ additionalModelResponseFieldPaths: ['/stop_sequence'], serviceTier: { type: 'flex' as const } },
  }
  const stopped = await client.send(new ConverseCommand(asked))
  expect(stopped).toMatchObject({
    stopReason: 'stop_sequence',
    additionalModelResponseFields: { stop_sequence: word },
    serviceTier: { type: 'flex' },
  })
  const silent = await client.send(new ConverseCommand({ ...asked, additionalModelResponseFieldPaths: undefined }))
  expect(silent.additionalModelResponseFields).toBeUndefined()
})

const document = (name: string) => ({
  document: { format: 'pdf' as const, name, source: { bytes: new Uint8Array([37]) } },
})
const call = { role: 'assistant' as const, content: [{ toolUse: { toolUseId: 'a', name: 'weather', input: {} } }] }
const result = (content: object) => ({ toolResult: { toolUseId: 'a', content: [content] as never } })
const toolConfig = { tools: [{ toolSpec: { name: 'weather', inputSchema: { json: { type: 'object' } } } }] }

test.each<[string, ConverseCommand['input']['messages'], RegExp]>([
  ['a document without text', [{ role: 'user', content: [document('a')] }], /text block must be included/],
  [
    'documents of one name',
    [{ role: 'user', content: [document('a'), document('a'), ...user.content] }],
    /duplicate document names/,
  ],
  ['a blank result', [user, call, { role: 'user', content: [result({ text: ' ' })] }], /is blank/],
  [
    'a result behind text',
    [user, call, { role: 'user', content: [...user.content, result({ text: 'Rain.' })] }],
    /without `tool_result` blocks immediately after/,
  ],
])('is refused as Bedrock refuses it: %s', async (_, messages, message) => {
  const asked = new ConverseCommand({ modelId: CLAUDE, messages, toolConfig })
  await expect(client.send(asked)).rejects.toMatchObject({
    name: 'ValidationException',
    message: expect.stringMatching(message),
  })
})
