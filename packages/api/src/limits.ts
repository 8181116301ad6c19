import { z } from 'zod'
import { route } from './route.ts'
import { count, idParams, time, usd, usdInput } from './schema.ts'

/** More would not fit 64 bits of nanodollars by far, and is a slip of the hand. */
const USD_MAX = 1_000_000_000n

const budget = usdInput.refine(
  (nanos) => nanos > 0n && nanos <= USD_MAX * 1_000_000_000n,
  `must be above 0 and at most ${USD_MAX}`,
)

/** Null lifts it; what is left out stays. */
const budgets = {
  budget_day: budget.nullable().optional(),
  budget_week: budget.nullable().optional(),
  budget_month: budget.nullable().optional(),
  budget_total: budget.nullable().optional(),
}

const budgetsInput = z.strictObject(budgets)

export const limitsInput = z.strictObject({
  requests_per_minute: count(1_000_000_000).nullable().optional(),
  tokens_per_minute: count(1_000_000_000_000).nullable().optional(),
  parallel_requests: count(1_000_000).nullable().optional(),
  ...budgets,
})

const rate = z.object({
  limit: z.number().int(),
  used: z.number().int().nullable().meta({ description: 'In the last 60 seconds' }),
})
const budgetStanding = z.object({
  limit: usd,
  used: usd,
  held: usd.meta({ description: 'What calls under way may cost, and what processes keep ready for the next ones' }),
  resets_at: time.nullable(),
})

/** Null: no such limit. */
export const standingLimits = z.object({
  requests_per_minute: rate.nullable(),
  tokens_per_minute: rate.nullable(),
  parallel_requests: z.object({ limit: z.number().int() }).nullable(),
  budget_day: budgetStanding.nullable(),
  budget_week: budgetStanding.nullable(),
  budget_month: budgetStanding.nullable(),
  budget_total: budgetStanding.nullable(),
})

const response = standingLimits.extend({ object: z.literal('limits') })
const errors = ['400 limit_exceeds_parent', '400 limit_below_child'] as const
const nesting =
  'What is left out stays; null lifts. Every process holds calls to it within a second. A limit may not exceed the same one of what it is within, nor be below that of what is within it: a key is within its team, and that within the organization.'

/** Limits of an organization and of its teams. Those of keys are at the keys. */
export const limitRoutes = {
  getOrganizationLimits: route({
    method: 'GET',
    path: '/api/organization/limits',
    access: { permission: 'budget:read' },
    summary: 'The limits of your organization, and what stands against them',
    response,
  }),
  updateOrganizationLimits: route({
    method: 'PATCH',
    path: '/api/organization/limits',
    access: { permission: 'budget:update' },
    summary: 'Set or lift budgets of your organization',
    description: `${nesting} How fast an organization may call is the operator’s to say.`,
    body: budgetsInput,
    example: { budget_month: '500.00', budget_day: null },
    response,
    errors,
  }),
  getTeamLimits: route({
    method: 'GET',
    path: '/api/teams/:id/limits',
    access: { permission: 'budget:read' },
    summary: 'The limits of a team, and what stands against them',
    params: idParams,
    response,
  }),
  updateTeamLimits: route({
    method: 'PATCH',
    path: '/api/teams/:id/limits',
    access: { permission: 'budget:update' },
    summary: 'Set or lift limits of a team',
    description: nesting,
    params: idParams,
    body: limitsInput,
    example: { budget_day: '20.00', requests_per_minute: 600 },
    response,
    errors,
  }),
}
