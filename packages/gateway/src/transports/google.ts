import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { AccessToken } from './access-token.ts'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const LIFETIME_S = 3_600

/** Access tokens of a Google service account, for assertions signed with its key (https://developers.google.com/identity/protocols/oauth2/service-account#httprest). */
export class GoogleAccess extends AccessToken {
  protected readonly reasons = ['error', 'error_description']
  readonly #email: string
  readonly #tokenUri: string
  readonly #keyId: string | undefined
  readonly #key: KeyObject

  /** `json` is the key file of the account. Throws on what is none, without telling what it was. */
  constructor(json: string) {
    const account = readAccount(json)
    const tokenUri = account.token_uri ?? 'https://oauth2.googleapis.com/token'
    super('Google', tokenUri)
    this.#email = account.client_email
    this.#keyId = account.private_key_id
    this.#tokenUri = tokenUri
    try {
      this.#key = createPrivateKey(account.private_key)
    } catch {
      throw new Error('the private_key of the Google service account is no key')
    }
    if (this.#key.asymmetricKeyType !== 'rsa')
      throw new Error('the private_key of the Google service account is not RSA')
  }

  protected form(now: number): Record<string, string> {
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: this.#assertion(now) }
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
