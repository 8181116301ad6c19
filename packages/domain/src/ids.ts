import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 10 * 256
const pool = Buffer.allocUnsafe(POOL_BYTES)
let spent = POOL_BYTES

/** A UUIDv7 (RFC 9562, section 5.7): ordered by millisecond, so that indexes grow at their end. */
export function uuidv7(now: number = Date.now()): string {
  if (spent === POOL_BYTES) {
    randomFillSync(pool)
    spent = 0
  }
  const time = now.toString(16).padStart(12, '0')
  const random = pool.toString('hex', spent, spent + 10)
  spent += 10
  const variant = ((Number.parseInt(random[3]!, 16) & 0x3) | 0x8).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`
}

/** A request's id as callers see it: `req_` and the 32 hexadecimal digits of its UUID. */
export function requestIdOf(uuid: string): string {
  return `req_${uuid.replaceAll('-', '')}`
}

/** The UUID behind a request id, or null when the text is not one. */
export function uuidOfRequestId(requestId: string): string | null {
  const match = /^req_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(requestId)
  return match ? match.slice(1).join('-') : null
}
