import { CHAIN_MAX, ROUTING_NUMBERS, STRATEGIES } from '@nemo/domain/routing-settings'
import { z } from 'zod'
import { route } from './route.ts'
import { word } from './schema.ts'

const number = (name: keyof typeof ROUTING_NUMBERS) => {
  const [min, max] = ROUTING_NUMBERS[name]
  return z.number().int().min(min).max(max).optional()
}

const group = z.strictObject({
  strategy: z.enum(STRATEGIES).optional(),
  chain: z
    .array(word)
    .max(CHAIN_MAX)
    .optional()
    .meta({ description: 'Groups to fall back to; none, where it is empty' }),
  weights: z.record(word, z.number().int().min(1).max(1e6)).optional(),
  drop: z.array(word).max(100).optional().meta({ description: 'Deployments that are never called' }),
})

/** What is left out is as the operator set it, and nothing is ever more than that. */
const routing = z.strictObject({
  retries_max: number('retriesMax'),
  total_timeout_ms: number('totalTimeoutMs'),
  first_byte_timeout_ms: number('firstByteTimeoutMs'),
  idle_timeout_ms: number('idleTimeoutMs'),
  failures_max: number('failuresMax'),
  failure_window_ms: number('failureWindowMs'),
  cooldown_ms: number('cooldownMs'),
  sticky: z.boolean().optional(),
  groups: z.record(word, group).optional().meta({ description: 'By name; deployments by id, or as provider/model' }),
})

const values = {
  strategy: z.enum(STRATEGIES).meta({ description: 'How deployments are picked' }),
  uncapped: z
    .enum(['clamp', 'refuse'])
    .meta({ description: 'What becomes of a call without a cap that doesn’t fit in full' }),
  drop_unsupported: z
    .boolean()
    .meta({ description: 'Leave out fields that a provider has nothing like, instead of refusing the call' }),
  keep_responses: z
    .boolean()
    .meta({ description: 'Keep what responses were made of for 30 days, for previous_response_id' }),
  routing,
}

const settings = z.object({ object: z.literal('organization_settings'), ...values })

export const organizationSettingsRoutes = {
  getOrganizationSettings: route({
    method: 'GET',
    path: '/api/organization/settings',
    access: { permission: 'organization:read' },
    summary: 'How the calls of your organization are treated',
    response: settings,
  }),
  updateOrganizationSettings: route({
    method: 'PATCH',
    path: '/api/organization/settings',
    access: { permission: 'organization:update' },
    summary: 'Say how the calls of your organization are treated, by every process within a second',
    description: 'What is left out stays; `routing` is replaced as a whole, and `{}` is the operator’s own.',
    body: z.strictObject(values).partial(),
    example: {
      strategy: 'least-busy',
      routing: { retries_max: 1, groups: { 'gpt-5': { chain: ['claude-sonnet-4-5'] } } },
    },
    response: settings,
  }),
}
