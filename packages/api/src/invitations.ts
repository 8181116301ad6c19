import { z } from 'zod'
import { mailedToken, password } from './auth.ts'
import { me } from './me.ts'
import { route } from './route.ts'
import { deleted, email, id, idParams, listOf, listQuery, name, role, time } from './schema.ts'

export const invitation = z.object({
  id,
  object: z.literal('invitation'),
  email,
  role,
  status: z.enum(['open', 'accepted', 'revoked', 'expired']),
  created_at: time,
  expires_at: time,
})

export const invitationRoutes = {
  listInvitations: route({
    method: 'GET',
    path: '/api/invitations',
    access: { permission: 'invitation:read' },
    summary: 'The invitations of your organization, newest first',
    query: listQuery,
    response: listOf(invitation),
  }),
  createInvitation: route({
    method: 'POST',
    path: '/api/invitations',
    access: { permission: 'invitation:create' },
    summary: 'Invite somebody by mail, for seven days; one that was open for the address is replaced',
    body: z.strictObject({ email, role: role.default('member') }),
    example: { email: 'grace@example.com', role: 'member' },
    response: invitation,
    status: 201,
    errors: ['403 above_your_role', '409 already_member'],
    limits: [{ by: 'user', max: 100, seconds: 3600 }],
  }),
  revokeInvitation: route({
    method: 'DELETE',
    path: '/api/invitations/:id',
    access: { permission: 'invitation:revoke' },
    summary: 'Revoke an open invitation',
    params: idParams,
    response: deleted('invitation'),
  }),
  previewInvitation: route({
    method: 'POST',
    path: '/api/invitations/preview',
    access: 'public',
    summary: 'What an invitation is to, by the link of its mail',
    body: z.strictObject({ token: mailedToken }),
    example: { token: 'A'.repeat(43) },
    response: z.object({
      object: z.literal('invitation_preview'),
      organization_name: z.string(),
      email,
      role,
      /** Who has an account signs in to accept. */
      has_account: z.boolean(),
      /** Who hasn't gives a name and a password, unless the organization's provider has just named him in this browser. */
      needs_password: z.boolean(),
      expires_at: time,
    }),
    errors: ['400 link_invalid'],
    limits: [{ by: 'address', max: 60, seconds: 300 }],
  }),
  acceptInvitation: route({
    method: 'POST',
    path: '/api/invitations/accept',
    access: 'public',
    summary: 'Accept an invitation: signed in as who was invited, or with a name and a password for a new account',
    description: 'Whom the provider of the organization has named in this browser within ten minutes needs neither.',
    body: z.strictObject({ token: mailedToken, name: name.optional(), password: password.optional() }),
    example: { token: 'A'.repeat(43), name: 'Grace', password: 'correct horse battery' },
    response: me,
    status: 201,
    errors: ['400 link_invalid', '401 not_signed_in', '403 wrong_account', '409 has_organization'],
    limits: [{ by: 'address', max: 60, seconds: 300 }],
  }),
}
