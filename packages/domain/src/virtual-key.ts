import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const PREFIX = 'sk-nemo-'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_LENGTH = 40
const CHECKSUM_LENGTH = 6
const FORMAT = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`)

/**
 * A new virtual key: `sk-nemo-`, 40 random base62 characters (238 bits) and a checksum of 6, as in GitHub's token format,
 * so that a secret scanner knows one when it sees one and a mistyped key costs no look-up.
 */
export function newVirtualKey(): string {
  const secret = randomBase62(SECRET_LENGTH)
  return PREFIX + secret + checksum(secret)
}

/** Whether the text has the form and the checksum of a virtual key. Says nothing about whether the key exists. */
export function isVirtualKey(text: string): boolean {
  if (!FORMAT.test(text)) return false
  const secret = text.slice(PREFIX.length, PREFIX.length + SECRET_LENGTH)
  return text.endsWith(checksum(secret))
}

/** SHA-256 of the key: all that is ever stored of it. A key is random, so a slow hash would protect nothing more. */
export function hashVirtualKey(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** What a list may show of a key: its prefix and its last four characters. */
export function hintOfVirtualKey(key: string): string {
  return `${PREFIX}…${key.slice(-4)}`
}

function randomBase62(length: number): string {
  let text = ''
  while (text.length < length) {
    // 248 is the largest multiple of 62 in a byte; what lies above would favour the first characters.
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += ALPHABET[byte % 62]
  }
  return text
}

function checksum(secret: string): string {
  let value = crc32(secret)
  let text = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    text = ALPHABET[value % 62] + text
    value = Math.floor(value / 62)
  }
  return text
}
