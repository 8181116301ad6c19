import { describe, expect, test } from 'vitest'
import { canonicalJson } from './canonical-json.ts'
import { isSecretName, MASK, maskSecrets, maskText } from './mask-secrets.ts'
import { newVirtualKey } from './virtual-key.ts'

/** Made up here, so that no scanner takes this file for a leak. */
const random = (length: number) => 'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z'.repeat(10).slice(0, length)

describe('a text', () => {
  test.each([
    ['a virtual key', newVirtualKey()],
    ['an OpenAI key', `sk-proj-${random(48)}`],
    ['an Anthropic key', `sk-ant-api03-${random(80)}`],
    ['a Stripe key', `sk_live_${random(24)}`],
    ['a webhook secret', `whsec_${random(32)}=`],
    ['a token of GitHub', `ghp_${random(36)}`],
    ['a token of Slack', `xoxb-1234567890-${random(24)}`],
    ['a key of AWS', `AKIA${'ABCDEFGHIJKLMNOP'}`],
    ['a key of Google', `AIza${random(35)}`],
    ['a JWT', `eyJ${random(20)}.eyJ${random(40)}.${random(43)}`],
    ['a header', `Bearer ${random(30)}`],
    ['a private key', `-----BEGIN PRIVATE KEY-----\n${random(64)}\n-----END PRIVATE KEY-----`],
    ['a private key that was cut', `-----BEGIN RSA PRIVATE KEY-----\n${random(64)}`],
    ['a password of a URL', `postgres://nemo:${random(20)}@db:5432/nemo`],
    ['a token of a URL', `https://acme.test/hook?a=1&access_token=${random(20)}&b=2`],
  ])('shows nothing of %s, alone or within a sentence', (_, secret) => {
    const inner = random(10)
    for (const text of [secret, `it was ${secret}, I think`, `{"a":"${secret}"}`]) {
      const clean = maskText(text)
      expect(clean).toContain(MASK)
      expect(clean).not.toContain(secret)
      expect(clean).not.toContain(inner)
      expect(maskText(clean)).toBe(clean)
    }
  })

  test.each([
    'researcher',
    'sk-nemo-…cd1f',
    'gpt-4o-mini',
    'https://acme.test:8443/hook?page=2',
    '0192f0c4-7a3b-7c1d-9e2f-aabbccddeeff',
    'ada@acme.test',
    'basic plan',
    'The bearer of this',
    'risk-management-department',
    '2026-11-03T20:26:10.344Z',
    'key.created',
  ])('that is no secret stays as it is: %s', (text) => {
    expect(maskText(text)).toBe(text)
  })

  test('is cut where nobody would read on, and masked in time whatever it is', () => {
    expect(maskText('a'.repeat(10_000)).length).toBeLessThan(2_100)
    for (const evil of [
      'sk-'.repeat(1_000),
      'eyJ.'.repeat(1_000),
      'a://'.repeat(1_000),
      '?key'.repeat(1_000),
      '-----BEGIN '.repeat(300),
      'Bearer '.repeat(500),
    ]) {
      const begun = performance.now()
      maskText(evil)
      expect(performance.now() - begun).toBeLessThan(200)
    }
  })
})

describe('a name', () => {
  test.each([
    ...[
      'key',
      'api_key',
      'apiKey',
      'API-Key',
      'keys',
      'secret',
      'client_secret',
      'webhookSecret',
      'token',
      'tokens',
      'refresh_token',
      'accessToken',
    ],
    ...[
      'password',
      'newPassword',
      'passphrase',
      'Authorization',
      'Proxy-Authorization',
      'Set-Cookie',
      'cookies',
      'credentials',
      'recovery_codes',
      'otp',
      'private_key',
    ],
  ])('of a secret is known: %s', (name) => {
    expect(isSecretName(name)).toBe(true)
  })
  test.each([
    ...[
      'key_id',
      'key_alias',
      'public_key',
      'token_count',
      'tokens_per_minute',
      'secret_version',
      'password_changed_at',
      'monkey',
      'hint',
      'alias',
      'authorized',
      '',
    ],
  ])('that is none is left alone: %s', (name) => {
    expect(isSecretName(name)).toBe(false)
  })
})

describe('a value', () => {
  test('loses what is under names of secrets, and keeps that there was something', () => {
    expect(
      maskSecrets({
        alias: 'ci',
        key: 'short',
        tokens: 4096,
        password: '',
        secret: null,
        credentials: { user: 'a', region: 'b' },
        recoveryCodes: ['a-b', 'c-d'],
        list: [{ Authorization: 'x' }, `Bearer ${random(20)}`],
      }),
    ).toEqual({
      alias: 'ci',
      key: MASK,
      tokens: 4096,
      password: null,
      secret: null,
      credentials: MASK,
      recoveryCodes: MASK,
      list: [{ Authorization: MASK }, `Bearer ${MASK}`],
    })
  })

  test('becomes plain JSON: dates, big integers, bytes, maps and sets too', () => {
    const value = maskSecrets({
      at: new Date('2026-01-02T03:04:05.678Z'),
      bound: 12345678901234567890n,
      hash: Buffer.from('abc'),
      map: new Map([['token', 'x']]),
      set: new Set([1]),
      nothing: undefined,
      act: () => {},
      not: Number.NaN,
    })
    expect(value).toEqual({
      at: '2026-01-02T03:04:05.678Z',
      bound: '12345678901234567890',
      hash: '[bytes]',
      map: { token: MASK },
      set: [1],
      not: null,
    })
  })

  test('is bounded, however deep or wide, and may contain itself', () => {
    const self: Record<string, unknown> = {}
    self.self = self
    expect(JSON.stringify(maskSecrets(self))).toContain('nested too deeply')
    expect(JSON.stringify(maskSecrets(Array.from({ length: 100_000 }, (_, i) => ({ i })))).length).toBeLessThan(20_000)
  })

  test('keeps a member of any name', () => {
    const odd = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}')
    expect(canonicalJson(maskSecrets(odd))).toBe('{"__proto__":{"a":1},"constructor":2}')
  })
})
