import type { me, meRoutes } from '@nemo/api/me'
import { PERMISSIONS } from '@nemo/domain/roles'
import { renameUser } from '@nemo/postgres/users'
import type { Caller } from '@nemo/postgres/who-calls'
import type { z } from 'zod'
import type { Handlers } from '../http/call.ts'

export const meHandlers: Handlers<typeof meRoutes> = {
  getMe: async ({ actor }) => meOf(actor.caller),

  updateMe: async ({ control, actor, body }) => {
    await renameUser(control.identity, actor.userId, body.name)
    return meOf({ ...actor.caller, name: body.name })
  },
}

export function meOf(caller: Caller): z.input<typeof me> {
  const { organization } = caller
  return {
    id: caller.userId,
    object: 'user',
    email: caller.email,
    name: caller.name,
    is_operator: caller.isOperator,
    totp_enabled: caller.totpEnabled,
    created_at: caller.createdAt,
    organization: organization && {
      id: organization.id,
      name: organization.name,
      slug: organization.slug,
      role: organization.role,
      permissions: [...PERMISSIONS[organization.role]],
      suspended: organization.suspendedAt !== null,
      delete_after: organization.deleteAfter,
    },
  }
}
