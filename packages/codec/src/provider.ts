import { type DialectName, type Hosting, modelSegment } from './dialect.ts'

/** What can be called at a provider. `responses` is OpenAI's API of that name, to be passed through. */
export type ProviderEndpoint = 'chat' | 'responses' | 'embeddings' | 'images'

/** How a request is let in. */
export type Auth =
  | { readonly kind: 'bearer' }
  /** A server of one's own, which may want a key or not. */
  | { readonly kind: 'optional-bearer' }
  | { readonly kind: 'header'; readonly name: string; readonly prefix?: string }
  | { readonly kind: 'sigv4'; readonly service: string }
  /** An access token of a Google service account. */
  | { readonly kind: 'google' }
  /** An access token of IBM Cloud. */
  | { readonly kind: 'ibm' }
  /** Azure's: a key in the header `api-key`, or an access token of Microsoft Entra ID. */
  | { readonly kind: 'azure' }
  /** Oracle Cloud's: an API key, or a signature by a user's key. */
  | { readonly kind: 'oci' }

/** What the base URL or the authentication needs beside the secret. */
export interface Setting {
  readonly name: string
  readonly description: string
  readonly variable: string | null
  readonly default: string | null
}

/** What is otherwise at a provider whose older versions are named by dates, where the setting `api_version` is one: `{api_version}` stands for it in the paths. */
export interface Dated extends Pick<Provider, 'baseUrl' | 'endpoints' | 'paths' | 'systemRole'> {
  /** The first that can be used. */
  readonly since: string
}

/** A provider is data: a dialect, where it is, how its users know it, and where it differs from others of its dialect. */
export interface Provider {
  readonly name: string
  /** As it writes itself. */
  readonly title: string
  readonly dialect: DialectName
  readonly hosting: Hosting
  /** With `{settings}` to be filled in. Null where every installation has its own, so that the credential must bring it. */
  readonly baseUrl: string | null
  readonly settings: readonly Setting[]
  readonly auth: Auth
  /** The environment variable that its users keep the key in. */
  readonly apiKeyVariable: string | null
  /** Headers that every request has. */
  readonly headers: Readonly<Record<string, string>>
  readonly endpoints: readonly ProviderEndpoint[]
  /** Where they differ from those of the dialect; `{model}` stands for what the provider calls the model. `models` lists them. */
  readonly paths: { readonly [E in ProviderEndpoint | 'models']?: string }
  readonly dated: Dated | null
  /**
   * The field that caps the length of an answer. OpenAI's newer models refuse `max_tokens`; what calls itself compatible may know nothing else, and
   * both at once OpenAI refuses as well.
   */
  readonly outputCap: 'max_completion_tokens' | 'max_tokens'
  /** Null where `developer` is understood. */
  readonly systemRole: 'system' | null
  /** Whether it takes marks for its prompt cache on what it is sent, as Anthropic has them. */
  readonly cacheControl: boolean
  /** Whether an assistant's message may have what it thought, as `reasoning_content`: some refuse fields that they don't know. */
  readonly takesThoughts: boolean
  /** Whether its Responses are OpenAI's in full: they can be told how often tools may be used, and to give what was thought sealed, so that it can be sent back. */
  readonly hasFullResponses: boolean
  /** Fields of chat completions that it documents as not supported. */
  readonly refuses: readonly string[]
  /** How it wants to be asked for pictures, where it isn't as its dialect has it. */
  readonly pictures: 'bfl' | 'fal' | 'recraft' | 'stability' | null
  /** Whether what it says that it billed is in US dollars and to be taken at its word. */
  readonly reportsCost: boolean
  readonly documentation: string
  readonly notes: string | null
}

/** What is usual, so that an entry says only what is particular. */
export function openAiCompatible(
  entry: Pick<Provider, 'name' | 'title' | 'baseUrl' | 'documentation'> & Partial<Provider>,
): Provider {
  return {
    dialect: 'openai',
    hosting: 'native',
    settings: [],
    auth: { kind: 'bearer' },
    apiKeyVariable: null,
    headers: {},
    endpoints: ['chat'],
    paths: {},
    dated: null,
    outputCap: 'max_tokens',
    systemRole: 'system',
    cacheControl: false,
    takesThoughts: true,
    hasFullResponses: false,
    refuses: [],
    pictures: null,
    reportsCost: false,
    notes: null,
    ...entry,
  }
}

/** Who the call is for bears on no answer. */
const HINTS = new Set(['user'])

/** Refuses a field that the provider documents as not supported; a hint is left out. */
export function refuse(
  field: string,
  to: {
    readonly provider: Provider
    readonly unsupported: (param: string, why: string) => void
    readonly leftOut: (param: string) => void
  },
): void {
  if (HINTS.has(field)) to.leftOut(field)
  else to.unsupported(field, `${to.provider.title} does not support ${field}.`)
}

/** Where an endpoint is, behind the base URL; null where it is as the dialect has it. */
export function pathAt({ paths }: Provider, endpoint: ProviderEndpoint, model: string): string | null {
  return paths[endpoint]?.replace('{model}', () => modelSegment(model)) ?? null
}

/** The provider as it is with these settings. Throws on a version that can't be used. */
export function providerWith(provider: Provider, settings: Readonly<Record<string, string>>): Provider {
  const { api_version: version = 'v1' } = settings
  if (provider.dated === null || version === 'v1') return provider
  if (!/^\d{4}-\d\d-\d\d(-preview)?$/.test(version))
    throw new Error(`the setting "api_version" of ${provider.name} is v1 or a date, such as 2024-10-21`)
  const { since, paths, ...others } = provider.dated
  if (version < since)
    throw new Error(
      `the setting "api_version" of ${provider.name} must be ${since} or later: before, streams say nothing of what they used`,
    )
  const versioned = Object.entries(paths).map(([name, path]) => [name, path.replace('{api_version}', version)])
  return { ...provider, ...others, paths: Object.fromEntries(versioned), dated: null }
}

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/**
 * The base URL with its settings filled in, or the one that the operator has put in its place. Throws on a setting that is missing or that could lead elsewhere, and where
 * there is no URL.
 */
export function fillBaseUrl(
  provider: Provider,
  settings: Readonly<Record<string, string>>,
  override: string | null,
): string {
  const placed = providerWith(provider, settings)
  if (override && placed !== provider && /\/v1\/*$/.test(override))
    throw new Error(`a base URL of ${provider.name} that ends in /v1 has no versions that are dates`)
  const url = override ?? placed.baseUrl
  if (!url) throw new Error(`provider ${provider.name} needs a base URL`)
  return url.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = settings[name] ?? provider.settings.find((setting) => setting.name === name)?.default
    if (!value) throw new Error(`provider ${provider.name} needs the setting "${name}"`)
    if (!SEGMENT.test(value))
      throw new Error(`the setting "${name}" of ${provider.name} may have letters, digits and . _ - only`)
    return value
  })
}
