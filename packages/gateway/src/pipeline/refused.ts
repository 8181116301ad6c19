import { ApiError } from '@nemo/domain/errors'
import { isCredits, type Limit, nameOfLimit } from '@nemo/domain/limits'
import { formatUsd } from '@nemo/domain/money'
import type { Refusal } from '@nemo/ledger/ask'
import type { TopUpExpected } from '@nemo/postgres/virtual-keys'

/**
 * The 402 or 429 that names the limit and its numbers, and says when to come back, where time heals it. Where credits are missing that are on their way, the
 * 503 that says so: clients come again after it, and a 402 would end an agent's run.
 */
export function refused(refusal: Refusal, topUp: TopUpExpected | null): ApiError {
  const { limit, bound, needed } = refusal
  if (isCredits(limit) && topUp && bringsCredits(topUp, refusal)) return topUpPending(refusal)
  const code = codeOf(limit)
  const never = needed > bound && limit.resource !== 'cost'
  const hint = never ? ' It is larger than the limit itself, so that waiting does not help.' : ''
  const amount = limit.resource === 'cost' ? (nanos: bigint) => `$${formatUsd(nanos)}` : String
  const numbers = {
    bound: amount(bound),
    used: amount(refusal.used),
    held: amount(refusal.held),
    needed: amount(needed),
  }
  const { used, held } = numbers
  return new ApiError(
    limit.resource === 'cost' ? 402 : 429,
    code,
    `${REASON[code]} (${nameOfLimit(limit)}: limit ${numbers.bound}, used ${used}, held ${held}, needed ${numbers.needed}).${hint}`,
    {
      headers: never ? { 'x-should-retry': 'false' } : retryAfter(refusal),
      limitId: limit.id,
      details: { limit: { name: nameOfLimit(limit), ...numbers } },
    },
  )
}

/** A top-up is under way, or about to begin; or what calls under way hold decides it: where they spend it one begins, and where they don't there is enough. */
function bringsCredits({ isPending, belowNanos }: TopUpExpected, { bound, used, held, needed }: Refusal): boolean {
  const left = bound - used
  if (isPending || belowNanos === null) return isPending
  return left < belowNanos || (needed <= left && left - held < belowNanos)
}

const TOP_UP_RETRY_SECONDS = 3

function topUpPending({ limit }: Refusal): ApiError {
  return new ApiError(
    503,
    'top_up_pending',
    'The organization does not have enough credits for this request just now. They are being topped up: send it again.',
    {
      headers: { 'retry-after': String(TOP_UP_RETRY_SECONDS), 'retry-after-ms': String(TOP_UP_RETRY_SECONDS * 1_000) },
      limitId: limit.id,
    },
  )
}

/** The 503 for when it can't be known whether a call fits: money fails closed. */
export function creditCheckFailed(cause: unknown): ApiError {
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

function retryAfter({ limit, freeInMs }: Refusal): Record<string, string> {
  const waitMs = freeInMs ?? (limit.resource === 'parallel' ? 1_000 : null)
  if (waitMs === null) return {}
  return { 'retry-after': String(Math.ceil(waitMs / 1000)), 'retry-after-ms': String(Math.ceil(waitMs)) }
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
