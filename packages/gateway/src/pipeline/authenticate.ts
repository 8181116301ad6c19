import { hash } from 'node:crypto'
import { isWithin } from '@nemo/domain/address'
import { ApiError, endpointNotAllowed, invalidApiKey } from '@nemo/domain/errors'
import type { KeyEndpoint } from '@nemo/domain/key-endpoints'
import { isVirtualKey } from '@nemo/domain/virtual-key'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import { clientAddress } from '../client-address.ts'
import type { Exchange } from '../exchange.ts'
import type { Gateway } from '../gateway.ts'

/**
 * The key behind an `Authorization: Bearer …` header, or behind `x-api-key`, where Anthropic's clients send theirs. Throws a 401 that is the same for every reason, the address
 * that it came from included, or a 503 when it can't be looked up.
 */
export async function authenticate(
  { keys, settings }: Pick<Gateway, 'keys' | 'settings'>,
  { request }: Pick<Exchange, 'request'>,
  now: number,
): Promise<VirtualKey> {
  const { headers } = request
  const presented = bearer(headers.authorization) ?? headers['x-api-key'] ?? null
  if (typeof presented !== 'string' || !isVirtualKey(presented)) throw invalidApiKey()
  const found = keys.find(hash('sha256', presented, 'binary'))
  const key = found instanceof Promise ? await found.catch(unreachable) : found
  if (key === null || key.revokedAt !== null) throw invalidApiKey()
  if (key.expiresAt !== null && key.expiresAt.getTime() <= now) throw invalidApiKey()
  if (key.allowedNetworks !== null) {
    const address = clientAddress(request, settings.trustedProxies)
    if (!address || !key.allowedNetworks.some((network) => isWithin(address, network))) throw invalidApiKey()
  }
  return key
}

/** Throws a 403 unless the key may call the endpoint: that there is such an endpoint is no secret. */
export function requireEndpoint(key: VirtualKey, endpoint: KeyEndpoint): void {
  if (key.allowedEndpoints !== null && !key.allowedEndpoints.includes(endpoint)) throw endpointNotAllowed(endpoint)
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
