import { fetch } from 'undici'

const LIFETIME_S = 3_600
/** A token is renewed so long before it ends. */
const EARLY_MS = 5 * 60_000
/** What is on its way for less than this gets there before the token ends. */
const MARGIN_MS = 10_000
const TIMEOUT_MS = 10_000

/**
 * Access tokens of an issuer that gives them for a secret, as OAuth 2.0 has it (https://www.rfc-editor.org/rfc/rfc6749#section-5): asked for when they are first needed and before they end, once for
 * all who wait. While one is renewed the old one serves.
 */
export abstract class AccessToken {
  readonly #issuer: string
  readonly #tokenUri: string
  #current: { headers: readonly string[]; expiresAt: number } | null = null
  #asking: Promise<readonly string[]> | null = null

  constructor(issuer: string, tokenUri: string) {
    this.#issuer = issuer
    this.#tokenUri = tokenUri
  }

  /** `now` is in milliseconds. Rejects when the issuer refuses or doesn't answer, without telling any secret. */
  headers(now: number): readonly string[] | Promise<readonly string[]> {
    const left = this.#current ? this.#current.expiresAt - now : 0
    if (left > EARLY_MS) return this.#current!.headers
    const renewed = this.#renewed(now)
    if (left <= MARGIN_MS) return renewed
    // Nobody waits for it, and until the token ends nobody minds if it fails: it is tried again with the next request.
    renewed.catch(() => {})
    return this.#current!.headers
  }

  /** What the issuer is asked with. `now` is in seconds. */
  protected abstract form(now: number): Readonly<Record<string, string>>
  /** The members of a refusal that say why. */
  protected abstract readonly reasons: readonly string[]

  #renewed(now: number): Promise<readonly string[]> {
    this.#asking ??= this.#exchange(now).finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #exchange(now: number): Promise<readonly string[]> {
    const { isGiven, status, answer } = await this.#ask(now)
    if (!isGiven || typeof answer.access_token !== 'string') {
      const reasons = this.reasons.map((name) => answer[name]).filter((reason) => typeof reason === 'string')
      throw new Error(`${this.#issuer} gave no access token: ${reasons.join(', ') || `status ${status}`}`)
    }
    const lifetime = Number(answer.expires_in) > 0 ? Number(answer.expires_in) : LIFETIME_S
    const headers = ['authorization', `Bearer ${answer.access_token}`]
    this.#current = { headers, expiresAt: now + lifetime * 1000 }
    return headers
  }

  async #ask(now: number): Promise<{ isGiven: boolean; status: number; answer: Record<string, unknown> }> {
    const body = new URLSearchParams(this.form(Math.floor(now / 1000)))
    try {
      const response = await fetch(this.#tokenUri, { method: 'POST', body, signal: AbortSignal.timeout(TIMEOUT_MS) })
      const answer = (await response.json().catch(() => null)) as Record<string, unknown> | null
      return { isGiven: response.ok, status: response.status, answer: answer ?? {} }
    } catch (cause) {
      throw new Error(`${this.#issuer}’s token server could not be reached`, { cause })
    }
  }
}

/** A token that was already given for a secret: a JWT. It serves until it ends. */
export function isAccessToken(secret: string): boolean {
  return /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(secret.trim())
}
