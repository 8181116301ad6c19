import type { AwsKeys, AwsWorld } from './aws-credentials.ts'
import { type AwsKey, SigV4 } from './sigv4.ts'

/** A role to be assumed. */
export interface Role {
  readonly arn: string
  /** What the role's owner insists on, where it does. */
  readonly externalId: string | null
  /** How the session is called in AWS's own logs. */
  readonly sessionName: string | null
}

/** Where AWS's token service is asked. */
export interface Sts {
  readonly region: string
  readonly url: string
  readonly world: AwsWorld
}

/** Temporary keys are renewed so long before they end, and used until so shortly before it. */
const EARLY_MS = 5 * 60_000
const LATE_MS = 60_000
const TIMEOUT_MS = 10_000
const TYPE = { 'content-type': 'application/x-www-form-urlencoded' }

interface Temporary {
  readonly key: AwsKey
  readonly expiresAt: number
}

/** Keys that end: asked for when they are first needed and again before they end, once for all who wait. While the old ones still serve, nobody waits. */
abstract class TemporaryKeys implements AwsKeys {
  #current: Temporary | null = null
  #asking: Promise<AwsKey> | null = null

  key(now: number): AwsKey | Promise<AwsKey> {
    const current = this.#current
    if (current && now < current.expiresAt - EARLY_MS) return current.key
    this.#asking ??= this.#renew(now)
    if (!current || now >= current.expiresAt - LATE_MS) return this.#asking
    // Whether it fails shows when the old ones are about to end.
    this.#asking.catch(() => {})
    return current.key
  }

  async #renew(now: number): Promise<AwsKey> {
    try {
      this.#current = await this.ask(now)
      return this.#current.key
    } finally {
      this.#asking = null
    }
  }

  protected abstract ask(now: number): Promise<Temporary>
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
export class AssumedRole extends TemporaryKeys {
  readonly #by: AwsKeys
  readonly #role: Role
  readonly #sts: Sts
  readonly #signer: SigV4

  constructor(by: AwsKeys, role: Role, sts: Sts) {
    super()
    this.#by = by
    this.#role = role
    this.#sts = sts
    this.#signer = new SigV4('sts', sts.region)
  }

  protected async ask(now: number): Promise<Temporary> {
    const key = await this.#by.key(now)
    const body = form('AssumeRole', this.#role, {})
    const { host } = new URL(this.#sts.url)
    const request = { method: 'POST', host, path: '/', body, headers: TYPE }
    return askSts(this.#sts, body, { ...TYPE, ...pairs(this.#signer.sign(request, key, new Date(now))) }, now)
  }
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html: the token, which its issuer renews in its file, lets in by itself. */
export class WebIdentity extends TemporaryKeys {
  readonly #tokenFile: string
  readonly #role: Role
  readonly #sts: Sts

  constructor(tokenFile: string, role: Role, sts: Sts) {
    super()
    this.#tokenFile = tokenFile
    this.#role = role
    this.#sts = sts
  }

  protected async ask(now: number): Promise<Temporary> {
    const token = (await this.#sts.world.readFile(this.#tokenFile)).trim()
    return askSts(this.#sts, form('AssumeRoleWithWebIdentity', this.#role, { WebIdentityToken: token }), TYPE, now)
  }
}

function form(action: string, { arn, externalId, sessionName }: Role, more: Record<string, string>): string {
  return new URLSearchParams({
    Action: action,
    Version: '2011-06-15',
    RoleArn: arn,
    RoleSessionName: sessionName ?? 'nemo-router',
    ...(externalId !== null && { ExternalId: externalId }),
    ...more,
  }).toString()
}

async function askSts(
  { url, world }: Sts,
  body: string,
  headers: Record<string, string>,
  now: number,
): Promise<Temporary> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const answer = await world.fetch(`${url}/`, { method: 'POST', body, headers, signal })
  const xml = await answer.text()
  const read = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1]
  const [accessKeyId, secretAccessKey] = [read('AccessKeyId'), read('SecretAccessKey')]
  if (!answer.ok || !accessKeyId || !secretAccessKey) {
    throw new Error(`the role could not be assumed: ${read('Code') ?? answer.status}`)
  }
  const key = { accessKeyId, secretAccessKey, sessionToken: read('SessionToken') ?? null }
  return { key, expiresAt: Date.parse(read('Expiration') ?? '') || now + 3_600_000 }
}

function pairs(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]!]] : [])))
}
