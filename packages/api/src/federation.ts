import { z } from 'zod'
import { code } from './auth.ts'
import { me } from './me.ts'
import { route } from './route.ts'
import { id, time } from './schema.ts'

const provider = z.object({ provider: z.enum(['google', 'github']) })
/** What providers come back with is theirs to say. */
const answer = z.looseObject({ code: z.string().max(4096).optional(), state: z.string().max(1024).optional() })
const limits = [{ by: 'address', max: 60, seconds: 300 }] as const

export const ssoConnection = z.object({
  object: z.literal('sso_connection'),
  issuer: z.string(),
  client_id: z.string(),
  default_role: z.enum(['admin', 'member', 'viewer']).nullable(),
  /** What to register at the provider. */
  redirect_uri: z.string(),
  /** Where members begin. */
  sign_in_url: z.string(),
  created_at: time,
  updated_at: time,
})

/** Signing in by way of somewhere else. */
export const federationRoutes = {
  listSignInProviders: route({
    method: 'GET',
    path: '/api/auth/providers',
    access: 'public',
    summary: 'Where else people may sign in',
    response: z.object({ object: z.literal('list'), data: z.array(z.object({ id: z.enum(['google', 'github']) })) }),
  }),
  startOAuth: route({
    method: 'GET',
    path: '/api/auth/oauth/:provider',
    access: 'public',
    summary: 'Go to Google or GitHub to sign in',
    params: provider,
    response: 'redirect',
    limits,
  }),
  finishOAuth: route({
    method: 'GET',
    path: '/api/auth/oauth/:provider/callback',
    access: 'public',
    summary: 'Where Google and GitHub send people back to',
    params: provider,
    query: answer,
    response: 'redirect',
    limits,
  }),
  startSso: route({
    method: 'GET',
    path: '/api/auth/sso/:slug',
    access: 'public',
    summary: 'Go to the OpenID provider of an organization to sign in',
    params: z.object({ slug: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/) }),
    response: 'redirect',
    limits,
  }),
  finishSso: route({
    method: 'GET',
    path: '/api/auth/sso/:organization_id/callback',
    access: 'public',
    summary: 'Where the OpenID provider of an organization sends people back to',
    description:
      'Each organization has one of its own, so that no provider can have sent here what is another’s (mix-up attacks: RFC 9700, section 4.4).',
    params: z.object({ organization_id: id }),
    query: answer,
    response: 'redirect',
    limits,
  }),
  giveSecondFactor: route({
    method: 'POST',
    path: '/api/auth/second-factor',
    access: 'public',
    summary: 'Go on with the code of an authenticator, after Google or GitHub',
    body: z.strictObject({ code }),
    example: { code: '123456' },
    response: me,
    errors: ['400 sign_in_expired', '401 invalid_code'],
    limits: [{ by: 'address', max: 10, seconds: 600 }],
  }),
  getSso: route({
    method: 'GET',
    path: '/api/sso',
    access: { permission: 'sso:read' },
    summary: 'The OpenID provider of your organization',
    response: ssoConnection,
    errors: ['404 not_found'],
  }),
  updateSso: route({
    method: 'PUT',
    path: '/api/sso',
    access: { permission: 'sso:update' },
    summary: 'Let members sign in at an OpenID provider',
    description:
      'It is asked for its description at once. It can vouch for members of your organization only; with a `default_role`, who is new to the platform is mailed an invitation, and joins by its link. Sessions that it vouches for last a day, and end when it is changed.',
    body: z.strictObject({
      issuer: z.url().max(500),
      client_id: z.string().min(1).max(500),
      client_secret: z.string().min(1).max(1000),
      default_role: z.enum(['admin', 'member', 'viewer']).nullable().default(null),
    }),
    example: {
      issuer: 'https://login.example.com',
      client_id: 'nemo',
      client_secret: 'a secret',
      default_role: 'member',
    },
    response: ssoConnection,
    errors: ['400 issuer_unusable'],
    limits: [{ by: 'user', max: 30, seconds: 3600 }],
  }),
  deleteSso: route({
    method: 'DELETE',
    path: '/api/sso',
    access: { permission: 'sso:update' },
    summary: 'Let members sign in there no more',
    response: z.object({ object: z.literal('sso_connection'), deleted: z.literal(true) }),
    errors: ['404 not_found'],
  }),
}
