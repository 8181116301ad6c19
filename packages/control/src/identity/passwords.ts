import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { ApiError } from '@nemo/domain/errors'

/** scrypt's N, r and p. */
export interface PasswordCost {
  readonly n: number
  readonly r: number
  readonly p: number
}

/** 32 MiB and about a fifth of a second: OWASP's Password Storage Cheat Sheet counts it as strong as Argon2id with 19 MiB. */
export const DEFAULT_PASSWORD_COST: PasswordCost = { n: 2 ** 15, r: 8, p: 3 }

const KEY_BYTES = 32
const SALT_BYTES = 16
/** scrypt runs on the threads that also write the gateway's journal: it never gets all four of them. */
const AT_ONCE = 2
const WAITING_MAX = 200

/** Hashes passwords, a few at a time. */
export class Passwords {
  readonly #cost: PasswordCost
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(cost: PasswordCost) {
    this.#cost = cost
  }

  /** `scrypt$n$r$p$salt$key`: with what it cost, so that the cost may be raised later. */
  async hash(password: string): Promise<string> {
    const { n, r, p } = this.#cost
    const salt = randomBytes(SALT_BYTES)
    const key = await this.#derive(password, salt, this.#cost)
    return ['scrypt', n, r, p, salt.toString('base64url'), key.toString('base64url')].join('$')
  }

  /** Whether it is the password of the hash. Without a hash (no such user, no password) it takes as long, and is false. */
  async matches(password: string, stored: string | null): Promise<boolean> {
    if (stored === null) {
      await this.#derive(password, randomBytes(SALT_BYTES), this.#cost)
      return false
    }
    const [, n, r, p, salt, key] = stored.split('$')
    const derived = await this.#derive(password, Buffer.from(salt!, 'base64url'), {
      n: Number(n),
      r: Number(r),
      p: Number(p),
    })
    const expected = Buffer.from(key!, 'base64url')
    return expected.length === derived.length && timingSafeEqual(expected, derived)
  }

  /** Whether the hash cost less, or more, than one would now. */
  isOutdated(stored: string): boolean {
    const { n, r, p } = this.#cost
    return !stored.startsWith(`scrypt$${n}$${r}$${p}$`)
  }

  async #derive(password: string, salt: Buffer, { n, r, p }: PasswordCost): Promise<Buffer> {
    if (this.#running < AT_ONCE) this.#running++
    else {
      if (this.#waiting.length >= WAITING_MAX)
        throw new ApiError(503, 'busy', 'Too many people sign in at this moment.', { headers: { 'retry-after': '5' } })
      // Whoever is done hands his place over.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    try {
      return await new Promise<Buffer>((resolve, reject) =>
        // One text may be typed as several sequences of code points.
        scrypt(password.normalize('NFKC'), salt, KEY_BYTES, { N: n, r, p, maxmem: 256 * n * r }, (error, key) =>
          error ? reject(error) : resolve(key),
        ),
      )
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
