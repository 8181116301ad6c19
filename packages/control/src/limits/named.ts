import type { limitsInput, standingLimits } from '@nemo/api/limits'
import { ApiError } from '@nemo/domain/errors'
import type { Resource, Window } from '@nemo/domain/limits'
import { formatUsd } from '@nemo/domain/money'
import type { Transaction } from '@nemo/postgres/tenancy'
import { type LimitSubject, liftLimit, type StandingLimit, setLimit } from '@nemo/postgres/tenant-limits'
import type { z } from 'zod'

/** Limits as callers name them: null lifts one, what is left out stays. */
export type Limits = z.output<typeof limitsInput>
export type LimitName = keyof Limits

/** The limits by their names in the API. */
const LIMITS: Record<LimitName, { readonly resource: Resource; readonly window: Window }> = {
  requests_per_minute: { resource: 'requests', window: 'minute' },
  tokens_per_minute: { resource: 'tokens', window: 'minute' },
  parallel_requests: { resource: 'parallel', window: 'now' },
  budget_day: { resource: 'cost', window: 'day' },
  budget_week: { resource: 'cost', window: 'week' },
  budget_month: { resource: 'cost', window: 'month' },
  budget_total: { resource: 'cost', window: 'total' },
}
const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[]

/** Throws a 400 that names the limit, where it would exceed one that it is within, or be exceeded by one within it. */
export async function setLimits(tx: Transaction, subject: LimitSubject, limits: Limits): Promise<void> {
  for (const name of LIMIT_NAMES) {
    const bound = limits[name]
    if (bound === undefined) continue
    if (bound === null) await liftLimit(tx, subject, LIMITS[name])
    else
      await setLimit(tx, subject, { ...LIMITS[name], bound: BigInt(bound) }).catch(nestsBadly(`limits.${name}`, name))
  }
}

/** Of what the trigger `limits_nest` raises, a refusal. Whatever the limits of key, team and organization are, the caller may read them. */
export function nestsBadly(
  keysParam: string,
  param = keysParam,
): (error: { code?: string; message?: string }) => never {
  return (error) => {
    const { code, message = '' } = error
    const [, subject, parent] = /^a limit of the (\w+) of \d+ exceeds the one of its (\w+)/.exec(message) ?? []
    if (code === '23514' && parent)
      throw new ApiError(
        400,
        'limit_exceeds_parent',
        `A ${subject} may not have more than its ${parent}, which has less.`,
        {
          param: subject === 'key' ? keysParam : param,
        },
      )
    const child = /^a (\w+) has a limit of \d+, which would exceed/.exec(message)?.[1]
    if (code === '23514' && child)
      throw new ApiError(400, 'limit_below_child', `A ${child} within has more than that: lower its limit first.`, {
        param,
      })
    throw error
  }
}

/** Bounds, as they would be set. */
export function boundsOf(standing: readonly StandingLimit[]): Limits {
  return Object.fromEntries(
    present(standing).map(([name, { resource, bound }]) => [name, resource === 'cost' ? bound : Number(bound)]),
  )
}

/** Bounds, as the audit log has them. */
export function writtenBounds(standing: readonly StandingLimit[]): Record<string, string> {
  return Object.fromEntries(
    present(standing).map(([name, { resource, bound }]) => [
      name,
      resource === 'cost' ? formatUsd(bound) : String(bound),
    ]),
  )
}

export function shownLimits(standing: readonly StandingLimit[]): z.input<typeof standingLimits> {
  const limits = Object.fromEntries(present(standing)) as Partial<Record<LimitName, StandingLimit>>
  const rate = (limit: StandingLimit | undefined) =>
    limit ? { limit: Number(limit.bound), used: limit.used === null ? null : Number(limit.used) } : null
  const budget = (limit: StandingLimit | undefined) =>
    limit ? { limit: limit.bound, used: limit.used!, held: limit.held, resets_at: limit.resetsAt } : null
  return {
    requests_per_minute: rate(limits.requests_per_minute),
    tokens_per_minute: rate(limits.tokens_per_minute),
    parallel_requests: rate(limits.parallel_requests),
    budget_day: budget(limits.budget_day),
    budget_week: budget(limits.budget_week),
    budget_month: budget(limits.budget_month),
    budget_total: budget(limits.budget_total),
  }
}

function present(standing: readonly StandingLimit[]): [LimitName, StandingLimit][] {
  return LIMIT_NAMES.flatMap((name): [LimitName, StandingLimit][] => {
    const { resource, window } = LIMITS[name]
    const limit = standing.find((one) => one.resource === resource && one.window === window)
    return limit ? [[name, limit]] : []
  })
}
