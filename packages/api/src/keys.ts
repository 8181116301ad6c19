import { parseNetwork } from '@nemo/domain/address'
import { KEY_ENDPOINTS } from '@nemo/domain/key-endpoints'
import { z } from 'zod'
import { limitsInput, standingLimits } from './limits.ts'
import { route } from './route.ts'
import { id, idParams, listOf, listQuery, name, time, word } from './schema.ts'

const DAY_HOURS = 24

const virtualKey = z.object({
  id,
  object: z.literal('virtual_key'),
  alias: z.string(),
  hint: z.string().meta({ description: 'Its beginning and its end' }),
  status: z.enum(['active', 'expired', 'revoked']),
  team: z.object({ id, name: z.string() }),
  allowed_models: z.array(z.string()).nullable(),
  allowed_endpoints: z.array(z.string()).nullable(),
  allowed_networks: z.array(z.string()).nullable(),
  default_tags: z.array(z.string()),
  limits: standingLimits,
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  rotated_at: time.nullable(),
  last_used_at: time.nullable().meta({ description: 'To the minute' }),
  rotated_secrets: z
    .array(z.object({ hint: z.string(), works_until: time }))
    .meta({ description: 'What it had for secrets before, as long as they work' }),
})

const withSecret = virtualKey.extend({ key: z.string().meta({ description: 'The key itself, shown this once' }) })

const unique = <T extends z.ZodType<string>>(item: T, max: number) =>
  z
    .array(item)
    .max(max)
    .transform((items) => [...new Set(items)])

const network = z
  .string()
  .max(60)
  .transform((text, context) => {
    const read = parseNetwork(text.trim())
    if (!read)
      context.addIssue({
        code: 'custom',
        message: 'must be an address or a network, such as 203.0.113.0/24 or 2001:db8::/32',
      })
    // It would match nothing: an IPv4 address is taken as one, however a socket has it.
    else if (read.address.bits === 128 && read.address.value >> 32n === 0xffffn)
      context.addIssue({ code: 'custom', message: 'must be written as IPv4' })
    return text.trim()
  })

const settings = {
  team_id: id.optional(),
  allowed_models: unique(word, 1_000).nullable().optional(),
  allowed_endpoints: unique(z.enum(KEY_ENDPOINTS), 100).nullable().optional(),
  allowed_networks: unique(network, 100).nullable().optional(),
  default_tags: unique(word, 100).optional(),
  expires_at: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .refine((date) => date.getTime() > Date.now(), 'must be in the future')
    .nullable()
    .optional(),
  limits: limitsInput.optional(),
}

const exceeds = '400 limit_exceeds_parent'

export const keyRoutes = {
  listKeys: route({
    method: 'GET',
    path: '/api/keys',
    access: { permission: 'key:read' },
    summary: 'Virtual keys with their limits and what stands against them, newest first',
    description: 'Revoked ones only where `status` asks for them.',
    query: listQuery.extend({
      team_id: id.optional(),
      status: z.enum(['active', 'expired', 'revoked']).optional(),
      alias: z.string().trim().max(200).optional().meta({ description: 'A part of the alias' }),
    }),
    response: listOf(virtualKey),
  }),
  createKey: route({
    method: 'POST',
    path: '/api/keys',
    access: { permission: 'key:create' },
    summary: 'Create a virtual key',
    description:
      'The answer has the key itself, this once: what is kept is its hash. Without a team it belongs to the Default one. An empty list of models, endpoints or networks is as none: any.',
    body: z.strictObject({ alias: name, ...settings }),
    example: {
      alias: 'researcher',
      team_id: '019abc12-3456-7890-abcd-ef0123456789',
      allowed_models: ['gpt-5-mini'],
      allowed_endpoints: ['chat/completions'],
      allowed_networks: ['203.0.113.0/24', '2001:db8::/32'],
      limits: { requests_per_minute: 60, budget_day: '5.00' },
    },
    response: withSecret,
    status: 201,
    errors: ['409 alias_taken', exceeds],
  }),
  getKey: route({
    method: 'GET',
    path: '/api/keys/:id',
    access: { permission: 'key:read' },
    summary: 'One virtual key',
    params: idParams,
    response: virtualKey,
  }),
  updateKey: route({
    method: 'PATCH',
    path: '/api/keys/:id',
    access: { permission: 'key:update' },
    summary: 'Change what a key is allowed, and its limits',
    description: 'What is left out stays, a limit too; null lifts. Every process holds the key to it within a second.',
    params: idParams,
    body: z.strictObject({ alias: name.optional(), ...settings }),
    example: { limits: { budget_day: '10.00', tokens_per_minute: null }, allowed_networks: null },
    response: virtualKey,
    errors: ['409 alias_taken', '409 key_revoked', exceeds],
  }),
  duplicateKey: route({
    method: 'POST',
    path: '/api/keys/:id/duplicate',
    access: { permission: 'key:create' },
    summary: 'Create a key that is allowed and limited as this one',
    description: 'What was spent of the limits is not taken over, nor is an expiry that has passed.',
    params: idParams,
    body: z.strictObject({ alias: name }),
    example: { alias: 'researcher-2' },
    response: withSecret,
    status: 201,
    errors: ['409 alias_taken', exceeds],
  }),
  rotateKey: route({
    method: 'POST',
    path: '/api/keys/:id/rotate',
    access: { permission: 'key:rotate' },
    summary: 'Give a key another secret',
    description:
      'The answer has the new one, this once. The one before works for `overlap_hours` more, as the same key: both count against the same limits. 0 ends it at once, and with it any that an earlier rotation left.',
    params: idParams,
    body: z.strictObject({
      overlap_hours: z
        .number()
        .min(0)
        .max(30 * DAY_HOURS)
        .default(DAY_HOURS),
    }),
    example: { overlap_hours: 24 },
    response: withSecret,
    errors: ['409 key_revoked'],
  }),
  revokeKey: route({
    method: 'POST',
    path: '/api/keys/:id/revoke',
    access: { permission: 'key:revoke' },
    summary: 'Revoke a key for good: it works nowhere within a second',
    params: idParams,
    response: virtualKey,
  }),
}
