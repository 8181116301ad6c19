import { z } from 'zod'
import { code, password } from './auth.ts'
import { route } from './route.ts'
import { deleted, id, idParams, listOf, name, time } from './schema.ts'

export const session = z.object({
  id,
  object: z.literal('session'),
  address: z.string(),
  user_agent: z.string(),
  current: z.boolean(),
  created_at: time,
  last_seen_at: time,
  expires_at: time,
})

export const personalToken = z.object({
  id,
  object: z.literal('personal_token'),
  name,
  hint: z.string(),
  created_at: time,
  expires_at: time.nullable(),
  last_used_at: time.nullable(),
})

const currentPassword = z.string().min(1).max(200)
const guessing = [{ by: 'user', max: 10, seconds: 600 }] as const
const PASSWORD = { password: 'correct horse battery' }

/** What people do with their own account. */
export const accountRoutes = {
  changePassword: route({
    method: 'POST',
    path: '/api/me/password',
    access: 'session',
    summary: 'Change your password: ends every other session',
    body: z.strictObject({ current_password: currentPassword, new_password: password }),
    example: { current_password: 'correct horse battery', new_password: 'battery staple horse' },
    response: z.object({ object: z.literal('password'), changed: z.literal(true) }),
    errors: ['403 wrong_password'],
    limits: guessing,
  }),
  startTotp: route({
    method: 'POST',
    path: '/api/me/totp',
    access: 'session',
    summary: 'Get a secret for an authenticator (RFC 6238); it counts once it is confirmed',
    body: z.strictObject({ password: currentPassword }),
    example: PASSWORD,
    response: z.object({ object: z.literal('totp'), secret: z.string(), uri: z.string() }),
    status: 201,
    errors: ['403 wrong_password', '409 totp_enabled'],
    limits: guessing,
  }),
  confirmTotp: route({
    method: 'POST',
    path: '/api/me/totp/confirm',
    access: 'session',
    summary:
      'Confirm the authenticator with a code: from now on it is asked for. Answers with recovery codes, shown this once',
    body: z.strictObject({ code }),
    example: { code: '123456' },
    response: z.object({ object: z.literal('recovery_codes'), recovery_codes: z.array(z.string()) }),
    errors: ['400 invalid_code', '409 totp_enabled', '409 totp_not_started'],
    limits: guessing,
  }),
  disableTotp: route({
    method: 'POST',
    path: '/api/me/totp/disable',
    access: 'session',
    summary: 'Give up the authenticator and its recovery codes',
    body: z.strictObject({ password: currentPassword, code }),
    example: { ...PASSWORD, code: '123456' },
    response: z.object({ object: z.literal('totp'), deleted: z.literal(true) }),
    errors: ['400 invalid_code', '403 wrong_password', '409 totp_not_enabled'],
    limits: guessing,
  }),
  renewRecoveryCodes: route({
    method: 'POST',
    path: '/api/me/recovery-codes',
    access: 'session',
    summary: 'Get other recovery codes: those before are void',
    body: z.strictObject({ password: currentPassword, code }),
    example: { ...PASSWORD, code: '123456' },
    response: z.object({ object: z.literal('recovery_codes'), recovery_codes: z.array(z.string()) }),
    errors: ['400 invalid_code', '403 wrong_password', '409 totp_not_enabled'],
    limits: guessing,
  }),
  listSessions: route({
    method: 'GET',
    path: '/api/me/sessions',
    access: 'session',
    summary: 'Where you are signed in',
    response: listOf(session),
  }),
  endSession: route({
    method: 'DELETE',
    path: '/api/me/sessions/:id',
    access: 'session',
    summary: 'Sign out elsewhere',
    params: idParams,
    response: deleted('session'),
  }),
  endOtherSessions: route({
    method: 'DELETE',
    path: '/api/me/sessions',
    access: 'session',
    summary: 'Sign out everywhere else',
    response: z.object({ object: z.literal('session'), ended: z.number().int() }),
  }),
  deleteAccount: route({
    method: 'POST',
    path: '/api/me/delete',
    access: 'session',
    summary: 'Delete your account at once, where you belong to no organization any more',
    description:
      'Leave your organization first, or have it deleted: then its members’ accounts go with it. Who signs in elsewhere sets a password by mail first.',
    body: z.strictObject({ password: currentPassword }),
    example: PASSWORD,
    response: z.object({ object: z.literal('user'), deleted: z.literal(true) }),
    errors: ['403 wrong_password', '409 has_organization', '409 is_operator'],
    limits: guessing,
  }),
  listTokens: route({
    method: 'GET',
    path: '/api/me/tokens',
    access: 'session',
    summary: 'Your personal tokens',
    response: listOf(personalToken),
  }),
  createToken: route({
    method: 'POST',
    path: '/api/me/tokens',
    access: 'session',
    summary: 'Create a personal token, shown this once: it may what you may in your organization, or as the operator',
    body: z.strictObject({ name, expires_in_days: z.number().int().min(1).max(366).nullable().default(90) }),
    example: { name: 'Deploys', expires_in_days: 30 },
    response: personalToken.extend({ token: z.string() }),
    status: 201,
    errors: ['403 no_organization', '409 too_many_tokens'],
  }),
  revokeToken: route({
    method: 'DELETE',
    path: '/api/me/tokens/:id',
    access: 'session',
    summary: 'Revoke a personal token',
    params: idParams,
    response: deleted('personal_token'),
  }),
}
