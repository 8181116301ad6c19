import { generateKeyPairSync } from 'node:crypto'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { runGateway } from '@nemo/testing/running-gateway'
import { makeWorld } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { providerDesk } from '../provider-desk.ts'
import { OciSigner } from './oci.ts'

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }) as string
const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const BASE = '/oci/20231130/actions/v1'
const PATH = `${BASE}/chat/completions`
const body = Buffer.from(JSON.stringify({ model: 'sandbox-chat', messages: [{ role: 'user', content: 'Grüß Gott.' }] }))

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox({ apiKey: publicKey })
})
afterAll(() => sandbox.close())

function credential(more: object = {}): string {
  const key = { user: 'ocid1.user.oc1..u', tenancy: 'ocid1.tenancy.oc1..t', key_content: pem }
  return JSON.stringify({ ...key, compartment: 'ocid1.compartment.oc1..c', ...more })
}

function request(path = PATH) {
  return { host: new URL(sandbox.origin).host, path, body, type: 'application/json' }
}

/** What is answered to a request with these headers. */
function send(headers: readonly string[], sent: { path?: string; body?: Buffer; type?: string } = {}) {
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]!]] : []))
  return httpCall(`${sandbox.origin}${sent.path ?? PATH}`, {
    headers: { ...Object.fromEntries(pairs), 'content-type': sent.type ?? 'application/json' },
    body: sent.body ?? body,
  })
}

test('a signed request is let in, with a query or without, and its key’s fingerprint needn’t be named', async () => {
  const signer = new OciSigner(credential())
  expect((await send(await signer.sign(request(), new Date()))).status).toBe(200)
  const path = `${PATH}?a=b`
  expect((await send(await signer.sign(request(path), new Date()), { path })).status).toBe(200)
})

test('a key that is locked is opened with its phrase, and the tenancy is the compartment of who names none', async () => {
  const locked = pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' })
  const named = credential({ key_content: locked, pass_phrase: 'open', compartment: undefined })
  const headers = await new OciSigner(named).sign(request(), new Date())
  expect(headers[headers.indexOf('opc-compartment-id') + 1]).toBe('ocid1.tenancy.oc1..t')
  expect((await send(headers)).status).toBe(200)
})

test('whatever of a signed request is altered on its way is noticed', async () => {
  const headers = await new OciSigner(credential()).sign(request(), new Date())
  const put = (name: string, value: string) =>
    headers.map((word, i) => (headers[i - 1] === name && i % 2 === 1 ? value : word))
  const altered: [readonly string[], Parameters<typeof send>[1]?][] = [
    [headers, { path: `${PATH}?a=b` }],
    [headers, { body: Buffer.from(body.toString().replace('Gott', 'Dich')) }],
    [headers, { type: 'text/plain' }],
    [put('date', new Date(Date.now() + 1_000).toUTCString())],
    [put('opc-compartment-id', 'ocid1.compartment.oc1..other')],
    [put('x-content-sha256', 'AA==')],
    [put('authorization', headers.at(-1)!.replace('(request-target) ', ''))],
    [put('authorization', headers.at(-1)!.replace('rsa-sha256', 'hs2019'))],
  ]
  for (const [given, sent] of altered) expect((await send(given, sent)).status).toBe(401)
})

test('an old signature, and another’s, are refused', async () => {
  const old = await new OciSigner(credential()).sign(request(), new Date(Date.now() - 6 * 60_000))
  expect(await send(old)).toMatchObject({ status: 401, json: { code: 'NotAuthenticated' } })
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const foreign = await new OciSigner(credential({ key_content: other })).sign(request(), new Date())
  expect((await send(foreign)).status).toBe(401)
})

test.each([
  ['{top secret', /no valid JSON/],
  ['{"user":"top secret"}', /needs user, tenancy and key_content/],
  [credential({ key_content: 'top secret' }), /no key that can be read/],
  [credential({ user: 'top" secret' }), /needs user/],
  [credential({ compartment: 'top secret\r\n' }), /must be an OCID/],
])('what can’t sign is refused without being told: %#', (secret, why) => {
  const make = () => new OciSigner(secret)
  expect(make).toThrow(why)
  expect(make).not.toThrow(/top|secret/)
})

test('through the gateway both a signing key and an API key let in, streamed or not, and can be tried', async () => {
  const world = await makeWorld()
  const byKey = await startSandbox({ apiKey: 'sandbox-secret' })
  const places = { signed: [sandbox.origin, credential()], key: [byKey.origin, 'sandbox-secret'] } as const
  for (const [group, [origin, secret]] of Object.entries(places))
    await deployProvider(world, { provider: 'oci', baseUrl: origin + BASE, secret, group })
  const running = await runGateway(world)
  for (const [model, [origin, secret]] of Object.entries(places)) {
    for (const stream of [false, true]) {
      const asked = { model, stream, messages: [{ role: 'user', content: 'Hi.' }] }
      const answer = await httpCall(`${running.url}/chat/completions`, { key: world.researcher.key, body: asked })
      expect(answer.status).toBe(200)
    }
    const tried = (given: string) =>
      providerDesk.test({ name: 'x', provider: 'oci', baseUrl: origin + BASE, settings: {}, secret: given })
    expect(await tried(secret)).toMatchObject({ outcome: 'works', status: 400 })
    expect(await tried('another-secret')).toMatchObject({ outcome: 'refused', status: 401 })
  }
  await running.close()
  await world.close()
  await byKey.close()
}, 60_000)
