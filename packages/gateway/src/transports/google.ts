import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { fetch } from 'undici'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const LIFETIME_S = 3_600
/** A token is renewed so long before it ends. */
const EARLY_MS = 5 * 60_000
/** What is on its way for less than this gets there before the token ends. */
const MARGIN_MS = 10_000
const TIMEOUT_MS = 10_000

/**
 * Access tokens of a Google service account (https://developers.google.com/identity/protocols/oauth2/service-account#httprest): an assertion signed with its key is exchanged for
 * one at its `token_uri`, when it is first needed and before it ends, once for all who wait. While one is renewed the old one serves.
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
    const account = readAccount(json)
    this.#email = account.client_email
    this.#keyId = account.private_key_id
    this.#tokenUri = account.token_uri ?? 'https://oauth2.googleapis.com/token'
    try {
      this.#key = createPrivateKey(account.private_key)
    } catch {
      throw new Error('the private_key of the Google service account is no key')
    }
    if (this.#key.asymmetricKeyType !== 'rsa')
      throw new Error('the private_key of the Google service account is not RSA')
  }

  /** `now` is in milliseconds. Rejects when Google refuses or doesn't answer, without telling any secret. */
  headers(now: number): readonly string[] | Promise<readonly string[]> {
    const left = this.#current ? this.#current.expiresAt - now : 0
    if (left > EARLY_MS) return this.#current!.headers
    const renewed = this.#renewed(now)
    if (left <= MARGIN_MS) return renewed
    // Nobody waits for it, and until the token ends nobody minds if it fails: it is tried again with the next request.
    renewed.catch(() => {})
    return this.#current!.headers
  }

  #renewed(now: number): Promise<readonly string[]> {
    this.#asking ??= this.#exchange(now).finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #exchange(now: number): Promise<readonly string[]> {
    const { isGiven, status, answer } = await this.#ask(now)
    if (!isGiven || typeof answer.access_token !== 'string') {
      const reasons = [answer.error, answer.error_description].filter((reason) => typeof reason === 'string')
      throw new Error(`Google gave no access token: ${reasons.join(', ') || `status ${status}`}`)
    }
    const lifetime = Number(answer.expires_in) > 0 ? Number(answer.expires_in) : LIFETIME_S
    const headers = ['authorization', `Bearer ${answer.access_token}`]
    this.#current = { headers, expiresAt: now + lifetime * 1000 }
    return headers
  }

  async #ask(now: number): Promise<{ isGiven: boolean; status: number; answer: Record<string, unknown> }> {
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: this.#assertion(Math.floor(now / 1000)),
    })
    try {
      const response = await fetch(this.#tokenUri, { method: 'POST', body, signal: AbortSignal.timeout(TIMEOUT_MS) })
      const answer = (await response.json().catch(() => null)) as Record<string, unknown> | null
      return { isGiven: response.ok, status: response.status, answer: answer ?? {} }
    } catch (cause) {
      throw new Error('Google’s token server could not be reached', { cause })
    }
  }

  /** A JWT, RS256. */
  #assertion(now: number): string {
    const header = { alg: 'RS256', typ: 'JWT', ...(this.#keyId && { kid: this.#keyId }) }
    const claims = { iss: this.#email, scope: SCOPE, aud: this.#tokenUri, iat: now, exp: now + LIFETIME_S }
    const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${parts}.${sign('RSA-SHA256', Buffer.from(parts), this.#key).toString('base64url')}`
  }
}

interface Account {
  readonly client_email: string
  readonly private_key: string
  readonly private_key_id?: string
  readonly token_uri?: string
}

function readAccount(json: string): Account {
  let account: Partial<Record<string, unknown>> | null
  try {
    account = JSON.parse(json)
  } catch {
    throw new Error('the credential is no JSON key of a Google service account')
  }
  const { type, client_email, private_key, private_key_id, token_uri } = account ?? {}
  if (typeof type === 'string' && type !== 'service_account') {
    throw new Error('the Google credential is not of a service account: create a JSON key of one')
  }
  if (typeof client_email !== 'string' || typeof private_key !== 'string') {
    throw new Error('the key of the Google service account needs client_email and private_key')
  }
  return {
    client_email,
    private_key,
    ...(typeof private_key_id === 'string' && { private_key_id }),
    ...(typeof token_uri === 'string' && { token_uri }),
  }
}
