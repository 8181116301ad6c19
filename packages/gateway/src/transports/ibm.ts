import { AccessToken } from './access-token.ts'

const TOKEN_URI = 'https://iam.cloud.ibm.com/identity/token'

/**
 * Access tokens of IBM Cloud for an API key (https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey). The secret is the key, or the JSON file of it that IBM gives, in which
 * `token_uri` may name another place to exchange it, such as IBM's private one. Throws on JSON without a key, without telling what it was.
 */
export class IbmAccess extends AccessToken {
  protected readonly reasons = ['errorCode', 'errorMessage']
  readonly #apiKey: string

  constructor(secret: string) {
    const { apikey, token_uri } = readKey(secret)
    super('IBM Cloud', token_uri)
    this.#apiKey = apikey
  }

  protected form(): Record<string, string> {
    return { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: this.#apiKey }
  }
}

function readKey(secret: string): { apikey: string; token_uri: string } {
  const text = secret.trim()
  if (text === '') throw new Error('the IBM Cloud credential is empty')
  if (!text.startsWith('{')) return { apikey: text, token_uri: TOKEN_URI }
  let file: Record<string, unknown>
  try {
    file = JSON.parse(text)
  } catch {
    throw new Error('the IBM Cloud credential is no valid JSON')
  }
  const { apikey, token_uri = TOKEN_URI } = file
  if (typeof apikey !== 'string' || apikey === '') throw new Error('the IBM Cloud credential needs apikey')
  if (typeof token_uri !== 'string') throw new Error('the IBM Cloud credential’s token_uri must be text')
  return { apikey, token_uri }
}
