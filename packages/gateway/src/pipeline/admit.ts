import { ApiError } from '@nemo/domain/errors'
import { isCredits, type Limit, nameOfLimit } from '@nemo/domain/limits'
import { formatUsd } from '@nemo/domain/money'
import { type Ledger, LedgerUnavailable } from '@nemo/ledger/ledger'
import type { Ask, Hold, Refusal } from '@nemo/ledger/reserve'
import type { VirtualKey } from '@nemo/postgres/virtual-keys'
import type { ResolvedRequest } from './resolve.ts'

/**
 * Holds what the call may take against every limit that binds the key. Throws a 402 or 429 that names the limit that refused, or a 503
 * when Postgres can't be asked: nothing is called without a hold. `reload` brings the key's limits up to date, once.
 */
export async function admit(
  ledger: Ledger,
  id: string,
  key: VirtualKey,
  request: ResolvedRequest,
  reload: () => Promise<VirtualKey>,
): Promise<Hold> {
  let reservation = await reserve(ledger, id, key, request)
  if (reservation.kind === 'stale') reservation = await reserve(ledger, id, await reload(), request)
  if (reservation.kind === 'held') return reservation.hold
  if (reservation.kind === 'refused') throw refused(reservation.refusal)
  throw creditCheckFailed(new Error('the limits of the key changed twice while it was admitted'))
}

async function reserve(ledger: Ledger, id: string, key: VirtualKey, request: ResolvedRequest) {
  const asks: Ask[] = []
  for (const limit of key.limits) {
    const amount = amountOf(limit, request)
    if (amount > 0n) asks.push({ limit, amount })
  }
  try {
    return await ledger.reserve({ id, organizationId: key.organizationId, asks })
  } catch (error) {
    if (error instanceof LedgerUnavailable) throw creditCheckFailed(error)
    throw error
  }
}

function amountOf(limit: Limit, { expectation }: ResolvedRequest): bigint {
  switch (limit.resource) {
    case 'cost':
      return expectation.ceilingNanos
    case 'tokens':
      return BigInt(expectation.tokensLikely)
    case 'requests':
    case 'parallel':
      return 1n
  }
}

function creditCheckFailed(cause: unknown): ApiError {
  return new ApiError(
    503,
    'credit_check_failed',
    'Credits and limits could not be checked just now. The request was not sent.',
    {
      headers: { 'retry-after': '1', 'retry-after-ms': '1000' },
      cause,
    },
  )
}

function refused(refusal: Refusal): ApiError {
  const { limit, bound, used, held, needed, freeAt } = refusal
  const amount = limit.resource === 'cost' ? (nanos: bigint) => `$${formatUsd(nanos)}` : String
  const numbers = `limit ${amount(bound)}, used ${amount(used)}, held ${amount(held)}, needed ${amount(needed)}`
  const waitMs = freeAt ? Math.max(freeAt.getTime() - Date.now(), 1) : limit.resource === 'parallel' ? 1_000 : null
  const never = needed > bound && limit.resource !== 'cost'
  const headers: Record<string, string> = never
    ? { 'x-should-retry': 'false' }
    : waitMs === null
      ? {}
      : { 'retry-after': String(Math.ceil(waitMs / 1000)), 'retry-after-ms': String(Math.ceil(waitMs)) }
  const hint = never ? ' It is larger than the limit itself, so that waiting does not help.' : ''
  return new ApiError(
    limit.resource === 'cost' ? 402 : 429,
    codeOf(limit),
    `${REASON[codeOf(limit)]} (${nameOfLimit(limit)}: ${numbers}).${hint}`,
    {
      headers,
      details: {
        limit: {
          name: nameOfLimit(limit),
          bound: amount(bound),
          used: amount(used),
          held: amount(held),
          needed: amount(needed),
        },
      },
    },
  )
}

type RefusalCode =
  | 'insufficient_credits'
  | 'budget_exceeded'
  | 'tpm_limit_exceeded'
  | 'concurrency_limit_exceeded'
  | 'rate_limit_exceeded'

const REASON: Record<RefusalCode, string> = {
  insufficient_credits: 'The organization does not have enough credits for this request',
  budget_exceeded: 'This request does not fit a budget',
  tpm_limit_exceeded: 'Too many tokens in the last 60 seconds',
  concurrency_limit_exceeded: 'Too many requests at once',
  rate_limit_exceeded: 'Too many requests in the last 60 seconds',
}

function codeOf(limit: Limit): RefusalCode {
  if (isCredits(limit)) return 'insufficient_credits'
  switch (limit.resource) {
    case 'cost':
      return 'budget_exceeded'
    case 'tokens':
      return 'tpm_limit_exceeded'
    case 'parallel':
      return 'concurrency_limit_exceeded'
    case 'requests':
      return 'rate_limit_exceeded'
  }
}
