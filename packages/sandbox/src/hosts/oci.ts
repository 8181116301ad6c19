import { createHash, createPublicKey, verify } from 'node:crypto'
import type { Arrival, Dialect, Endpoint, Reply } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'

/**
 * Oracle's OpenAI-compatible address (https://docs.oracle.com/en-us/iaas/Content/generative-ai/api-keys.htm). It lets in an API key of Generative AI, or a request that is signed
 * (https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm) with the private half of the sandbox's key, where that is a public one as PEM.
 */
export const oci: Dialect = { ...openai, authenticate, endpoint, refuse, headers: (id) => ({ 'opc-request-id': id }) }

const WANTED = ['date', '(request-target)', 'host', 'content-length', 'content-type', 'x-content-sha256']
/** How far a clock may be off. */
const SKEW_MS = 5 * 60_000

function authenticate(arrival: Arrival, apiKey: string | undefined): void {
  const { authorization = '' } = arrival.headers
  const [, signature] = /^Signature (.+)$/i.exec(authorization) ?? []
  if (signature === undefined) {
    const [, bearer] = /^Bearer (.+)$/i.exec(authorization) ?? []
    if (bearer === undefined || (apiKey !== undefined && bearer !== apiKey)) throw refused()
    return
  }
  checkSignature(arrival, new Map(fieldsOf(signature)), apiKey)
  // Whose models they are is nowhere else.
  if (!arrival.headers['opc-compartment-id']) throw new Refusal(400, 'Compartment ID must be provided')
}

function fieldsOf(signature: string): [string, string][] {
  return [...signature.matchAll(/(\w+)="([^"]*)"(?:,|$)/g)].map(([, name, value]) => [name!, value!])
}

function checkSignature(arrival: Arrival, given: Map<string, string>, publicKey: string | undefined): void {
  const { headers, bytes } = arrival
  const names = (given.get('headers') ?? '').split(' ')
  if (given.get('version') !== '1' || given.get('algorithm') !== 'rsa-sha256') throw refused()
  if (WANTED.some((name) => !names.includes(name))) throw refused()
  if (!(Math.abs(Date.now() - Date.parse(headers.date ?? '')) <= SKEW_MS)) throw refused()
  if (headers['x-content-sha256'] !== createHash('sha256').update(bytes).digest('base64')) throw refused()
  const [tenancy, user, fingerprint, ...more] = (given.get('keyId') ?? '').split('/')
  if (!tenancy?.startsWith('ocid1.tenancy.') || !user?.startsWith('ocid1.user.') || more.length > 0) throw refused()
  if (publicKey === undefined) return
  if (!publicKey.startsWith('-----BEGIN PUBLIC KEY-----') || fingerprint !== fingerprintOf(publicKey)) throw refused()
  const text = names.map((name) => `${name}: ${fieldOf(name, arrival)}`).join('\n')
  const signature = Buffer.from(given.get('signature') ?? '', 'base64')
  if (!verify('RSA-SHA256', Buffer.from(text), createPublicKey(publicKey), signature)) throw refused()
}

function fieldOf(name: string, { method, path, query, headers }: Arrival): string {
  if (name !== '(request-target)') return String(headers[name] ?? '')
  return `${method.toLowerCase()} ${path}${query.size > 0 ? `?${query}` : ''}`
}

function fingerprintOf(publicKey: string): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' })
  return createHash('md5').update(der).digest('hex').match(/../g)!.join(':')
}

/** It says no more than that, whatever was wrong. */
function refused(): Refusal {
  return new Refusal(401, 'The required information to complete authentication was not provided or was incorrect.', {
    code: 'NotAuthenticated',
  })
}

function endpoint(method: string, path: string): Endpoint {
  const [, version] = /^\/20231130\/actions(\/v1\/.+)$/.exec(path) ?? []
  if (version === undefined) throw new Refusal(404, 'Authorization failed or requested resource not found.')
  return openai.endpoint(method, version)
}

/** https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm */
function refuse(refusal: Refusal): Reply {
  const { status, message, code } = refusal
  if (code !== 'NotAuthenticated') return openai.refuse(refusal)
  return { status, content: { json: JSON.stringify({ code, message }), tokens: 0 } }
}
