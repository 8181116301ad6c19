import { createVerify, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startSandbox } from '@nemo/sandbox/sandbox'
import { afterEach, expect, test, vi } from 'vitest'
import { GoogleAccess } from './google.ts'

let close: (() => void) | undefined
afterEach(() => close?.())

/** A server that answers every request with what `reply` makes of its body, and counts them. */
async function serve(reply: (body: string) => { status: number; text: string }) {
  const seen: { body: string; headers: Record<string, unknown> }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      seen.push({ body, headers: request.headers })
      const { status, text } = reply(body)
      response.writeHead(status).end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close = () => server.close()
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const account = (token_uri: string) => JSON.stringify({ client_email: 'nemo@p', private_key: pem, token_uri })
const minute = 60_000

/** What the assertion of a request says, if it is signed with the account's key. */
function claimsOf(body: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header, claims, signature] = new URLSearchParams(body).get('assertion')!.split('.')
  const isTrue = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, signature!, 'base64url')
  if (!isTrue) throw new Error('the assertion is not signed with the account’s key')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: read(header!), claims: read(claims!) }
}

test('a service account’s signed assertion becomes a token, once for all who wait', async () => {
  const google = await serve(() => ({ status: 200, text: '{"access_token":"ya29","expires_in":3600}' }))
  const given = JSON.parse(account(google.url))
  const access = new GoogleAccess(JSON.stringify({ ...given, type: 'service_account', private_key_id: 'k1' }))
  const now = 1_795_000_000_500
  const [one, two] = await Promise.all([access.headers(now), access.headers(now)])
  expect(one).toEqual(['authorization', 'Bearer ya29'])
  expect(two).toBe(one)
  expect(access.headers(now + 54 * minute)).toBe(one)
  expect(google.seen).toHaveLength(1)
  expect(claimsOf(google.seen[0]!.body)).toEqual({
    header: { alg: 'RS256', typ: 'JWT', kid: 'k1' },
    claims: {
      ...{ iss: 'nemo@p', aud: google.url, scope: 'https://www.googleapis.com/auth/cloud-platform' },
      ...{ iat: 1_795_000_000, exp: 1_795_003_600 },
    },
  })
})

test('a token server that checks all that Google checks gives a token, and Vertex AI lets it in', async () => {
  const apiKey = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const sandbox = await startSandbox({ apiKey })
  const [name, value] = await new GoogleAccess(account(`${sandbox.origin}/vertex/token`)).headers(Date.now())
  const path = '/vertex/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent'
  const ask = (headers: Record<string, string>) =>
    fetch(`${sandbox.origin}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Hi.' }] }] }),
    })
  expect((await ask({ [name!]: value! })).status).toBe(200)
  expect((await ask({ authorization: 'Bearer ya29' })).status).toBe(401)
  await sandbox.close()
})

test('a token is renewed before it ends, and serves until another is there', async () => {
  let asked = 0
  const google = await serve(() => {
    asked++
    // The second time it fails.
    return { status: asked === 2 ? 503 : 200, text: `{"access_token":"t${asked}","expires_in":3600}` }
  })
  const access = new GoogleAccess(account(google.url))
  const bearer = (n: number) => ['authorization', `Bearer t${n}`]
  expect(await access.headers(0)).toEqual(bearer(1))
  // Whoever asks while it is renewed waits for nobody, and sets no second renewal off.
  expect(access.headers(56 * minute)).toEqual(bearer(1))
  expect(access.headers(56 * minute)).toEqual(bearer(1))
  await vi.waitFor(() => {
    expect(access.headers(57 * minute)).toEqual(bearer(3))
  })
  expect(asked).toBe(3)
  expect(access.headers(100 * minute)).toEqual(bearer(3))
})

test('a token that has ended is used no more, even if no other can be had', async () => {
  let isUp = true
  const google = await serve(() => ({ status: isUp ? 200 : 503, text: '{"access_token":"t","expires_in":3600}' }))
  const access = new GoogleAccess(account(google.url))
  await access.headers(0)
  isUp = false
  await expect(access.headers(60 * minute)).rejects.toThrow('Google gave no access token: status 503')
  isUp = true
  expect(await access.headers(60 * minute)).toEqual(['authorization', 'Bearer t'])
})

test.each([
  [
    400,
    '{"error":"invalid_grant","error_description":"Invalid JWT Signature."}',
    'invalid_grant, Invalid JWT Signature.',
  ],
  [200, '{}', 'status 200'],
  [502, '<html>', 'status 502'],
])('what a token server refuses is told without the secret: %i %s', async (status, text, reason) => {
  const google = await serve(() => ({ status, text }))
  const access = new GoogleAccess(account(google.url))
  const error = await Promise.resolve(access.headers(Date.now())).catch((refusal: Error) => refusal)
  expect((error as Error).message).toBe(`Google gave no access token: ${reason}`)
})

test('a token server that isn’t there is told as such', async () => {
  const google = await serve(() => ({ status: 200, text: '{}' }))
  close?.()
  await expect(new GoogleAccess(account(google.url)).headers(0)).rejects.toThrow('could not be reached')
})

const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })

test.each([
  ['top secret', /no JSON key/],
  ['null', /needs client_email/],
  ['{"private_key":"top secret"}', /needs client_email/],
  ['{"client_email":"a","private_key":"top secret"}', /is no key/],
  [JSON.stringify({ client_email: 'a', private_key: elliptic }), /not RSA/],
  ['{"type":"authorized_user","refresh_token":"top secret"}', /not of a service account/],
])('what is no key of a service account is refused without being told: %#', (json, message) => {
  const error = (() => {
    try {
      return new GoogleAccess(json)
    } catch (refusal) {
      return refusal
    }
  })()
  expect((error as Error).message).toMatch(message)
  expect((error as Error).message).not.toContain('secret')
})
