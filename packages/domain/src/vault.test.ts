import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { seal, unseal } from './vault.ts'

const masterKey = randomBytes(32)

test('a secret opens with its key and its context', () => {
  const sealed = seal(masterKey, 'sk-secret-ü', 'openai')
  expect(sealed.includes(Buffer.from('secret'))).toBe(false)
  expect(unseal(masterKey, sealed, 'openai')).toBe('sk-secret-ü')
  expect(seal(masterKey, 'sk-secret-ü', 'openai').equals(sealed)).toBe(false)
})

test('it opens with no other key, in no other context, and not with any byte changed', () => {
  const sealed = seal(masterKey, 'sk-secret', 'openai')
  expect(() => unseal(randomBytes(32), sealed, 'openai')).toThrow('NEMO_MASTER_KEY is not the one')
  expect(() => unseal(masterKey, sealed, 'another')).toThrow()
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed)
    changed[i]! ^= 1
    expect(() => unseal(masterKey, changed, 'openai')).toThrow()
  }
})
