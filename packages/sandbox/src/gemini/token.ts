import { createPublicKey, hash, verify } from 'node:crypto'
import type { Arrival, Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'

const lifetimeSeconds = 3599
const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/**
 * What Google's token server says to a service account's assertion (https://developers.google.com/identity/protocols/oauth2/service-account#httprest): throws its 400. `publicKey` is the
 * account's, as PEM; without it any signature will do, but there must be one.
 */
export function checkAssertion({ headers, path, bytes }: Arrival, publicKey: string | undefined, now: number): void {
  const form = new URLSearchParams(bytes.toString())
  if (form.get('grant_type') !== grantType) {
    throw oauthRefusal('unsupported_grant_type', `Invalid grant_type: ${form.get('grant_type') ?? ''}`)
  }
  const [head = '', body = '', signature = '', ...more] = (form.get('assertion') ?? '').split('.')
  const [header, claims] = [partOf(head), partOf(body)]
  if (header === undefined || claims === undefined || signature === '' || more.length > 0) {
    throw oauthRefusal('invalid_grant', 'Invalid JWT: the assertion is not a JWT.')
  }
  if (header.alg !== 'RS256') throw oauthRefusal('invalid_grant', 'Invalid JWT: alg must be RS256.')
  const isSigned =
    publicKey === undefined ||
    verify(
      'RSA-SHA256',
      Buffer.from(`${head}.${body}`),
      createPublicKey(publicKey),
      Buffer.from(signature, 'base64url'),
    )
  if (!isSigned) throw oauthRefusal('invalid_grant', 'Invalid JWT Signature.')
  const audience = `http://${headers.host}${path}`
  if (claims.aud !== audience) throw oauthRefusal('invalid_grant', `Invalid JWT: aud must be ${audience}.`)
  if (typeof claims.iss !== 'string' || claims.iss === '') {
    throw oauthRefusal('invalid_grant', 'Invalid grant: account not found')
  }
  if (typeof claims.scope !== 'string') throw oauthRefusal('invalid_scope', 'Invalid OAuth scope or ID token audience.')
  const { iat, exp } = claims
  const seconds = now / 1000
  const isTimely =
    typeof iat === 'number' && typeof exp === 'number' && iat < seconds + 300 && exp > seconds && exp - iat <= 3600
  if (!isTimely) {
    throw oauthRefusal(
      'invalid_grant',
      'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
    )
  }
}

/** A token that tells when it ends. */
export function issueToken(_: Call): Reply {
  const ends = Math.floor(Date.now() / 1000) + lifetimeSeconds
  const access_token = `ya29.${ends}.${seal(ends)}`
  const json = JSON.stringify({ access_token, expires_in: lifetimeSeconds, token_type: 'Bearer' })
  return { status: 200, content: { json, tokens: 0 } }
}

/** Whether it was given out here, and holds. */
export function isOwnToken(token: string, now: number): boolean {
  const [, ends, sealed] = /^ya29\.(\d+)\.([0-9a-f]+)$/.exec(token) ?? []
  return ends !== undefined && sealed === seal(Number(ends)) && Number(ends) * 1000 > now
}

const oauthCodes = ['invalid_grant', 'unsupported_grant_type', 'invalid_scope']

function oauthRefusal(code: string, message: string): Refusal {
  return new Refusal(400, message, { code })
}

/** Refusals of the token server look like OAuth's (https://www.rfc-editor.org/rfc/rfc6749#section-5.2); undefined of all others. */
export function oauthReply({ status, code, message }: Refusal): Reply | undefined {
  if (code === null || !oauthCodes.includes(code)) return undefined
  return { status, content: { json: JSON.stringify({ error: code, error_description: message }), tokens: 0 } }
}

function partOf(part: string): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function seal(ends: number): string {
  return hash('sha256', `the sandbox lets in until ${ends}`, 'hex')
}
