import { createHash, createHmac } from 'node:crypto'

/** An AWS access key; the token is there for temporary ones. */
export interface AwsKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

export interface Signed {
  readonly method: string
  readonly host: string
  /** With its query, as it goes into the request line. */
  readonly path: string
  readonly body: Buffer | string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Signs requests to one AWS service in one region with Signature Version 4
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */
export class SigV4 {
  readonly #service: string
  readonly #region: string
  /** A signing key holds for a day, and takes four rounds of HMAC to make. */
  #signingKey: { of: string; key: Buffer } | null = null

  constructor(service: string, region: string) {
    this.#service = service
    this.#region = region
  }

  /** The headers that let the request in: `x-amz-date`, `x-amz-security-token` where the key has one, and `authorization`. */
  sign(request: Signed, key: AwsKey, now: Date): string[] {
    const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '')
    const scope = `${time.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`
    const own: [string, string][] = [
      ['host', request.host],
      ['x-amz-date', time],
      ...(key.sessionToken ? ([['x-amz-security-token', key.sessionToken]] as [string, string][]) : []),
    ]
    const headers = [...own, ...Object.entries(request.headers ?? {})].sort(([a], [b]) => (a < b ? -1 : 1))
    const names = headers.map(([name]) => name).join(';')
    const canonical = [
      request.method,
      ...canonicalPath(request.path, this.#service),
      ...headers.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}`),
      '',
      names,
      sha256(request.body),
    ].join('\n')
    const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
    const signature = hmac(this.#keyOf(key, time.slice(0, 8)), toSign).toString('hex')
    const authorization = `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
    return [...own.slice(1).flat(), 'authorization', authorization]
  }

  #keyOf({ accessKeyId, secretAccessKey }: AwsKey, day: string): Buffer {
    const of = `${day} ${accessKeyId} ${secretAccessKey}`
    if (this.#signingKey?.of !== of) {
      const parts = [day, this.#region, this.#service, 'aws4_request']
      this.#signingKey = { of, key: parts.reduce<Buffer | string>(hmac, `AWS4${secretAccessKey}`) as Buffer }
    }
    return this.#signingKey.key
  }
}

/** Path and query as they are signed: but for S3, what is encoded in the path is encoded once more. */
function canonicalPath(path: string, service: string): [string, string] {
  const at = path.indexOf('?')
  const bare = at < 0 ? path : path.slice(0, at)
  const uri = service === 's3' ? bare : bare.split('/').map(encode).join('/')
  const query = at < 0 ? [] : [...new URLSearchParams(path.slice(at + 1))]
  const encoded = query.map(([name, value]) => [encode(name), encode(value)] as const)
  // By names first: in a sort of the whole pairs, `=` would come before what is in a longer name.
  encoded.sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
  return [uri === '' ? '/' : uri, encoded.map((pair) => pair.join('=')).join('&')]
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
