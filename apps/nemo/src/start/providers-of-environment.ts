import type { Provider } from '@nemo/codec/provider'
import { PROVIDERS } from '@nemo/codec/providers'
import type { OfferedModel } from '@nemo/domain/catalogue'
import { OPENAI_MODELS } from '@nemo/domain/openai-models'
import { seal } from '@nemo/domain/vault'
import { type StoredCredential, saveProvider } from '@nemo/postgres/catalogue'
import type pg from 'pg'
import { variable } from '../environment.ts'
import type { Log } from '../log.ts'
import { secretOf } from '../stored-secrets.ts'

/** What is deployed on a credential that comes from the environment. */
const MODELS_OF: Readonly<Record<string, readonly OfferedModel[]>> = { openai: OPENAI_MODELS }

/**
 * Takes provider keys from the environment into the vault, where there is no credential of that provider's name yet. One that is there
 * stays as it is: the operator may have changed it since. Answers with the names of those that were taken.
 */
export async function takeProvidersOfEnvironment(
  operator: pg.Pool,
  masterKey: Buffer,
  stored: readonly StoredCredential[],
  log: Log,
): Promise<string[]> {
  const taken: string[] = []
  for (const provider of PROVIDERS) {
    const secret = provider.apiKeyVariable === null ? undefined : variable(provider.apiKeyVariable)
    const models = MODELS_OF[provider.name]
    if (secret === undefined || models === undefined) continue
    const baseUrl = baseUrlOf(provider)
    const existing = stored.find((credential) => credential.name === provider.name)
    if (existing) {
      const isSame = secretOf(existing, masterKey) === secret && existing.baseUrl === baseUrl
      if (!isSame)
        log.warn({}, `${provider.apiKeyVariable} is not what the vault has for ${provider.name}, which stays in use`)
      continue
    }
    const { name } = provider
    await saveProvider(operator, { name, provider: name, baseUrl, secret: seal(masterKey, secret, name) }, models)
    taken.push(name)
  }
  return taken
}

/** OPENAI_BASE_URL and its like, which the providers' own SDKs read too. Null leaves it to the provider's usual address. */
function baseUrlOf(provider: Provider): string | null {
  return variable(`${provider.name.toUpperCase().replaceAll('-', '_')}_BASE_URL`)?.replace(/\/+$/, '') ?? null
}
