import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../sandbox.ts'

const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ apiKey: own.publicKey.export({ type: 'spki', format: 'pem' }).toString() })
})
afterAll(() => sandbox.close())

const url = () => `${sandbox.origin}/vertex/token`
const now = () => Math.floor(Date.now() / 1000)

function assertion(more: object = {}, header: object = {}, key: KeyObject = own.privateKey): string {
  const times = { iat: now(), exp: now() + 3600 }
  const claims = { iss: 'nemo@p', scope: 'https://www.googleapis.com/auth/cloud-platform', aud: url(), ...times }
  const signed = [
    { alg: 'RS256', typ: 'JWT', ...header },
    { ...claims, ...more },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`
}

async function exchange(given: string, grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer', to = url()) {
  const response = await fetch(to, { method: 'POST', body: new URLSearchParams({ grant_type, assertion: given }) })
  return { status: response.status, json: (await response.json()) as Record<string, string> }
}

const model = '/vertex/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent'
const ask = (token: string) =>
  fetch(`${sandbox.origin}${model}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Hi.' }] }] }),
  })

test('who signs with the account’s key gets a token, and is let in with it', async () => {
  const { status, json } = await exchange(assertion())
  expect(status).toBe(200)
  expect(json).toMatchObject({ token_type: 'Bearer', expires_in: 3599 })
  expect((await ask(json.access_token!)).status).toBe(200)
})

test('a token that was made up, or altered, lets nobody in', async () => {
  const { json } = await exchange(assertion())
  const [, ends, seal] = json.access_token!.split('.')
  for (const token of ['ya29.any', `ya29.${Number(ends) + 1}.${seal}`, `ya29.1.${seal}`]) {
    const refused = await ask(token)
    expect(refused.status).toBe(401)
    expect(await refused.json()).toMatchObject({ error: { status: 'UNAUTHENTICATED' } })
  }
})

test.each<[string, () => string]>([
  ['another’s signature', () => assertion({}, {}, other.privateKey)],
  ['an altered claim', () => assertion().replace(/\.[^.]*\./, (part) => `.${part.slice(1, -5)}AAAA.`)],
  ['no signature', () => `${assertion().split('.').slice(0, 2).join('.')}.`],
  ['another algorithm', () => assertion({}, { alg: 'none' })],
  ['another audience', () => assertion({ aud: 'https://oauth2.googleapis.com/token' })],
  ['no account', () => assertion({ iss: undefined })],
  ['no times', () => assertion({ iat: undefined, exp: undefined })],
  ['an end that has passed', () => assertion({ iat: now() - 3600, exp: now() - 1 })],
  ['a beginning that is to come', () => assertion({ iat: now() + 600, exp: now() + 1200 })],
  ['more than an hour', () => assertion({ exp: now() + 7200 })],
])('an assertion with %s is refused, as OAuth refuses', async (_, made) => {
  expect(await exchange(made())).toMatchObject({
    status: 400,
    json: { error: 'invalid_grant', error_description: expect.any(String) },
  })
})

test('another grant is refused by name', async () => {
  expect(await exchange(assertion(), 'refresh_token')).toMatchObject({ json: { error: 'unsupported_grant_type' } })
  expect(await exchange(assertion({ scope: undefined }))).toMatchObject({ json: { error: 'invalid_scope' } })
})

test('without a key any signature will do, but what it says must be right', async () => {
  const open = await startSandbox()
  const to = `${open.origin}/vertex/token`
  const post = (claims: object) => exchange(assertion(claims, {}, other.privateKey), undefined, to)
  expect((await post({ aud: to })).status).toBe(200)
  expect((await post({})).status).toBe(400)
  await open.close()
})
