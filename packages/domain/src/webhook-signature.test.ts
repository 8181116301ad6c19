import { createHmac, timingSafeEqual } from 'node:crypto'
import { expect, test } from 'vitest'
import { newWebhookSecret, webhookHeaders, webhookIdOf } from './webhook-signature.ts'

test('a signature is that of Standard Webhooks’ own libraries', () => {
  // The vector of their test suites: libraries/javascript/src/index.test.ts and others.
  const headers = webhookHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', new Date(1614265330_000), '{"test": 2432232314}', [
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  ])
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('after a change of secret each of the two verifies, and no other', () => {
  const [old, current, other] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()]
  const headers = webhookHeaders('msg_1', new Date(), '{}', [current, old])
  expect([current, old, other].map((secret) => verifies(headers, '{}', secret))).toEqual([true, true, false])
  expect(verifies(headers, '{} ', current)).toBe(false)
})

test('a secret is one, and an id has no full stop', () => {
  expect(newWebhookSecret()).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  expect(webhookIdOf('0192f0c4-7a3b-7c1d-9e2f-aabbccddeeff')).toBe('msg_0192f0c47a3b7c1d9e2faabbccddeeff')
})

function verifies(headers: Record<string, string>, body: string, secret: string): boolean {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
    .update(signed)
    .digest()
  return headers['webhook-signature']!.split(' ').some((one) => {
    const given = Buffer.from(one.slice(3), 'base64')
    return one.startsWith('v1,') && given.length === expected.length && timingSafeEqual(given, expected)
  })
}
