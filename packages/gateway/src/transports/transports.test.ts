import { createVerify, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { AssumedRole, readAwsSecret } from './aws-credentials.ts'
import { GoogleAccess } from './google.ts'
import { SigV4 } from './sigv4.ts'

/** The keys and requests of AWS's own test suite (https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html). */
const key = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const now = new Date('2015-08-30T12:36:00Z')
const signatureOf = (headers: string[]) => /Signature=([0-9a-f]{64})$/.exec(headers.at(-1)!)?.[1]

describe('SigV4', () => {
  const signer = new SigV4('service', 'us-east-1')

  test.each([
    ['get-vanilla', 'GET', '/', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '/?Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    ['post-vanilla', 'POST', '/', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  ])('signs as AWS does: %s', (_, method, path, signature) => {
    const headers = signer.sign({ method, host: 'example.amazonaws.com', path, body: '' }, key, now)
    expect(signatureOf(headers)).toBe(signature)
  })

  test('what is encoded in the path is signed encoded twice, and a session token is signed with the rest', () => {
    const request = { method: 'POST', host: 'h', path: '/model/a%2Fb:0/converse', body: '{}' }
    const plain = signatureOf(signer.sign(request, key, now))
    expect(signatureOf(signer.sign({ ...request, path: '/model/a/b:0/converse' }, key, now))).not.toBe(plain)
    const temporary = signer.sign(request, { ...key, sessionToken: 'T' }, now)
    expect(temporary).toContain('x-amz-security-token')
    expect(temporary.at(-1)).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token')
  })
})

test('an AWS secret is an access key, a role behind one, or a bearer token', () => {
  expect(readAwsSecret('AKIAIOSFODNN7EXAMPLE:abc/def')).toMatchObject({ kind: 'key', roleArn: null })
  expect(readAwsSecret('ASIAIOSFODNN7EXAMPLE:abc:to:ken')).toMatchObject({ key: { sessionToken: 'to:ken' } })
  const role = { accessKeyId: 'AKIA', secretAccessKey: 's', roleArn: 'arn:aws:iam::1:role/r' }
  expect(readAwsSecret(JSON.stringify(role))).toMatchObject({ roleArn: role.roleArn })
  expect(readAwsSecret('bedrock-api-key-abc')).toEqual({ kind: 'bearer', token: 'bedrock-api-key-abc' })
  for (const bad of ['', '{', '{"accessKeyId":"secret-word"}']) {
    expect(() => readAwsSecret(bad)).toThrow(/AWS credential/)
  }
})

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

test('a role is assumed once for all who wait, and again before its keys end', async () => {
  const expires = new Date(Date.now() + 3_600_000).toISOString()
  const sts = await serve(() => ({
    status: 200,
    text: `<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expires}</Expiration>`,
  }))
  const role = new AssumedRole(key, 'arn:aws:iam::1:role/r', 'us-east-1', sts.url)
  const [one, two] = await Promise.all([role.key(Date.now()), role.key(Date.now())])
  expect(one).toEqual({ accessKeyId: 'ASIA', secretAccessKey: 's', sessionToken: 't' })
  expect(two).toBe(one)
  expect(role.key(Date.now())).toBe(one)
  expect(sts.seen).toHaveLength(1)
  expect(sts.seen[0]!.headers.authorization).toContain('/us-east-1/sts/aws4_request')
  await role.key(Date.now() + 56 * 60_000)
  expect(sts.seen).toHaveLength(2)
})

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
