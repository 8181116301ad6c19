import { createHash, randomBytes } from 'node:crypto'

const TOKEN_PREFIX = 'nemo_pat_'

/** A random secret of 256 bits, for a cookie, a link in a mail or a token, and what is kept of it: random as it is, a fast hash is enough. */
export function newSecret(prefix: '' | typeof TOKEN_PREFIX = ''): { secret: string; hash: Buffer } {
  const secret = prefix + randomBytes(32).toString('base64url')
  return { secret, hash: hashSecret(secret) }
}

export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

export function newPersonalToken(): { secret: string; hash: Buffer; hint: string } {
  const token = newSecret(TOKEN_PREFIX)
  return { ...token, hint: `${TOKEN_PREFIX}…${token.secret.slice(-4)}` }
}

export function isPersonalToken(text: string): boolean {
  return text.startsWith(TOKEN_PREFIX) && text.length === TOKEN_PREFIX.length + 43
}
