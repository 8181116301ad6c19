import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { masterKeyId, masterKeyIdOfSealed, reseal, seal, unseal } from './vault.ts'

const masterKey = randomBytes(32)

/** As releases before envelopes sealed. */
function sealFirstVersion(key: Buffer, secret: string, context: string): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.from([1]), nonce, cipher.getAuthTag(), ciphertext])
}

test('a secret opens with its key and its context', () => {
  const sealed = seal(masterKey, 'sk-secret-ü', 'openai')
  expect(sealed.includes(Buffer.from('secret'))).toBe(false)
  expect(unseal(masterKey, sealed, 'openai')).toBe('sk-secret-ü')
  expect(seal(masterKey, 'sk-secret-ü', 'openai').equals(sealed)).toBe(false)
})

test.each([
  ['an envelope', seal],
  ['what an earlier release sealed', sealFirstVersion],
])('%s opens with no other key, in no other context, and not with any byte changed', (_, make) => {
  const sealed = make(masterKey, 'sk-secret', 'openai')
  expect(unseal(masterKey, sealed, 'openai')).toBe('sk-secret')
  expect(() => unseal(randomBytes(32), sealed, 'openai')).toThrow('NEMO_MASTER_KEY is not the one')
  expect(() => unseal(masterKey, sealed, 'another')).toThrow('NEMO_MASTER_KEY is not the one')
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed)
    changed[i]! ^= 1
    expect(() => unseal(masterKey, changed, 'openai')).toThrow()
  }
  for (let length = 0; length < sealed.length; length++)
    expect(() => unseal(masterKey, sealed.subarray(0, length), 'openai')).toThrow()
})

test('every secret is sealed under a key of its own', () => {
  const [one, two] = [seal(masterKey, 'a', 'x'), seal(masterKey, 'a', 'x')]
  const swapped = Buffer.concat([one.subarray(0, 69), two.subarray(69)])
  expect(() => unseal(masterKey, swapped, 'x')).toThrow()
})

describe('another master key', () => {
  const next = randomBytes(32)

  test('takes the place of the one before without touching the secret', () => {
    const sealed = seal(masterKey, 'sk-secret', 'openai')
    const anew = reseal(masterKey, next, sealed, 'openai')!
    expect(unseal(next, anew, 'openai')).toBe('sk-secret')
    expect(() => unseal(masterKey, anew, 'openai')).toThrow()
    expect(anew.subarray(69).equals(sealed.subarray(69))).toBe(true)
    expect([masterKeyIdOfSealed(sealed), masterKeyIdOfSealed(anew)]).toEqual([
      masterKeyId(masterKey),
      masterKeyId(next),
    ])
    // What has been done needs none of the keys before.
    expect(reseal([], next, anew, 'openai')).toBeNull()
    expect(() => reseal(randomBytes(32), next, sealed, 'openai')).toThrow()
    expect(() => reseal(masterKey, next, sealed, 'another')).toThrow()
  })

  test('makes an envelope of what an earlier release sealed', () => {
    const sealed = sealFirstVersion(masterKey, 'sk-secret', 'openai')
    expect(masterKeyIdOfSealed(sealed)).toBeNull()
    expect(unseal(next, reseal([next, masterKey], next, sealed, 'openai')!, 'openai')).toBe('sk-secret')
  })

  test('works beside the one before: the first seals, all open', () => {
    const both = [next, masterKey]
    for (const make of [seal, sealFirstVersion])
      for (const key of both) expect(unseal(both, make(key, 'sk-secret', 'openai'), 'openai')).toBe('sk-secret')
    expect(unseal(next, seal(both, 'sk-secret', 'openai'), 'openai')).toBe('sk-secret')
    expect(() => unseal(both, sealFirstVersion(randomBytes(32), 'x', 'openai'), 'openai')).toThrow('is not the one')
  })
})
