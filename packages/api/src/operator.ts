import { z } from 'zod'
import { password } from './auth.ts'
import { me } from './me.ts'
import { route } from './route.ts'
import { email, id, idParams, listOf, listQuery, name, time, usd, usdInput } from './schema.ts'

/** What `nemo start` prints while there is no operator: 256 random bits. */
const claimToken = z
  .string()
  .trim()
  .regex(/^[\w-]{43}$/, 'is not a token of ours')

const operator = z.object({
  id,
  object: z.literal('operator'),
  email,
  name,
  totp_enabled: z.boolean(),
  created_at: time,
})

const organization = z.object({
  id,
  object: z.literal('organization'),
  name: z.string(),
  slug: z.string(),
  tier: z.string(),
  balance: usd,
  members: z.number().int(),
  active_keys: z.number().int(),
  created_at: time,
  suspended_at: time.nullable(),
  delete_after: time.nullable(),
  deleted_at: time.nullable(),
})

const settings = z.object({
  object: z.literal('platform_settings'),
  sign_up: z.enum(['open', 'invited']).meta({ description: 'Whether anyone may sign up, or only who was invited' }),
  sign_up_grant: z.string().meta({ description: 'Credits to begin with, in USD' }),
})

const health = z.object({
  object: z.literal('platform_health'),
  database: z.object({
    version: z.string(),
    size_bytes: z.number(),
    connections: z.number().int(),
    connections_max: z.number().int(),
    round_trip_ms: z.number(),
    pending_migrations: z.array(z.string()),
  }),
  processes: z.array(
    z.object({
      id,
      state: z.enum(['alive', 'silent', 'dead']),
      started_at: time,
      heartbeat_at: time,
      applied_records: z.number().meta({ description: 'Charges of its journal that are in the database' }),
    }),
  ),
  this_process: z
    .object({
      id,
      active_calls: z.number().int(),
      journal_bytes: z.number().int(),
      journal_records: z.number().int().meta({ description: 'Charges that are not in the database yet' }),
    })
    .nullable(),
  cooling: z.array(
    z.object({
      deployment_id: id,
      group: z.string(),
      model: z.string(),
      credential: z.string(),
      organization_id: id.nullable(),
      fault: z.string(),
      until: time,
    }),
  ),
  webhooks: z.object({ pending: z.number().int(), oldest_pending_at: time.nullable() }),
  quarantined_prices: z.number().int(),
})

const access = 'operator'
const MINUTE = 60
const claimLimits = [{ by: 'address', max: 20, seconds: 10 * MINUTE }] as const

export const operatorRoutes = {
  claimOperator: route({
    method: 'POST',
    path: '/api/operator/claim',
    access: 'public',
    summary: 'Make the operator’s account, with the token that the first start printed',
    description: 'Works once, for one account, and never again when there is an operator. Signs in.',
    body: z.strictObject({ token: claimToken, email, password, name }),
    example: { token: 'A'.repeat(43), email: 'ops@example.com', password: 'correct horse battery', name: 'Ops' },
    response: me,
    status: 201,
    errors: ['400 claim_invalid', '409 email_taken'],
    limits: claimLimits,
  }),
  claimOperatorForMe: route({
    method: 'POST',
    path: '/api/operator/claim-for-me',
    access: 'session',
    summary: 'Become the operator, with the token that the first start printed',
    description: 'For who has an account already, and stays what he is in his organization.',
    body: z.strictObject({ token: claimToken }),
    example: { token: 'A'.repeat(43) },
    response: me,
    errors: ['400 claim_invalid'],
    limits: claimLimits,
  }),
  listOperators: route({
    method: 'GET',
    path: '/api/operator/operators',
    access,
    summary: 'Who operates the platform',
    response: listOf(operator),
  }),
  addOperator: route({
    method: 'POST',
    path: '/api/operator/operators',
    access,
    summary: 'Make somebody who has an account an operator too',
    body: z.strictObject({ email }),
    example: { email: 'second@example.com' },
    response: operator,
    status: 201,
  }),
  removeOperator: route({
    method: 'DELETE',
    path: '/api/operator/operators/:id',
    access,
    summary: 'Let somebody operate the platform no more; his account stays',
    params: idParams,
    response: z.object({ id, object: z.literal('operator'), deleted: z.literal(true) }),
    errors: ['409 last_operator'],
  }),
  operatorListOrganizations: route({
    method: 'GET',
    path: '/api/operator/organizations',
    access,
    summary: 'Organizations, newest first',
    query: listQuery.extend({
      q: z
        .string()
        .trim()
        .max(254)
        .optional()
        .meta({ description: 'A part of the name or slug, the id, or a member’s address' }),
      suspended: z.stringbool().optional(),
    }),
    response: listOf(organization),
  }),
  operatorGetOrganization: route({
    method: 'GET',
    path: '/api/operator/organizations/:id',
    access,
    summary: 'One organization',
    params: idParams,
    response: organization,
  }),
  operatorSuspendOrganization: route({
    method: 'POST',
    path: '/api/operator/organizations/:id/suspend',
    access,
    summary: 'Suspend an organization: its keys work nowhere within a second, and its members may only look',
    params: idParams,
    body: z.strictObject({ reason: z.string().trim().max(500).optional() }),
    example: { reason: 'Chargeback' },
    response: organization,
  }),
  operatorUnsuspendOrganization: route({
    method: 'POST',
    path: '/api/operator/organizations/:id/unsuspend',
    access,
    summary: 'Let a suspended organization go on as it was',
    params: idParams,
    response: organization,
  }),
  operatorGetSettings: route({
    method: 'GET',
    path: '/api/operator/settings',
    access,
    summary: 'What is decided for the whole platform',
    response: settings,
  }),
  operatorUpdateSettings: route({
    method: 'PATCH',
    path: '/api/operator/settings',
    access,
    summary: 'Change what is decided for the whole platform',
    body: z.strictObject({
      sign_up: z.enum(['open', 'invited']).optional(),
      sign_up_grant: usdInput
        .refine((nanos) => nanos >= 0n && nanos <= 1_000_000_000_000n, 'must be from 0 to 1000')
        .optional(),
    }),
    example: { sign_up: 'invited', sign_up_grant: '10.00' },
    response: settings,
  }),
  operatorGetHealth: route({
    method: 'GET',
    path: '/api/operator/health',
    access,
    summary: 'How the platform is: database, processes, journal, cooling deployments',
    response: health,
  }),
  operatorProveBooks: route({
    method: 'POST',
    path: '/api/operator/proof',
    access,
    summary: 'Prove the books now: what must be empty, and isn’t',
    description:
      'Goes through every counter, entry and charge in one snapshot, which takes a while where there are many. It is done every night by itself.',
    response: z.object({
      object: z.literal('ledger_proof'),
      sound: z.boolean(),
      overspent: z.number().int().meta({ description: 'Limits that are exceeded: perhaps lowered since' }),
      held_drift: z.number().int(),
      balance_drift: z.number().int(),
      entry_drift: z.number().int(),
      purchase_drift: z.number().int(),
    }),
    limits: [{ by: 'user', max: 10, seconds: 10 * MINUTE }],
  }),
}
