import { fillBaseUrl, type Provider, providerWith } from '@nemo/codec/provider'
import { findProvider } from '@nemo/codec/providers'
import type { Wire } from '@nemo/codec/wire'
import { type MasterKeys, unseal } from '@nemo/domain/vault'
import type { StoredCredential } from '@nemo/postgres/catalogue'
import { isAccessToken } from '../transports/access-token.ts'
import { awsKeys, readAwsSecret } from '../transports/aws-credentials.ts'
import { EntraAccess } from '../transports/entra.ts'
import { GoogleAccess } from '../transports/google.ts'
import { IbmAccess } from '../transports/ibm.ts'
import { OciSigner } from '../transports/oci.ts'
import { SigV4 } from '../transports/sigv4.ts'
import { hideSecret } from './hide-secret.ts'

type Headers = readonly string[]

/** Where requests of a credential go, and how they are let in. The secret is in what makes the headers, and nowhere else. */
export interface Upstream {
  readonly credential: string
  readonly provider: Provider
  readonly origin: string
  readonly basePath: string
  /** The text without the secret, where it has it: some providers repeat what they were sent. */
  readonly hide: (text: string) => string
  /** The headers of one request: ready, or, where a token must be fetched first, to be waited for. */
  headersFor(path: string, wire: Pick<Wire, 'body' | 'headers'>): Headers | Promise<Headers>
}

const COMMON = ['accept-encoding', 'identity', 'user-agent', 'nemo-router']
const JSON_BODY = ['content-type', 'application/json'] as const
const NONE: Headers = []

/** Throws on a credential that can't be used: an unknown provider, a missing setting, a secret that isn't ours or isn't of the provider's kind. */
export function upstreamOf(credential: StoredCredential, masterKey: MasterKeys): Upstream {
  return upstreamWith(credential, credential.secret && unseal(masterKey, credential.secret, credential.name))
}

/** The same with the secret in clear. */
export function upstreamWith(
  credential: Pick<StoredCredential, 'name' | 'provider' | 'baseUrl' | 'settings'>,
  secret: string | null,
): Upstream {
  const { name, settings } = credential
  const known = findProvider(credential.provider)
  if (!known) throw new Error(`this release knows no provider "${credential.provider}"`)
  const provider = providerWith(known, settings)
  const url = new URL(fillBaseUrl(known, settings, credential.baseUrl))
  const common = [...COMMON, ...Object.entries(provider.headers).flat()]
  const own = authOf(provider, settings, secret ?? '', url.host)
  return {
    credential: name,
    provider,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    hide: hideSecret(secret ?? ''),
    headersFor(path, wire) {
      const auth = typeof own === 'function' ? own(path, wire) : own
      return auth instanceof Promise
        ? auth.then((headers) => joined(common, headers, wire))
        : joined(common, auth, wire)
    },
  }
}

type Sign = (path: string, wire: Pick<Wire, 'body' | 'headers'>) => Headers | Promise<Headers>

/** What lets a request in: the same for all, or made for each. */
function authOf(
  { auth, name }: Provider,
  settings: Readonly<Record<string, string>>,
  secret: string,
  host: string,
): Headers | Sign {
  switch (auth.kind) {
    case 'bearer':
    case 'optional-bearer':
      return secret ? ['authorization', `Bearer ${secret}`] : []
    case 'header':
      return secret ? [auth.name, `${auth.prefix ?? ''}${secret}`] : []
    case 'google': {
      const access = new GoogleAccess(secret)
      return () => access.headers(Date.now())
    }
    case 'ibm': {
      if (isAccessToken(secret)) return ['authorization', `Bearer ${secret}`]
      const access = new IbmAccess(secret)
      return () => access.headers(Date.now())
    }
    case 'azure': {
      if (isAccessToken(secret)) return ['authorization', `Bearer ${secret}`]
      if (!secret.trim().startsWith('{')) return secret ? ['api-key', secret] : []
      const access = new EntraAccess(secret)
      return () => access.headers(Date.now())
    }
    case 'oci': {
      if (!secret.trim().startsWith('{')) return secret ? ['authorization', `Bearer ${secret}`] : []
      const signer = new OciSigner(secret)
      return (path, { body }) => signer.sign({ host, path, body, type: JSON_BODY[1] }, new Date())
    }
    case 'sigv4': {
      const aws = readAwsSecret(secret)
      if (aws.kind === 'bearer') return ['authorization', `Bearer ${aws.token}`]
      const region =
        settings.region ?? findProvider(name)?.settings.find((one) => one.name === 'region')?.default ?? 'us-east-1'
      const signer = new SigV4(auth.service, region)
      const keys = awsKeys(aws, region)
      return (path, { body }) => {
        const request = { method: 'POST', host, path, body }
        const key = keys.key(Date.now())
        return key instanceof Promise
          ? key.then((temporary) => signer.sign(request, temporary, new Date()))
          : signer.sign(request, key, new Date())
      }
    }
  }
}

function joined(common: Headers, own: Headers, { headers }: Pick<Wire, 'headers'>): Headers {
  const type = headers['content-type'] === undefined ? JSON_BODY : NONE
  return [...type, ...common, ...own, ...Object.entries(headers).flat()]
}
