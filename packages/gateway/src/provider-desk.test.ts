import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startSandbox } from '@nemo/sandbox/sandbox'
import { expect, onTestFinished, test } from 'vitest'
import { providerDesk } from './provider-desk.ts'

const credential = (provider: string, baseUrl: string, secret: string | null, settings = {}) => ({
  name: 'tried',
  ...{ provider, baseUrl, secret, settings },
})

async function sandboxFor(apiKey: string): Promise<string> {
  const sandbox = await startSandbox({ apiKey })
  onTestFinished(() => sandbox.close())
  return sandbox.url.replace(/\/v1$/, '')
}

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test.each([
  ['openai', '/v1', 'sk-right'],
  ['anthropic', '/anthropic', 'sk-ant-right'],
])('the key of %s works, or is refused, as the provider says', async (provider, path, secret) => {
  const url = await sandboxFor(secret)
  expect(await providerDesk.test(credential(provider, url + path, secret))).toMatchObject({
    outcome: 'works',
    status: 200,
  })
  const wrong = await providerDesk.test(credential(provider, url + path, 'sk-wrong-key-of-nobody'))
  expect(wrong).toMatchObject({ outcome: 'refused', status: 401 })
  expect(wrong.message).not.toContain('sk-wrong-key-of-nobody')
})

test('what lists its models to anyone says nothing of the key, and what has none says so', async () => {
  const open = await serve((_, response) => void response.end('{"data":[]}'))
  expect(await providerDesk.test(credential('openai', open, 'sk-any'))).toMatchObject({ outcome: 'unclear' })
  const none = await serve((_, response) => void response.writeHead(404).end('nothing here'))
  expect(await providerDesk.test(credential('openai', none, 'sk-any'))).toMatchObject({
    outcome: 'unclear',
    status: 404,
  })
})

test('a redirect isn’t followed, an endless answer is cut, and a repeated key is hidden', async () => {
  const asked: string[] = []
  const url = await serve((request, response) => {
    asked.push(request.url!)
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  expect(await providerDesk.test(credential('openai', url, 'sk-any'))).toMatchObject({
    outcome: 'unclear',
    status: 302,
  })
  expect(asked).toEqual(['/models'])
  const endless = await serve((request, response) => {
    response.writeHead(401)
    const timer = setInterval(() => response.write(`you sent ${request.headers.authorization} `.repeat(100)), 1)
    response.on('close', () => clearInterval(timer))
  })
  const told = await providerDesk.test(credential('openai', endless, 'planted-secret-1'))
  expect(told).toMatchObject({ outcome: 'refused' })
  expect(told.message).not.toContain('planted-secret-1')
  expect(told.message.length).toBeLessThan(500)
})

test('what can’t be reached says so', async () => {
  const url = await serve(() => {})
  const gone = url.replace(/\d+$/, '1')
  expect(await providerDesk.test(credential('openai', gone, 'sk-any'))).toMatchObject({
    outcome: 'unreachable',
    status: null,
    message: expect.stringContaining('connection refused'),
  })
})

test('a signature of AWS that is taken works though there is no such model, and one that isn’t is refused', async () => {
  let status = 400
  const seen: string[] = []
  const url = await serve((request, response) => {
    seen.push(`${request.method} ${request.url} ${String(request.headers.authorization).slice(0, 16)}`)
    response.writeHead(status).end('{"message":"The provided model identifier is invalid."}')
  })
  const bedrock = credential('bedrock', url, 'AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY', {
    region: 'eu-central-1',
  })
  expect(await providerDesk.test(bedrock)).toMatchObject({ outcome: 'works', status: 400 })
  expect(seen).toEqual(['POST /model/nemo.credential-test/converse AWS4-HMAC-SHA256'])
  status = 403
  expect(await providerDesk.test(bedrock)).toMatchObject({ outcome: 'refused' })
})

test('what is missing is said before anything is asked, and of which part it is', () => {
  const check = (provider: string, secret: string | null, settings = {}, baseUrl: string | null = null) =>
    providerDesk.check({ name: 'x', provider, baseUrl, settings, secret })
  expect(check('openai', null)).toEqual({ param: 'secret', message: 'OpenAI needs a key.' })
  expect(check('openai', 'sk-x')).toBeNull()
  expect(check('azure', 'x')).toEqual({ param: 'settings', message: expect.stringContaining('"resource"') })
  expect(check('azure', 'x', { resource: 'evil.example/' })).toMatchObject({ param: 'settings' })
  expect(check('azure', 'x', { resource: 'mine', api_version: '2024-10-21' })).toBeNull()
  expect(check('azure', 'x', { resource: 'mine', api_version: '2023-05-15' })).toMatchObject({ param: 'settings' })
  expect(check('azure', '{"tenantId":"x"}', { resource: 'mine' })).toMatchObject({ param: 'secret' })
  expect(check('openai', 'x', { resource: 'mine' })).toMatchObject({ param: 'settings.resource' })
  expect(check('openai-compatible', null)).toMatchObject({ param: 'base_url' })
  expect(check('openai-compatible', null, {}, 'http://10.0.0.1/v1')).toBeNull()
  expect(check('nowhere', 'x')).toMatchObject({ param: 'provider' })
  expect(check('sandbox', 'x')).toMatchObject({ param: 'provider' })
  const planted = check('vertex', 'planted-not-json', { project: 'p' })
  expect(planted).toMatchObject({ param: 'secret' })
  expect(planted!.message).not.toContain('planted')
  expect(check('ollama', null)).toBeNull()
})
