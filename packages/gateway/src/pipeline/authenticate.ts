import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { ApiError, invalidApiKey } from '@nemo/domain/errors'
import { isVirtualKey } from '@nemo/domain/virtual-key'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { TenantSnapshot } from '../snapshot/tenants.ts'

/**
 * The key behind an `Authorization: Bearer …` header, or behind `x-api-key`, where Anthropic's clients send theirs. Throws a 401 that is the same for every reason, or a 503 when it
 * can't be looked up.
 */
export async function authenticate(
  keys: TenantSnapshot<VirtualKey>,
  headers: IncomingHttpHeaders,
  now: number,
): Promise<VirtualKey> {
  const presented = bearer(headers.authorization) ?? headers['x-api-key'] ?? null
  if (typeof presented !== 'string' || !isVirtualKey(presented)) throw invalidApiKey()
  const found = keys.find(hash('sha256', presented, 'binary'))
  const key = found instanceof Promise ? await found.catch(unreachable) : found
  if (key === null || key.revokedAt !== null) throw invalidApiKey()
  if (key.expiresAt !== null && key.expiresAt.getTime() <= now) throw invalidApiKey()
  return key
}

function bearer(authorization: string | undefined): string | null {
  if (authorization === undefined || authorization.length > 500) return null
  return /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? null
}

function unreachable(cause: unknown): never {
  throw new ApiError(503, 'credit_check_failed', 'The key could not be checked just now. Try again.', {
    headers: { 'retry-after': '1', 'retry-after-ms': '1000' },
    cause,
  })
}
