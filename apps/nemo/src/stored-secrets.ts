import { type MasterKeys, unseal } from '@nemo/domain/vault'
import type { StoredCredential } from '@nemo/postgres/catalogue'
import { sealedSecrets } from '@nemo/postgres/sealed-secrets'
import type pg from 'pg'
import { Failure } from './failure.ts'
import { createMasterKey, type MasterKey, masterKeyFile, readMasterKey } from './master-key.ts'

/** The name of its credential. */
export const SANDBOX = 'sandbox'

/**
 * The master key that the stored secrets open with, made anew only for a database that has none of them: a new key beside old secrets
 * would lock them away, whosever they are. The sandbox's secret doesn't count, which every start writes anew. As the operator.
 */
export async function masterKeyFor(operator: pg.Pool, dataFolder: string): Promise<MasterKey> {
  const masterKey = readMasterKey(dataFolder)
  if (masterKey) return masterKey
  const sealed = new Set<string>()
  for await (const { place, context } of sealedSecrets(operator)) {
    const isProviders = place === 'provider_credentials.secret'
    if (!(isProviders && context === SANDBOX)) sealed.add(isProviders ? context : place)
  }
  if (sealed.size === 0) return createMasterKey(dataFolder)
  throw new Failure(
    `The database holds secrets (${[...sealed].join(', ')}), but there is no master key to open them with: ` +
      `set NEMO_MASTER_KEY to the one they were sealed with, or put it back into ${masterKeyFile(dataFolder)}.`,
  )
}

/** The same, for a command beside a running nemo: it must be that one's key, so none is made, and what is stored must open with it. */
export function masterKeyForSealing(credentials: readonly StoredCredential[], dataFolder: string): MasterKeys {
  const masterKey = readMasterKey(dataFolder)
  if (!masterKey) {
    throw new Failure(
      `There is no master key to seal the secret with: set NEMO_MASTER_KEY to that of "nemo start", or name its data folder with --data.`,
    )
  }
  const locked = credentials.find((credential) => !opens(credential, masterKey.keys))
  if (!locked) return masterKey.keys
  throw new Failure(
    `The secret of ${locked.name} can't be opened with ${masterKey.origin}: that is not the key that "nemo start" uses.`,
  )
}

/** Whether the stored secret opens with the key. */
export function opens(credential: StoredCredential, masterKey: MasterKeys): boolean {
  return credential.secret === null || secretOf(credential, masterKey) !== null
}

/** The secret in clear; null when there is none, or when it doesn't open. */
export function secretOf(credential: StoredCredential, masterKey: MasterKeys): string | null {
  if (credential.secret === null) return null
  try {
    return unseal(masterKey, credential.secret, credential.name)
  } catch {
    return null
  }
}
