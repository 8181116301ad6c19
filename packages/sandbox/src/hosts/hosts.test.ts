import OpenAI, { AzureOpenAI } from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Call } from '../dialect.ts'
import { type Sandbox, startSandbox } from '../sandbox.ts'
import { defaultConfig } from '../settings.ts'
import { sagemaker } from './sagemaker.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ apiKey: 'the-key' })
})
beforeEach(() => sandbox.reset())
afterAll(() => sandbox.close())

const messages = [{ role: 'user' as const, content: 'Say something about rivers.' }]
const chat = { model: 'sandbox-chat', messages }

async function post(path: string, headers: Record<string, string>, body: object = chat) {
  const response = await fetch(`${sandbox.origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  // biome-ignore lint/suspicious/noExplicitAny: what is answered is what the tests are about
  return { status: response.status, json: (await response.json()) as any }
}

test('OpenAI’s own client for Azure is answered by a deployment', async () => {
  const options = { apiKey: 'the-key', endpoint: `${sandbox.origin}/azure`, apiVersion: '2024-10-21', maxRetries: 0 }
  const client = new AzureOpenAI(options)
  const answer = await client.chat.completions.create(chat)
  expect(answer.choices[0]?.message.content).toBeTruthy()
  expect(sandbox.stats(1).recent[0]).toMatchObject({
    path: '/azure/openai/deployments/sandbox-chat/chat/completions',
    model: 'sandbox-chat',
  })
  const wrong = new AzureOpenAI({ ...options, apiKey: 'another' })
  await expect(wrong.chat.completions.create(chat)).rejects.toMatchObject({ status: 401, code: '401' })
})

test('OpenAI’s plain client is answered by version 1 of Azure’s', async () => {
  const client = new OpenAI({ apiKey: 'the-key', baseURL: `${sandbox.origin}/azure/openai/v1`, maxRetries: 0 })
  expect((await client.chat.completions.create(chat)).model).toBe('sandbox-chat')
})

test.each(['', '?api-version=', '?api-version=newest'])('Azure finds no deployment at "%s"', async (query) => {
  const path = `/azure/openai/deployments/sandbox-chat/chat/completions${query}`
  expect(await post(path, { 'api-key': 'the-key' })).toEqual({
    status: 404,
    json: { error: { code: '404', message: 'Resource not found' } },
  })
})

test.each<[string, Record<string, string>]>([
  ['no key', {}],
  ['a wrong key', { 'api-key': 'another' }],
  ['a key as a bearer’s where that stands for a token', { authorization: 'Bearer the-key' }],
])('Azure refuses %s', async (_, headers) => {
  const path = '/azure/openai/deployments/sandbox-chat/chat/completions?api-version=2024-10-21'
  const { status, json } = await post(path, headers)
  expect([status, json.error.code]).toEqual([401, '401'])
  expect(json.error.message).toContain('invalid subscription key')
})

const compat = '/cloudflare-gateway/v1/account/default/compat/chat/completions'
const named = { ...chat, model: 'openai/sandbox-chat' }

test.each([
  ['its stored key', {}],
  ['one beside the gateway’s token', { authorization: 'Bearer sk-provider' }],
])('Cloudflare’s gateway calls the provider by %s', async (_, more) => {
  const { status, json } = await post(compat, { 'cf-aig-authorization': 'Bearer the-key', ...more }, named)
  expect([status, json.model]).toEqual([200, 'sandbox-chat'])
})

test.each<[string, Record<string, string>]>([
  ['no token, whatever the provider’s key is', { authorization: 'Bearer the-key' }],
  ['a wrong token', { 'cf-aig-authorization': 'Bearer another' }],
  ['a token without its scheme', { 'cf-aig-authorization': 'the-key' }],
])('Cloudflare’s gateway refuses %s', async (_, headers) => {
  const { status, json } = await post(compat, headers, named)
  expect(status).toBe(401)
  expect(json).toMatchObject({ name: 'AiGatewayError', internalCode: 2009, success: false })
})

test('Cloudflare’s gateway wants to know the provider', async () => {
  expect((await post(compat, { 'cf-aig-authorization': 'Bearer the-key' })).status).toBe(400)
})

test('Writer answers at a path of its own, and refuses in its own words', async () => {
  const authorization = 'Bearer the-key'
  expect((await post('/writer/v1/chat', { authorization })).json.choices).toHaveLength(1)
  expect((await post('/writer/v1/chat/completions', { authorization })).status).toBe(404)
  expect(await post('/writer/v1/chat', { authorization: 'Bearer another' })).toMatchObject({
    status: 401,
    json: { tpe: 'Unauthorized', errors: [{ description: expect.any(String), key: expect.any(String) }] },
  })
  sandbox.configure({ status: 429 })
  expect(await post('/writer/v1/chat', { authorization })).toMatchObject({
    status: 429,
    json: { tpe: 'TooManyRequests' },
  })
})

function invoke(path: string, body: Call['body']) {
  const call = { body, bytes: Buffer.alloc(0), headers: {}, query: new URLSearchParams(), origin: '' }
  return sagemaker.endpoint('POST', path).answer({ ...call, settings: defaultConfig })
}

test('SageMaker tells what its container refuses as the model’s error', () => {
  const { status, content } = invoke('/endpoints/mine/invocations', { model: 'sandbox-chat' })
  const error = JSON.parse('json' in content ? content.json : '{}')
  expect([status, error.OriginalStatusCode]).toEqual([424, 400])
  expect(JSON.parse(error.OriginalMessage).error.param).toBe('messages')
})

test('SageMaker streams by the path for it alone', () => {
  const asked = { ...chat, stream: true }
  expect('events' in invoke('/endpoints/mine/invocations-response-stream', asked).content).toBe(true)
  expect(() => invoke('/endpoints/mine/invocations', asked)).toThrow(/InvokeEndpointWithResponseStream/)
  expect(() => invoke('/endpoints/mine/invocation', chat)).toThrow('UnknownOperationException')
})

test.each([
  ['no signature', {}],
  ['a bearer’s token', { authorization: 'Bearer the-key' }],
  [
    'a signature for another service',
    {
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDSANDBOX/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00',
      'x-amz-date': '20260101T000000Z',
    },
  ],
])('SageMaker refuses %s', async (_, headers) => {
  expect((await post('/sagemaker/endpoints/mine/invocations', headers)).status).toBe(403)
})
