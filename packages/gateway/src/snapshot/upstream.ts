import { fillBaseUrl, type Provider } from '@nemo/codec/provider'
import { findProvider } from '@nemo/codec/providers'
import type { Wire } from '@nemo/codec/wire'
import { unseal } from '@nemo/domain/vault'
import type { StoredCredential } from '@nemo/postgres/catalogue'

type Headers = readonly string[]

/** Where requests of a credential go, and how they are let in. The secret is in what makes the headers, and nowhere else. */
export interface Upstream {
  readonly credential: string
  readonly provider: Provider
  readonly origin: string
  readonly basePath: string
  /** The headers of one request: ready, or, where a token must be fetched first, to be waited for. */
  headersFor(path: string, wire: Wire): Headers | Promise<Headers>
}

const COMMON = ['content-type', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'nemo-router']

/** Throws on a credential that can't be used: an unknown provider, a missing setting, a secret that isn't ours or isn't of the provider's kind. */
export function upstreamOf(credential: StoredCredential, masterKey: Buffer): Upstream {
  const { name, settings } = credential
  const provider = findProvider(credential.provider)
  if (!provider) throw new Error(`this release knows no provider "${credential.provider}"`)
  const url = new URL(fillBaseUrl(provider, settings, credential.baseUrl))
  const secret = credential.secret && unseal(masterKey, credential.secret, name)
  return {
    credential: name,
    provider,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    headersFor: transportOf(provider, secret),
  }
}

function transportOf(provider: Provider, secret: string | null): Upstream['headersFor'] {
  const common = [...COMMON, ...Object.entries(provider.headers ?? {}).flat()]
  const fixed = (own: Headers): Upstream['headersFor'] => {
    const all = [...common, ...own]
    return (_, { headers }) => withMore(all, headers)
  }
  const { auth } = provider
  switch (auth.kind) {
    case 'bearer':
    case 'optional-bearer':
      return fixed(secret ? ['authorization', `Bearer ${secret}`] : [])
    case 'header':
      return fixed(secret ? [auth.name, `${auth.prefix ?? ''}${secret}`] : [])
    default:
      throw new Error(`${auth.kind} is not supported yet`)
  }
}

function withMore(headers: Headers, more: Wire['headers']): Headers {
  const entries = Object.entries(more)
  return entries.length === 0 ? headers : [...headers, ...entries.flat()]
}
