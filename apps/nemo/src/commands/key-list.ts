import { formatUsd } from '@nemo/domain/money'
import { type KeyLimitRow, listVirtualKeys, type VirtualKeyRow } from '@nemo/postgres/virtual-keys'
import { localTime } from '../local-time.ts'
import { withOperator } from '../open-database.ts'
import { printJson, printTable } from '../output.ts'
import type { CommonOptions } from './options.ts'
import { whichOrganization } from './which-organization.ts'

export async function listKeys(options: CommonOptions & { organization?: string; all?: boolean }): Promise<void> {
  const keys = await withOperator(options, async (operator) => {
    const organization = options.organization ? await whichOrganization(operator, options.organization) : null
    return listVirtualKeys(operator, {
      includeRevoked: options.all ?? false,
      ...(organization && { organizationId: organization.id }),
    })
  })
  if (options.json) return printJson(keys.map((key) => forProgram(key)))
  printTable(
    ['ALIAS', 'KEY', 'ORGANIZATION', 'STATUS', 'LIMITS', 'MODELS', 'CREATED', 'LAST USED', 'ID'],
    keys.map((key) => [
      key.alias,
      key.hint,
      key.organization,
      statusOf(key, new Date()),
      key.limits.map(describeLimit).join(', ') || '–',
      key.allowedModels?.join(', ') ?? 'all',
      localTime(key.createdAt),
      localTime(key.lastUsedAt),
      key.id,
    ]),
  )
}

function describeLimit({ resource, window, bound, used }: KeyLimitRow): string {
  switch (resource) {
    case 'cost':
      return `$${formatUsd(used ?? 0n)} of $${formatUsd(bound)}${window === 'total' ? '' : ` a ${window}`}`
    case 'parallel':
      return `${bound} at once`
    default:
      return `${used} of ${bound} ${resource} a minute`
  }
}

function statusOf(key: VirtualKeyRow, now: Date): string {
  if (key.revokedAt) return `revoked ${localTime(key.revokedAt)}`
  if (key.expiresAt === null) return 'active'
  return `${key.expiresAt <= now ? 'expired' : 'expires'} ${localTime(key.expiresAt)}`
}

function forProgram(key: VirtualKeyRow): object {
  const { id, organization, alias, hint, limits } = key
  const text = (resource: string, amount: bigint | null) =>
    resource === 'cost' && amount !== null ? formatUsd(amount) : amount
  return {
    id,
    organization,
    alias,
    hint,
    allowed_models: key.allowedModels,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    limits: limits.map(({ resource, window, bound, used, held }) => ({
      resource: resource === 'cost' ? 'cost_usd' : resource,
      window,
      bound: text(resource, bound),
      used: text(resource, used),
      held: text(resource, held),
    })),
  }
}
