import { createVerify, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
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

test('a service account’s signed assertion becomes a token, once for all who wait', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const google = await serve((body) => {
    const [header, claims, signature] = new URLSearchParams(body).get('assertion')!.split('.')
    const isTrue = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, signature!, 'base64url')
    return { status: isTrue ? 200 : 401, text: JSON.stringify({ access_token: 'ya29', expires_in: 3600 }) }
  })
  const account = {
    client_email: 'nemo@project.iam.gserviceaccount.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri: google.url,
  }
  const access = new GoogleAccess(JSON.stringify(account))
  const now = Date.now()
  const [one] = await Promise.all([access.headers(now), access.headers(now)])
  expect(one).toEqual(['authorization', 'Bearer ya29'])
  expect(access.headers(now)).toBe(one)
  expect(google.seen).toHaveLength(1)
  await access.headers(now + 56 * 60_000)
  expect(google.seen).toHaveLength(2)
  expect(() => new GoogleAccess('{"private_key":"top secret"}')).toThrow(/^the credential is no JSON key/)
})

test('what a token server refuses is told without the secret', async () => {
  const google = await serve(() => ({ status: 400, text: '{"error":"invalid_grant"}' }))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const access = new GoogleAccess(JSON.stringify({ client_email: 'a', private_key: pem, token_uri: google.url }))
  await expect(access.headers(Date.now())).rejects.toThrow('Google gave no access token: invalid_grant')
})
