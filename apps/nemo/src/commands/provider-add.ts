import { fillBaseUrl, type Provider } from '@nemo/codec/provider'
import { findProvider, PROVIDERS } from '@nemo/codec/providers'
import { isCredentialName, readBaseUrl, readProviderSecret } from '@nemo/domain/provider-credential'
import { seal } from '@nemo/domain/vault'
import { loadCatalogue, type StoredCredential, saveProvider } from '@nemo/postgres/catalogue'
import { auditCommand } from '../audit-command.ts'
import { variable } from '../environment.ts'
import { WrongUsage } from '../failure.ts'
import { withOperator } from '../open-database.ts'
import { note, print, printJson } from '../output.ts'
import { ownName } from '../own-name.ts'
import { masterKeyForSealing } from '../stored-secrets.ts'
import type { CommonOptions } from './options.ts'
import { type ModelOptions, modelsOf } from './provider-models.ts'
import { readSecret } from './read-secret.ts'

export interface AddOptions extends CommonOptions, ModelOptions {
  type?: string
  baseUrl?: string
  apiKeyEnv?: string
  apiKeyStdin?: boolean
  setting?: string[]
  /** False with --no-api-key. */
  apiKey: boolean
}

export async function addProvider(name: string, options: AddOptions): Promise<void> {
  if (!isCredentialName(name)) {
    throw new WrongUsage(
      `"${name}" can't be a provider's name: use lowercase letters, digits, ".", "_" and "-"; "sandbox" is ours.`,
    )
  }
  const secret = await secretOfOptions(options)
  const { created, models } = await withOperator(options, async (operator, { dataFolder }) => {
    const { credentials } = await loadCatalogue(operator)
    const existing = credentials.find((credential) => credential.name === name)
    const provider = typeOf(name, options, existing)
    const baseUrl = checkUrl(options.baseUrl) ?? existing?.baseUrl ?? null
    const models = modelsOf(name, provider, options, existing !== undefined)
    if (!provider.baseUrl && !baseUrl)
      throw new WrongUsage(`${provider.name} needs a --base-url, such as http://127.0.0.1:8000/v1.`)

    const { created } = await saveProvider(
      operator,
      {
        name,
        provider: provider.name,
        baseUrl,
        settings: settingsOf(provider, options.setting ?? [], baseUrl, existing),
        secret:
          secret === null
            ? keptSecret(provider, options, baseUrl, existing)
            : seal(masterKeyForSealing(credentials, dataFolder), secret, name),
      },
      models,
    )
    await auditCommand(operator, {
      action: created ? 'provider.added' : 'provider.updated',
      subject: { type: 'provider', id: name },
      after: {
        provider: provider.name,
        base_url: baseUrl,
        has_new_key: secret !== null,
        models: models.map((model) => model.group),
      },
    })
    return { created, models: models.map((model) => model.group) }
  })
  if (options.json) return printJson({ name, created, models })
  print(`${created ? 'Added' : 'Changed'} provider ${name}. Deployed: ${models.join(', ') || 'nothing new'}.`)
  note(`"${ownName()} doctor" says whether it answers.`)
}

async function secretOfOptions(options: AddOptions): Promise<string | null> {
  if (options.apiKeyEnv !== undefined && options.apiKeyStdin) {
    throw new WrongUsage('Give the key by --api-key-env or by --api-key-stdin, not both.')
  }
  if (!options.apiKey && (options.apiKeyEnv !== undefined || options.apiKeyStdin)) {
    throw new WrongUsage('--no-api-key contradicts the key that is given.')
  }
  if (options.apiKeyStdin) return readSecret()
  if (options.apiKeyEnv === undefined) return null
  const given = variable(options.apiKeyEnv)
  // Somebody who passes the key itself is not told it back, for it would be in the terminal's history twice.
  if (!given)
    throw new WrongUsage('--api-key-env names an environment variable that is not set. It takes the name, not the key.')
  const secret = readProviderSecret(given)
  if (secret === null) throw new WrongUsage(`The key in ${options.apiKeyEnv} has characters that a header can't carry.`)
  return secret
}

/** Without a new key the old one stays, unless it would then be sent to another host. */
function keptSecret(
  provider: Provider,
  options: AddOptions,
  baseUrl: string | null,
  existing: StoredCredential | undefined,
): Buffer | null {
  if (!options.apiKey) return null
  if (existing?.secret) {
    if (existing.baseUrl === baseUrl && existing.provider === provider.name) return existing.secret
    throw new WrongUsage('The key that is stored was for another base URL: give it again, or say --no-api-key.')
  }
  if (provider.apiKeyVariable === null) return null
  throw new WrongUsage(`${provider.name} needs a key: --api-key-env ${provider.apiKeyVariable}, or --api-key-stdin.`)
}

/** What the provider needs beside its key; what isn't given anew stays, and what has a default may be left out. */
function settingsOf(
  provider: Provider,
  given: readonly string[],
  baseUrl: string | null,
  existing: StoredCredential | undefined,
): Record<string, string> {
  const settings: Record<string, string> = existing?.provider === provider.name ? { ...existing.settings } : {}
  for (const text of given) {
    const at = text.indexOf('=')
    const name = text.slice(0, at)
    if (at < 1 || !provider.settings.some((setting) => setting.name === name)) {
      const known = provider.settings.map((setting) => setting.name).join(', ') || 'none'
      throw new WrongUsage(`--setting must be name=value; ${provider.name} has ${known}.`)
    }
    settings[name] = text.slice(at + 1)
  }
  try {
    fillBaseUrl(provider, settings, baseUrl)
  } catch (error) {
    throw new WrongUsage(`${(error as Error).message}: give it with --setting name=value.`)
  }
  return settings
}

function typeOf(name: string, options: AddOptions, existing: StoredCredential | undefined): Provider {
  const type = options.type ?? existing?.provider ?? (findProvider(name) ? name : 'openai-compatible')
  const known = PROVIDERS.filter((provider) => provider.name !== 'sandbox')
  const provider = known.find((one) => one.name === type)
  if (provider) return provider
  throw new WrongUsage(`--type must be ${known.map((one) => one.name).join(' or ')}, not "${type}".`)
}

function checkUrl(text: string | undefined): string | null {
  if (text === undefined) return null
  const url = readBaseUrl(text)
  if (url === null)
    throw new WrongUsage(`--base-url must be like https://api.example.com/v1, without a password or a query.`)
  return url
}
