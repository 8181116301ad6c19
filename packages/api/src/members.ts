import { z } from 'zod'
import { route } from './route.ts'
import { deleted, email, id, idParams, listOf, listQuery, name, role, time } from './schema.ts'

/** Its id is that of the user. */
export const member = z.object({
  id,
  object: z.literal('member'),
  email,
  name,
  role,
  totp_enabled: z.boolean(),
  created_at: time,
})

export const memberRoutes = {
  listMembers: route({
    method: 'GET',
    path: '/api/members',
    access: { permission: 'member:read' },
    summary: 'The members of your organization',
    query: listQuery,
    response: listOf(member),
  }),
  updateMember: route({
    method: 'PATCH',
    path: '/api/members/:id',
    access: { permission: 'member:update' },
    summary: 'Give a member another role: none above your own, nor to one above you',
    params: idParams,
    body: z.strictObject({ role }),
    example: { role: 'member' },
    response: member,
    errors: ['403 above_your_role', '409 last_owner'],
  }),
  removeMember: route({
    method: 'DELETE',
    path: '/api/members/:id',
    access: { permission: 'member:remove' },
    summary: 'Remove a member: his personal tokens end at once',
    params: idParams,
    response: deleted('member'),
    errors: ['403 above_your_role', '409 last_owner'],
  }),
}
