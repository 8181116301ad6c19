import { fetch } from 'undici'
import { type AwsKey, SigV4 } from './sigv4.ts'

/** What the operator stored of AWS: a bearer token of Bedrock, an access key, or a role to be assumed with one. */
export type AwsSecret =
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'key'; readonly key: AwsKey; readonly roleArn: string | null }

/**
 * Reads `KEY_ID:SECRET[:SESSION]`, the JSON `{"accessKeyId", "secretAccessKey", "sessionToken"?, "roleArn"?}`, or a Bedrock API key. Throws on what is none of them, without
 * telling what it was.
 */
export function readAwsSecret(secret: string): AwsSecret {
  if (secret.startsWith('{')) {
    let given: Record<string, unknown>
    try {
      given = JSON.parse(secret)
    } catch {
      throw new Error('the AWS credential is no valid JSON')
    }
    const { accessKeyId, secretAccessKey, sessionToken, roleArn } = given
    if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
      throw new Error('the AWS credential needs accessKeyId and secretAccessKey')
    }
    const token = typeof sessionToken === 'string' ? sessionToken : null
    const key = { accessKeyId, secretAccessKey, sessionToken: token }
    return { kind: 'key', key, roleArn: typeof roleArn === 'string' ? roleArn : null }
  }
  const [accessKeyId, secretAccessKey, ...session] = secret.split(':')
  if (/^A[A-Z0-9]{10,127}$/.test(accessKeyId ?? '') && secretAccessKey) {
    const key = { accessKeyId: accessKeyId!, secretAccessKey, sessionToken: session.join(':') || null }
    return { kind: 'key', key, roleArn: null }
  }
  if (secret === '') throw new Error('the AWS credential is empty')
  return { kind: 'bearer', token: secret }
}

/** Temporary keys are renewed so long before they end. */
const EARLY_MS = 5 * 60_000
const TIMEOUT_MS = 10_000

/**
 * The keys of a role (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html): asked for when they are first needed and before they end, once for all who
 * wait.
 */
export class AssumedRole {
  readonly #key: AwsKey
  readonly #roleArn: string
  readonly #endpoint: string
  readonly #signer: SigV4
  #current: { key: AwsKey; expiresAt: number } | null = null
  #asking: Promise<AwsKey> | null = null

  constructor(key: AwsKey, roleArn: string, region: string, endpoint = `https://sts.${region}.amazonaws.com`) {
    this.#key = key
    this.#roleArn = roleArn
    this.#endpoint = endpoint
    this.#signer = new SigV4('sts', region)
  }

  /** Rejects when STS refuses or doesn't answer. */
  key(now: number): AwsKey | Promise<AwsKey> {
    if (this.#current && now < this.#current.expiresAt - EARLY_MS) return this.#current.key
    this.#asking ??= this.#assume().finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #assume(): Promise<AwsKey> {
    const body = new URLSearchParams({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: this.#roleArn,
      RoleSessionName: 'nemo-router',
    }).toString()
    const { host } = new URL(this.#endpoint)
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const signed = this.#signer.sign({ method: 'POST', host, path: '/', body, headers: type }, this.#key, new Date())
    const headers = { ...type, ...Object.fromEntries(pairs(signed)) }
    const answer = await fetch(`${this.#endpoint}/`, {
      method: 'POST',
      body,
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const xml = await answer.text()
    const read = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1]
    const [accessKeyId, secretAccessKey] = [read('AccessKeyId'), read('SecretAccessKey')]
    if (!answer.ok || !accessKeyId || !secretAccessKey) {
      throw new Error(`the role could not be assumed: ${read('Code') ?? answer.status}`)
    }
    const key = { accessKeyId, secretAccessKey, sessionToken: read('SessionToken') ?? null }
    this.#current = { key, expiresAt: Date.parse(read('Expiration') ?? '') || Date.now() + 3_600_000 }
    return key
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]!] as [string, string]] : []))
}
