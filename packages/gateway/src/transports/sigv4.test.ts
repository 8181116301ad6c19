import { Sha256 } from '@aws-crypto/sha256-js'
import { SignatureV4 } from '@smithy/signature-v4'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AwsKey, type Signed, SigV4 } from './sigv4.ts'

const key: AwsKey = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const now = new Date('2015-08-30T12:36:00Z')
const host = 'example.amazonaws.com'
const FORM = 'application/x-www-form-urlencoded'
const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

function authorizationOf(headers: readonly string[]): string {
  return headers[headers.indexOf('authorization') + 1]!
}

/** Requests and signatures as AWS publishes them (https://github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4): of the service `service` in us-east-1. */
describe('signs as AWS publishes it', () => {
  const post = { method: 'POST' }
  test.each<[string, Partial<Signed>, string]>([
    ['get-vanilla', {}, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['get-unreserved', { path: `/${UNRESERVED}` }, '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f'],
    ['get-utf8', { path: '/ሴ' }, '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85'],
    [
      'get-header-value-trim',
      { headers: { 'my-header1': ' value1', 'my-header2': '"a   b   c"' } },
      'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
    ],
    [
      'get-vanilla-query-order-key-case',
      { path: '/?Param2=value2&Param1=value1' },
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-vanilla-query-unreserved',
      { path: `/?${UNRESERVED}=${UNRESERVED}` },
      '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
    ],
    [
      'get-vanilla-utf8-query',
      { path: '/?%E1%88%B4=bar' },
      '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
    ],
    ['post-vanilla', post, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'post-vanilla-query',
      { ...post, path: '/?Param1=value1' },
      '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
    ],
    [
      'post-header-value-case',
      { ...post, headers: { 'my-header1': 'VALUE1' } },
      'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
    ],
    [
      'post-x-www-form-urlencoded',
      { ...post, headers: { 'content-type': FORM }, body: 'Param1=value1' },
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
    [
      'post-x-www-form-urlencoded-parameters',
      { ...post, headers: { 'content-type': `${FORM}; charset=utf8` }, body: 'Param1=value1' },
      '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
    ],
  ])('%s', (_, request, signature) => {
    const signed = new SigV4('service', 'us-east-1').sign(
      { method: 'GET', host, path: '/', body: '', ...request },
      key,
      now,
    )
    expect(authorizationOf(signed)).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20150830\/us-east-1\/service\/aws4_request, SignedHeaders=/,
    )
    expect(authorizationOf(signed)).toMatch(new RegExp(`, Signature=${signature}$`))
  })
})

/** What AWS's own signer makes of the same. */
async function theirs(request: Signed, by: AwsKey, region: string, signingDate: Date): Promise<string | undefined> {
  const { accessKeyId, secretAccessKey, sessionToken } = by
  const signer = new SignatureV4({
    service: 'bedrock',
    region,
    sha256: Sha256,
    applyChecksum: false,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
  })
  const { pathname, searchParams } = new URL(request.path, 'https://host')
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: request.host,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: { host: request.host, ...request.headers },
      body: request.body,
    },
    { signingDate },
  )
  return signed.headers.authorization
}

const model = fc.oneof(
  fc.constantFrom(
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
    'arn:aws:bedrock:eu-west-1:1:inference-profile/eu.a.b-v1:0',
  ),
  fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed() && !/^\.+$/.test(text)),
)

test('AWS’s own signer signs the very same, whatever the model, the body and the key', async () => {
  const requests = fc.record({
    model,
    colons: fc.boolean(),
    body: fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
    query: fc.dictionary(fc.stringMatching(/^[a-z-]{1,5}$/), fc.string({ maxLength: 5 }), { noNullPrototype: true }),
    sessionToken: fc.option(fc.stringMatching(/^[A-Za-z0-9+/=]{1,50}$/)),
    region: fc.constantFrom('us-east-1', 'eu-central-1'),
    time: fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
  })
  await fc.assert(
    fc.asyncProperty(requests, async ({ model, colons, body, query, sessionToken, region, time }) => {
      const segment = encodeURIComponent(model).replaceAll('%3A', colons ? ':' : '%3A')
      const search = new URLSearchParams(query).toString()
      const path = `/model/${segment}/converse${search && `?${search}`}`
      const request: Signed = { method: 'POST', host: 'bedrock-runtime.amazonaws.com', path, body }
      const by = { ...key, sessionToken }
      const ours = new SigV4('bedrock', region).sign(request, by, time)
      expect(authorizationOf(ours)).toBe(await theirs(request, by, region, time))
      expect(ours.includes('x-amz-security-token')).toBe(sessionToken !== null)
    }),
  )
})

test('one signer serves one day after another, and one key after another', async () => {
  const signer = new SigV4('bedrock', 'us-east-1')
  const request: Signed = { method: 'POST', host, path: '/model/a%3A0/converse', body: Buffer.from('{}') }
  const other = { accessKeyId: 'ASIAOTHER', secretAccessKey: 'another secret', sessionToken: 'token' }
  for (const by of [key, other, key]) {
    for (const time of ['2026-11-20T23:59:59Z', '2026-11-21T00:00:00Z', '2026-11-20T23:59:59Z']) {
      const at = new Date(time)
      expect(authorizationOf(signer.sign(request, by, at))).toBe(await theirs(request, by, 'us-east-1', at))
    }
  }
})
