import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const STEP_SECONDS = 30
const DIGITS = 6
/** Clocks differ: the code before and the one after count too (RFC 6238, section 5.2). */
const STEPS_EITHER_WAY = 1

/** 160 bits in base32 (RFC 4648), as authenticators want them. */
export function newTotpSecret(): string {
  return base32(randomBytes(20))
}

/** What the QR code of an authenticator says (the Key URI format of google-authenticator's wiki). */
export function totpUri(secret: string, account: string): string {
  const label = encodeURIComponent(`Nemo Router:${account}`)
  return `otpauth://totp/${label}?secret=${secret}&issuer=Nemo%20Router&algorithm=SHA1&digits=${DIGITS}&period=${STEP_SECONDS}`
}

/** The time step that it is the code of, of those around `now` (milliseconds); null for a wrong code. */
export function totpStepOf(secret: string, code: string, now: number): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const current = Math.floor(now / 1000 / STEP_SECONDS)
  let found: number | null = null
  for (let step = current - STEPS_EITHER_WAY; step <= current + STEPS_EITHER_WAY; step++) {
    if (timingSafeEqual(Buffer.from(totpCode(secret, step)), Buffer.from(code))) found ??= step
  }
  return found
}

/** The code of a time step (RFC 6238 on RFC 4226). */
export function totpCode(secret: string, step: number, digits = DIGITS): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', fromBase32(secret)).update(counter).digest()
  const offset = mac.at(-1)! & 0xf
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** digits).padStart(digits, '0')
}

const CODES = 10

/** Ten codes of 80 bits, in four parts that can be read out: what is kept of one is a fast hash, and nobody tries so many. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: CODES }, () => base32(randomBytes(10)).match(/.{4}/g)!.join('-'))
}

/** A recovery code however it was typed. */
export function plainRecoveryCode(code: string): string {
  return code.toUpperCase().replaceAll(/[^A-Z2-7]/g, '')
}

function base32(bytes: Buffer): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(value >>> bits) & 31]
    }
  }
  return text
}

function fromBase32(text: string): Buffer {
  const bytes: number[] = []
  let bits = 0
  let value = 0
  for (const character of text) {
    value = ((value << 5) | ALPHABET.indexOf(character)) & 0xffff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((value >>> bits) & 255)
    }
  }
  return Buffer.from(bytes)
}
