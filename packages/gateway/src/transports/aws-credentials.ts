import { readFile } from 'node:fs/promises'
import { fetch as undiciFetch } from 'undici'
import { AwsProfile } from './aws-profile.ts'
import { AssumedRole, type Role, WebIdentity } from './aws-roles.ts'
import type { AwsKey } from './sigv4.ts'

/** What the operator stored of AWS. */
export type AwsSecret =
  /** A Bedrock API key (https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html). */
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'key'; readonly key: AwsKey; readonly role: Role | null }
  /** Of the shared files on the gateway's machine. */
  | { readonly kind: 'profile'; readonly name: string; readonly role: Role | null }
  | { readonly kind: 'web-identity'; readonly tokenFile: string; readonly role: Role }

/** Keys to sign with: at hand, or to be waited for. */
export interface AwsKeys {
  /** `now` is in milliseconds. Rejects when they can't be had, without telling any secret. */
  key(now: number): AwsKey | Promise<AwsKey>
}

/** What keys are made with. */
export interface AwsWorld {
  readonly fetch: (
    url: string,
    request: { method: string; headers: Record<string, string>; body: string; signal: AbortSignal },
  ) => Promise<{ readonly ok: boolean; readonly status: number; text(): Promise<string> }>
  readonly readFile: (path: string) => Promise<string>
  readonly environment: Readonly<Record<string, string | undefined>>
}

const WORLD: AwsWorld = {
  fetch: undiciFetch,
  readFile: (path) => readFile(path, 'utf8'),
  environment: process.env,
}

const MEMBERS = new Set([
  ...['accessKeyId', 'secretAccessKey', 'sessionToken', 'profile', 'webIdentityTokenFile'],
  ...['roleArn', 'externalId', 'sessionName'],
])

/**
 * Reads a credential's secret. It is one of
 *
 * - `KEY_ID:SECRET`, or `KEY_ID:SECRET:SESSION_TOKEN`;
 * - a Bedrock API key, as it is;
 * - JSON of `accessKeyId`, `secretAccessKey` and perhaps `sessionToken`; of `profile`, a name in the shared files of the gateway's machine; or of `webIdentityTokenFile`, a path there.
 *   Each may have `roleArn`, the role to be assumed with it, and with that `externalId` and `sessionName`; a web identity must.
 *
 * Throws on what is none of them, without telling what it was.
 */
export function readAwsSecret(secret: string): AwsSecret {
  const text = secret.trim()
  if (text.startsWith('{')) return readJson(text)
  const [accessKeyId = '', secretAccessKey, ...session] = text.split(':')
  if (/^A[A-Z0-9]{10,127}$/.test(accessKeyId) && secretAccessKey) {
    return { kind: 'key', key: { accessKeyId, secretAccessKey, sessionToken: session.join(':') || null }, role: null }
  }
  if (text === '') throw new Error('the AWS credential is empty')
  return { kind: 'bearer', token: text }
}

function readJson(text: string): AwsSecret {
  let given: Record<string, unknown>
  try {
    given = JSON.parse(text)
  } catch {
    throw new Error('the AWS credential is no valid JSON')
  }
  for (const [name, value] of Object.entries(given)) {
    if (!MEMBERS.has(name)) throw new Error(`the AWS credential has ${JSON.stringify(name)}, which is not known`)
    if (typeof value !== 'string' || value === '') throw new Error(`the AWS credential’s ${name} must be text`)
  }
  const fields = given as Record<string, string | undefined>
  const { accessKeyId, secretAccessKey, sessionToken = null, profile, webIdentityTokenFile } = fields
  const role = readRole(fields)
  if (profile) return { kind: 'profile', name: profile, role }
  if (webIdentityTokenFile) {
    if (role === null) throw new Error('the AWS credential needs roleArn beside webIdentityTokenFile')
    return { kind: 'web-identity', tokenFile: webIdentityTokenFile, role }
  }
  if (!accessKeyId || !secretAccessKey) {
    throw new Error('the AWS credential needs accessKeyId and secretAccessKey, profile, or webIdentityTokenFile')
  }
  return { kind: 'key', key: { accessKeyId, secretAccessKey, sessionToken }, role }
}

function readRole({ roleArn, externalId, sessionName }: Record<string, string | undefined>): Role | null {
  return roleArn ? { arn: roleArn, externalId: externalId ?? null, sessionName: sessionName ?? null } : null
}

/** The keys of a secret. Nothing is read or asked for before they are first needed. `stsUrl` is the region's own unless it is said. */
export function awsKeys(
  secret: Exclude<AwsSecret, { kind: 'bearer' }>,
  region: string,
  { stsUrl = stsUrlOf(region), world = WORLD }: { readonly stsUrl?: string; readonly world?: AwsWorld } = {},
): AwsKeys {
  const sts = { region, url: stsUrl, world }
  if (secret.kind === 'web-identity') return new WebIdentity(secret.tokenFile, secret.role, sts)
  const own = secret.kind === 'key' ? { key: () => secret.key } : new AwsProfile(secret.name, sts)
  return secret.role === null ? own : new AssumedRole(own, secret.role, sts)
}

/** https://docs.aws.amazon.com/general/latest/gr/sts.html */
function stsUrlOf(region: string): string {
  return `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}
