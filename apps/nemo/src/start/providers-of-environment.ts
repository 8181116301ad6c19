import type { Provider } from '@nemo/codec/provider'
import { PROVIDERS } from '@nemo/codec/providers'
import { servedModels } from '@nemo/domain/price-book/snapshot'
import { type MasterKeys, seal } from '@nemo/domain/vault'
import { type StoredCredential, saveProvider } from '@nemo/postgres/catalogue'
import type pg from 'pg'
import { variable } from '../environment.ts'
import type { Log } from '../log.ts'
import { secretOf } from '../stored-secrets.ts'

/**
 * Takes provider keys from the environment into the vault, where there is no credential of that provider's name yet. One that is there
 * stays as it is: the operator may have changed it since. Answers with the names of those that were taken.
 */
export async function takeProvidersOfEnvironment(
  operator: pg.Pool,
  masterKey: MasterKeys,
  stored: readonly StoredCredential[],
  log: Log,
): Promise<string[]> {
  const taken: string[] = []
  for (const provider of PROVIDERS) {
    const secret = secretOfEnvironment(provider)
    if (secret === undefined) continue
    const models = servedModels(provider.name)
    const settings = settingsOfEnvironment(provider)
    // Without prices nothing of it could be called, and without its address nothing reached.
    if (models.length === 0 || settings === null) continue
    const baseUrl = baseUrlOf(provider)
    const existing = stored.find((credential) => credential.name === provider.name)
    if (existing) {
      const isSame = secretOf(existing, masterKey) === secret && existing.baseUrl === baseUrl
      if (!isSame)
        log.warn({}, `${provider.apiKeyVariable} is not what the vault has for ${provider.name}, which stays in use`)
      continue
    }
    const { name } = provider
    await saveProvider(
      operator,
      { name, provider: name, baseUrl, settings, secret: seal(masterKey, secret, name) },
      models,
    )
    taken.push(name)
  }
  return taken
}

/** AWS's users keep an access key in two variables, or in three. */
function secretOfEnvironment({ apiKeyVariable, auth }: Provider): string | undefined {
  const given = apiKeyVariable === null ? undefined : variable(apiKeyVariable)
  if (given !== undefined || auth.kind !== 'sigv4' || apiKeyVariable === null) return given
  const [id, secret, session] = [
    variable('AWS_ACCESS_KEY_ID'),
    variable('AWS_SECRET_ACCESS_KEY'),
    variable('AWS_SESSION_TOKEN'),
  ]
  return id && secret ? [id, secret, ...(session ? [session] : [])].join(':') : undefined
}

/** Null where one is missing that has no default. */
function settingsOfEnvironment({ settings }: Provider): Record<string, string> | null {
  const found: Record<string, string> = {}
  for (const setting of settings) {
    const value = (setting.variable && variable(setting.variable)) ?? setting.default
    if (!value) return null
    found[setting.name] = value.replace(/^https?:\/\//, '').replace(/\/+$/, '')
  }
  return found
}

/** OPENAI_BASE_URL and its like, which the providers' own SDKs read too. Null leaves it to the provider's usual address. */
function baseUrlOf(provider: Provider): string | null {
  return variable(`${provider.name.toUpperCase().replaceAll('-', '_')}_BASE_URL`)?.replace(/\/+$/, '') ?? null
}
