import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
export const MASTER_KEY_BYTES = 32

/**
 * Seals a secret with AES-256-GCM under the master key. `context` says what the secret is of (a credential's name); a sealed secret
 * moved to another context doesn't open. Layout: version, nonce, tag, ciphertext.
 */
export function seal(masterKey: Buffer, secret: string, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', masterKey, nonce).setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.from([VERSION]), nonce, cipher.getAuthTag(), ciphertext])
}

/** Opens what `seal` made. Throws when the key or the context is another, or a byte was changed. */
export function unseal(masterKey: Buffer, sealed: Buffer, context: string): string {
  if (sealed[0] !== VERSION) throw new Error(`a secret sealed in version ${sealed[0]} can't be opened by this release`)
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', masterKey, nonce).setAAD(Buffer.from(context)).setAuthTag(tag)
  try {
    return Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString(
      'utf8',
    )
  } catch (error) {
    throw new Error(
      `the secret of ${context} can't be opened: NEMO_MASTER_KEY is not the one that it was sealed with`,
      { cause: error },
    )
  }
}
