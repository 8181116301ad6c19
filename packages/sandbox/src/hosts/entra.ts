import type { Arrival, Reply } from '../dialect.ts'
import { Refusal } from '../refusal.ts'

/** What a token for Azure's models is asked for with. */
const SCOPES = ['https://cognitiveservices.azure.com/.default', 'https://ai.azure.com/.default']
/** By their codes; the numbers are those of https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes. */
const NUMBERS: Readonly<Record<string, number>> = {
  invalid_request: 900144,
  unsupported_grant_type: 70003,
  invalid_scope: 70011,
  invalid_client: 7000215,
}

/** Whether Entra ID is asked for a token there. */
export function isTokenPath(path: string): boolean {
  return /^\/azure\/[A-Za-z0-9.-]+\/oauth2\/v2\.0\/token$/.test(path)
}

/**
 * An application and its secret, which is the sandbox's key
 * (https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow#first-case-access-token-request-with-a-shared-secret). Throws a 400 or a 401.
 */
export function checkApplication({ bytes }: Arrival, apiKey: string | undefined): void {
  const form = new URLSearchParams(bytes.toString())
  const missing = ['grant_type', 'client_id', 'client_secret', 'scope'].find((name) => !form.get(name))
  if (missing !== undefined)
    throw entra('invalid_request', `The request body must contain the following parameter: '${missing}'.`)
  if (form.get('grant_type') !== 'client_credentials')
    throw entra('unsupported_grant_type', `The app requested an unsupported grant type '${form.get('grant_type')}'.`)
  if (!SCOPES.includes(form.get('scope')!))
    throw entra('invalid_scope', `The provided value for the input parameter 'scope' is not valid.`)
  if (apiKey !== undefined && form.get('client_secret') !== apiKey)
    throw entra('invalid_client', `Invalid client secret provided for app '${form.get('client_id')}'.`)
}

/** How Entra ID refuses; undefined of what it didn't. */
export function entraReply({ status, code, message }: Refusal): Reply | undefined {
  if (!message.startsWith('AADSTS') || code === null) return undefined
  const json = JSON.stringify({ error: code, error_description: message, error_codes: [NUMBERS[code]] })
  return { status, content: { json, tokens: 0 } }
}

function entra(code: string, message: string): Refusal {
  return new Refusal(code === 'invalid_client' ? 401 : 400, `AADSTS${NUMBERS[code]}: ${message}`, { code })
}
