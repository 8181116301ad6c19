import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { hashVirtualKey } from '@nemo/domain/virtual-key'
import { createOrganization, type Organization, postEntry } from '@nemo/postgres/organizations'
import type { RequestLog } from '@nemo/postgres/request-logs'
import { createVirtualKey, findVirtualKey, type NewLimit, type VirtualKey } from '@nemo/postgres/virtual-keys'
import type { TestDatabase } from './fresh-database.ts'

/** An organization with credits and one key with limits, as the ledger sees them. */
export interface Account {
  readonly organization: Organization
  readonly key: VirtualKey
  /** The limit of that name, like `key.cost.total`. Throws when the key has none. */
  limit(name: string): Limit
}

export async function openAccount(
  database: TestDatabase,
  creditsNanos: bigint,
  limits: readonly NewLimit[] = [],
): Promise<Account> {
  const slug = `o${uuidv7().slice(-12)}`
  const organization = await createOrganization(database.operator, slug, slug)
  if (creditsNanos > 0n) {
    await postEntry(database.operator, {
      organizationId: organization.id,
      kind: 'grant',
      amountNanos: creditsNanos,
      reference: 'first',
    })
  }
  const { key: secret } = await createVirtualKey(database.operator, {
    organizationId: organization.id,
    teamId: organization.defaultTeamId,
    alias: 'key',
    limits,
  })
  const key = (await findVirtualKey(database.app, hashVirtualKey(secret)))!
  return {
    organization,
    key,
    limit(name) {
      const limit = key.limits.find(
        (candidate) => `${candidate.subject}.${candidate.resource}.${candidate.window}` === name,
      )
      if (!limit) throw new Error(`the key has no limit ${name}`)
      return limit
    },
  }
}

/** A log row of a call that went well. */
export function logRow(account: Account, id: string): RequestLog {
  return {
    id,
    organization_id: account.organization.id,
    started_at: new Date(),
    key_id: account.key.id,
    key_alias: account.key.alias,
    team_id: account.key.teamId,
    endpoint: 'chat',
    streamed: false,
    model_group: 'm',
    strategy: 'simple-shuffle',
    provider: 'p',
    model: 'm',
    deployment_id: null,
    attempts: [],
    decision: null,
    status: 200,
    error_code: null,
    error_detail: null,
    latency_ms: 1,
    first_token_ms: 1,
    overhead_micros: 1,
    usage: { input: 1 },
    input_tokens: 1,
    output_tokens: 1,
    estimated: false,
    price_version_id: uuidv7(),
    consumer: null,
    session_id: null,
    tags: null,
  }
}
