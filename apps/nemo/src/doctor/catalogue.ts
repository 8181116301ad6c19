import { findProvider } from '@nemo/codec/providers'
import type { MasterKeys } from '@nemo/domain/vault'
import { loadCatalogue, type StoredCatalogue, type StoredCredential } from '@nemo/postgres/catalogue'
import { listOrganizations } from '@nemo/postgres/organizations'
import type pg from 'pg'
import { readMasterKey } from '../master-key.ts'
import { opens, secretOf } from '../stored-secrets.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

/** Who may call, what can be called, and whether it answers. */
export async function examineCatalogue(operator: pg.Pool, dataFolder: string): Promise<Finding[]> {
  const catalogue = await loadCatalogue(operator)
  const masterKey = masterKeyOrNull(dataFolder)
  const answers = await Promise.all(catalogue.credentials.map((credential) => answering(credential, masterKey)))
  return [await organizations(operator), ...models(catalogue), ...secrets(catalogue, masterKey), ...answers]
}

async function organizations(operator: pg.Pool): Promise<Finding> {
  const { length } = await listOrganizations(operator)
  if (length > 0) return ok(length === 1 ? 'There is 1 organization' : `There are ${length} organizations`)
  return warning(
    'There is no organization',
    'nemo organization create <slug>, then nemo credits grant and nemo key create',
  )
}

function models({ deployments }: StoredCatalogue): Finding[] {
  const groups = new Set(deployments.map((deployment) => deployment.group))
  const priced = new Set(deployments.filter((deployment) => deployment.price).map((deployment) => deployment.group))
  const unpriced = new Set(
    deployments.filter((deployment) => !deployment.price).map((deployment) => deployment.model.id),
  )
  const findings =
    priced.size > 0
      ? [ok(`${priced.size} of ${groups.size} models can be called`)]
      : [problem('There is no model that can be called', 'nemo provider add openai --api-key-env OPENAI_API_KEY')]
  if (unpriced.size === 0) return findings
  return [
    ...findings,
    warning(
      `Without a price, and so never called: ${[...unpriced].join(', ')}`,
      'nemo provider add … --model … --input-price … --output-price …',
    ),
  ]
}

function secrets({ credentials }: StoredCatalogue, masterKey: MasterKeys | null): Finding[] {
  const sealed = credentials.filter((credential) => credential.secret !== null)
  if (sealed.length === 0) return []
  const locked = sealed.filter((credential) => !masterKey || !opens(credential, masterKey))
  if (locked.length === 0)
    return [
      ok(`The master key opens ${sealed.length === 1 ? 'the stored secret' : `all ${sealed.length} stored secrets`}`),
    ]
  return [
    problem(
      `The master key does not open the secret of ${locked.map((one) => one.name).join(', ')}`,
      'Set NEMO_MASTER_KEY (or master.key in the data folder) to the one it was sealed with, or add the provider again.',
    ),
  ]
}

const PATIENCE_MS = 3_000

/** Asks the provider for its models, as the gateway would ask it: with our key, at its address. */
async function answering(credential: StoredCredential, masterKey: MasterKeys | null): Promise<Finding> {
  const { name } = credential
  const baseUrl = credential.baseUrl ?? findProvider(credential.provider)?.baseUrl
  if (!baseUrl) return problem(`Provider ${name} has no base URL`, `nemo provider add ${name} --base-url …`)
  const secret = masterKey && secretOf(credential, masterKey)
  const url = `${baseUrl.replace(/\/+$/, '')}/models`
  try {
    const response = await fetch(url, {
      headers: secret ? { authorization: `Bearer ${secret}` } : {},
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await response.body?.cancel()
    const { status } = response
    if (status === 401 || status === 403) {
      // Without the key of the vault a refusal says nothing about it.
      if (credential.secret && !secret)
        return warning(`Provider ${name} answers at ${baseUrl}; its key could not be tried`, 'See the master key.')
      return problem(`Provider ${name} refuses our key (${status})`, `nemo provider add ${name} --api-key-env …`)
    }
    if (status >= 500)
      return warning(`Provider ${name} answers with ${status} at ${url}`, 'It may be a passing trouble of theirs.')
    return ok(`Provider ${name} answers at ${baseUrl}`)
  } catch (error) {
    const what = `Provider ${name} does not answer at ${baseUrl}: ${reasonOf(error)}`
    if (credential.provider === 'sandbox') return warning(what, 'The sandbox runs inside "nemo start".')
    return problem(what, 'Check its address (nemo provider list) and the way there: DNS, proxy, firewall.')
  }
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error
  if (name === 'TimeoutError') return `nothing came within ${PATIENCE_MS / 1000} s`
  const { code, message: reason } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
  return code === 'ECONNREFUSED' ? 'connection refused' : (code ?? reason ?? message)
}

function masterKeyOrNull(dataFolder: string): MasterKeys | null {
  try {
    return readMasterKey(dataFolder)?.keys ?? null
  } catch {
    return null
  }
}
