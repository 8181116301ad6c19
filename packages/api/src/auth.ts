import { z } from 'zod'
import { me } from './me.ts'
import { route } from './route.ts'
import { email, name } from './schema.ts'

/** Long, since length is what makes a password hard to guess; nothing else is asked of it. */
export const password = z.string().min(10, 'must have at least 10 characters').max(200)

/** What a mail brought: 256 random bits. */
export const mailedToken = z.string().regex(/^[\w-]{43}$/, 'is not a token of ours')

/** Six digits of an authenticator, or a recovery code. */
export const code = z.string().trim().min(6).max(20)

const MINUTE = 60
const HOUR = 60 * MINUTE

export const authRoutes = {
  signUp: route({
    method: 'POST',
    path: '/api/auth/sign-up',
    access: 'public',
    summary: 'Ask for an account',
    description:
      'A mail brings a link that makes the account, with an organization of its own and a Default team. The answer is the same whether or not there is an account of that address.',
    body: z.strictObject({ email, password, name, organization_name: name.optional() }),
    example: { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada', organization_name: 'Acme' },
    response: z.object({ object: z.literal('sign_up'), status: z.literal('mail_sent') }),
    status: 202,
    errors: ['403 sign_up_closed'],
    limits: [
      { by: 'address', max: 20, seconds: HOUR },
      { by: { field: 'email' }, max: 5, seconds: HOUR },
    ],
  }),
  verifyEmail: route({
    method: 'POST',
    path: '/api/auth/verify-email',
    access: 'public',
    summary: 'Follow the link of the sign-up mail: makes the account, and signs in',
    body: z.strictObject({ token: mailedToken }),
    example: { token: 'A'.repeat(43) },
    response: me,
    status: 201,
    errors: ['400 link_invalid'],
    limits: [{ by: 'address', max: 30, seconds: 5 * MINUTE }],
  }),
  signIn: route({
    method: 'POST',
    path: '/api/auth/sign-in',
    access: 'public',
    summary: 'Sign in, for a session cookie',
    description:
      'Who has an authenticator is answered 401 `totp_required` first, and sends the same again with its code.',
    body: z.strictObject({ email, password: z.string().min(1).max(200), code: code.optional() }),
    example: { email: 'ada@example.com', password: 'correct horse battery' },
    response: me,
    errors: ['401 invalid_credentials', '401 totp_required', '401 invalid_code'],
    limits: [
      { by: 'address', max: 60, seconds: 5 * MINUTE },
      { by: { field: 'email', fromEach: 'address' }, max: 10, seconds: 10 * MINUTE },
      // Wide, so that nobody is kept out by somebody else who guesses.
      { by: { field: 'email' }, max: 100, seconds: HOUR },
    ],
  }),
  signOut: route({
    method: 'POST',
    path: '/api/auth/sign-out',
    access: 'session',
    summary: 'End this session',
    response: z.object({ object: z.literal('session'), deleted: z.literal(true) }),
  }),
  forgotPassword: route({
    method: 'POST',
    path: '/api/auth/forgot-password',
    access: 'public',
    summary: 'Ask for a link to set another password',
    description: 'The answer is the same whether or not there is an account of that address.',
    body: z.strictObject({ email }),
    example: { email: 'ada@example.com' },
    response: z.object({ object: z.literal('password_reset'), status: z.literal('mail_sent') }),
    status: 202,
    limits: [
      { by: 'address', max: 20, seconds: HOUR },
      { by: { field: 'email' }, max: 5, seconds: HOUR },
    ],
  }),
  resetPassword: route({
    method: 'POST',
    path: '/api/auth/reset-password',
    access: 'public',
    summary: 'Set another password with the link of a mail: ends every session',
    body: z.strictObject({ token: mailedToken, password }),
    example: { token: 'A'.repeat(43), password: 'correct horse battery' },
    response: z.object({ object: z.literal('password'), changed: z.literal(true) }),
    errors: ['400 link_invalid'],
    limits: [{ by: 'address', max: 30, seconds: 5 * MINUTE }],
  }),
}
