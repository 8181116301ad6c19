import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { Arrival } from '../dialect.ts'
import { accessDenied, denied } from './errors.ts'

export type KeyPair = { id: string; secret: string }

/** `id:secret`; without it, or where it isn't such a pair, the one that the sandbox has of its own. */
export function keyPairOf(apiKey: string | undefined): KeyPair {
  const [id, secret] = apiKey?.split(':', 2) ?? []
  return id !== undefined && secret !== undefined ? { id, secret } : { id: 'AKIDSANDBOX', secret: 'sandbox-secret' }
}

/** How far a clock may be off. */
const skewMs = 5 * 60_000

/**
 * Holds AWS's signature, version 4, against the request as it arrived (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). Throws the
 * 403 that AWS would. `wanted` is the service; `now` is in milliseconds.
 */
export function verifySignature(arrival: Arrival, { id, secret }: KeyPair, wanted: string, now: number): void {
  const given = parse(arrival.headers.authorization!)
  const [key, date, region, service, terminator] = given.Credential!.split('/')
  const time = arrival.headers['x-amz-date']
  if (typeof time !== 'string' || !/^\d{8}T\d{6}Z$/.test(time)) {
    throw denied(
      'IncompleteSignatureException',
      "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    )
  }
  if (key !== id) throw denied('UnrecognizedClientException', 'The security token included in the request is invalid.')
  if (service !== wanted) throw mismatch(`Credential should be scoped to correct service: '${wanted}'.`)
  if (terminator !== 'aws4_request')
    throw mismatch("Credential should be scoped with a valid terminator: 'aws4_request'.")
  if (date !== time.slice(0, 8))
    throw mismatch('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.')
  checkTime(time, now)
  const scope = `${date}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest(arrival, given.SignedHeaders!))].join('\n')
  const keyBytes = [date, region!, service, 'aws4_request'].reduce<Buffer>(
    (from, part) => hmac(from, part),
    Buffer.from(`AWS4${secret}`),
  )
  const expected = hmac(keyBytes, toSign)
  const signature = Buffer.from(given.Signature!, 'hex')
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
}

function parse(authorization: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const field of authorization.slice('AWS4-HMAC-SHA256'.length).split(',')) {
    const at = field.indexOf('=')
    fields[field.slice(0, at).trim()] = field.slice(at + 1).trim()
  }
  for (const name of ['Credential', 'Signature', 'SignedHeaders']) {
    if (fields[name]) continue
    throw denied('IncompleteSignatureException', `Authorization header requires '${name}' parameter.`)
  }
  return fields
}

function checkTime(time: string, now: number): void {
  const at = Date.parse(time.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'))
  if (Math.abs(now - at) <= skewMs) return
  const [bound, order, sign] =
    at < now ? [now - skewMs, 'expired', 'earlier'] : [now + skewMs, 'not yet current', 'later']
  throw mismatch(
    `Signature ${order}: ${time} is now ${sign} than ${compact(bound)} (${compact(now)} ${at < now ? '-' : '+'} 5 min.)`,
  )
}

function compact(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}

function canonicalRequest({ method, path, query, headers, bytes }: Arrival, signedHeaders: string): string {
  const names = signedHeaders.split(';')
  if (!names.includes('host'))
    throw mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
  // What AWS wants signed beside the host: an unsigned one could be changed on its way.
  const unsigned = Object.keys(headers).find((name) => name.startsWith('x-amz-') && !names.includes(name))
  if (unsigned !== undefined)
    throw denied(
      'AccessDeniedException',
      `There were headers present in the request which were not signed: ${unsigned}`,
    )
  const pairs = [...query].map(([name, value]) => `${encoded(name)}=${encoded(value)}`).sort()
  const lines = names.map(
    (name) =>
      `${name}:${String(headers[name] ?? '')
        .trim()
        .replace(/ +/g, ' ')}\n`,
  )
  // Of every service but S3, the path is encoded once more than it was on the wire.
  const uri = path.split('/').map(encoded).join('/')
  return [method, uri, pairs.join('&'), lines.join(''), signedHeaders, sha256(bytes)].join('\n')
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(data: string | Buffer): string {
  return hash('sha256', data, 'hex')
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

function mismatch(message: string) {
  return denied('InvalidSignatureException', message)
}

/** The one key of Bedrock's own, instead of a signature. */
export function verifyApiKey(given: string, expected: string | undefined): void {
  if (expected !== undefined && given !== expected) {
    throw accessDenied('Authentication failed: Please make sure your API Key is valid.')
  }
}
