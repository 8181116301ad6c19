import { z } from 'zod'
import { route } from './route.ts'
import { email, id, name, role, time } from './schema.ts'

export const me = z.object({
  id,
  object: z.literal('user'),
  email,
  name,
  is_operator: z.boolean(),
  totp_enabled: z.boolean(),
  created_at: time,
  /** Null for who belongs to none, which may accept an invitation or found one. */
  organization: z
    .object({
      id,
      name,
      slug: z.string(),
      role,
      permissions: z.array(z.string()),
      suspended: z.boolean(),
      /** Set while it waits to be deleted. */
      delete_after: time.nullable(),
    })
    .nullable(),
})

export const meRoutes = {
  getMe: route({
    method: 'GET',
    path: '/api/me',
    access: 'session',
    summary: 'Who you are, and what you may do',
    response: me,
  }),
  updateMe: route({
    method: 'PATCH',
    path: '/api/me',
    access: 'session',
    summary: 'Change your name',
    body: z.strictObject({ name }),
    example: { name: 'Ada Lovelace' },
    response: me,
  }),
}
