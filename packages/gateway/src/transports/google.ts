import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { fetch } from 'undici'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const LIFETIME_S = 3_600
/** A token is renewed so long before it ends. */
const EARLY_MS = 5 * 60_000
const TIMEOUT_MS = 10_000

/**
 * Access tokens of a Google service account (https://developers.google.com/identity/protocols/oauth2/service-account#httprest): an assertion signed with its key is exchanged for
 * one at its `token_uri`, when it is first needed and before it ends, once for all who wait.
 */
export class GoogleAccess {
  readonly #email: string
  readonly #tokenUri: string
  readonly #keyId: string | undefined
  readonly #key: KeyObject
  #current: { headers: readonly string[]; expiresAt: number } | null = null
  #asking: Promise<readonly string[]> | null = null

  /** `json` is the key file of the account. Throws on what is none, without telling what it was. */
  constructor(json: string) {
    let account: Record<string, unknown>
    try {
      account = JSON.parse(json)
      this.#key = createPrivateKey(String(account.private_key))
    } catch {
      throw new Error('the credential is no JSON key of a Google service account')
    }
    this.#email = String(account.client_email)
    this.#keyId = typeof account.private_key_id === 'string' ? account.private_key_id : undefined
    this.#tokenUri = typeof account.token_uri === 'string' ? account.token_uri : 'https://oauth2.googleapis.com/token'
  }

  /** Rejects when Google refuses or doesn't answer. */
  headers(now: number): readonly string[] | Promise<readonly string[]> {
    if (this.#current && now < this.#current.expiresAt - EARLY_MS) return this.#current.headers
    this.#asking ??= this.#exchange(now).finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #exchange(now: number): Promise<readonly string[]> {
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: this.#assertion(Math.floor(now / 1000)),
    })
    const answer = await fetch(this.#tokenUri, { method: 'POST', body, signal: AbortSignal.timeout(TIMEOUT_MS) })
    const given = (await answer.json().catch(() => null)) as Record<string, unknown> | null
    if (!answer.ok || typeof given?.access_token !== 'string') {
      throw new Error(`Google gave no access token: ${String(given?.error ?? answer.status)}`)
    }
    const headers = ['authorization', `Bearer ${given.access_token}`]
    const lifetime = typeof given.expires_in === 'number' ? given.expires_in : LIFETIME_S
    this.#current = { headers, expiresAt: now + lifetime * 1000 }
    return headers
  }

  /** A JWT, RS256. */
  #assertion(now: number): string {
    const header = { alg: 'RS256', typ: 'JWT', ...(this.#keyId && { kid: this.#keyId }) }
    const claims = { iss: this.#email, scope: SCOPE, aud: this.#tokenUri, iat: now, exp: now + LIFETIME_S }
    const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${parts}.${sign('RSA-SHA256', Buffer.from(parts), this.#key).toString('base64url')}`
  }
}
