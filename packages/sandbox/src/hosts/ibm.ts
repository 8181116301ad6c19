import type { Arrival, Dialect, Endpoint, Reply } from '../dialect.ts'
import { isOwnToken, issueToken } from '../gemini/token.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'

/**
 * IBM's model gateway (https://www.ibm.com/docs/en/watsonx/saas?topic=solutions-model-gateway), which lets in tokens alone, and the place at `/ibm/identity/token` that gives them for an API key
 * (https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey).
 */
export const ibm: Dialect = {
  ...openai,
  authenticate,
  endpoint,
  refuse,
}

function authenticate({ path, headers, bytes }: Arrival, apiKey: string | undefined): void {
  if (path === '/ibm/identity/token') {
    checkKey(new URLSearchParams(bytes.toString()), apiKey)
    return
  }
  const token = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  if (token !== undefined && isOwnToken(token, Date.now())) return
  throw new Refusal(401, 'Failed to authenticate the request due to an expired token', {
    code: 'authentication_token_expired',
  })
}

function checkKey(form: URLSearchParams, apiKey: string | undefined): void {
  if (form.get('grant_type') !== 'urn:ibm:params:oauth:grant-type:apikey') {
    throw new Refusal(400, 'Property missing or empty: grant_type', { code: 'BXNIM0109E' })
  }
  const given = form.get('apikey') ?? ''
  if (given === '' || (apiKey !== undefined && given !== apiKey)) {
    throw new Refusal(400, 'Provided API key could not be found.', { code: 'BXNIM0415E' })
  }
}

function endpoint(method: string, path: string): Endpoint {
  if (method === 'POST' && path === '/identity/token') return { takesBody: false, answer: issueToken }
  const [, version] = /^\/ml\/gateway(\/v1\/.+)$/.exec(path) ?? []
  if (version === undefined) throw new Refusal(404, 'Not Found')
  return openai.endpoint(method, version)
}

/** The place that gives tokens has errors of its own. */
function refuse(refusal: Refusal): Reply {
  const { status, message, code } = refusal
  if (!code?.startsWith('BXNIM')) return openai.refuse(refusal)
  return { status, content: { json: JSON.stringify({ errorCode: code, errorMessage: message }), tokens: 0 } }
}
