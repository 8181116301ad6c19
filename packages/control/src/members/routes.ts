import type { member, memberRoutes } from '@nemo/api/members'
import { pageOf } from '@nemo/api/page'
import { reaches } from '@nemo/domain/roles'
import { listMembers, lockMember, type MemberRow, removeMember, setMemberRole } from '@nemo/postgres/members'
import type { Transaction } from '@nemo/postgres/tenancy'
import type { z } from 'zod'
import type { Handlers, TenantActor } from '../http/call.ts'
import { aboveYourRole, notFound } from '../http/errors.ts'

export const memberHandlers: Handlers<typeof memberRoutes> = {
  listMembers: async ({ tenant, query }) => {
    const members = await tenant((tx) => listMembers(tx, query))
    return pageOf(members.map(write), query.limit)
  },

  updateMember: ({ tenant, actor, params, body, audit }) =>
    tenant(async (tx) => {
      const before = await found(tx, params.id, actor)
      if (!reaches(actor.role, body.role)) throw aboveYourRole()
      await setMemberRole(tx, before.id, body.role)
      await audit(tx, {
        action: 'member.role_changed',
        subject: subjectOf(before),
        before: { role: before.role },
        after: { role: body.role },
      })
      return write({ ...before, role: body.role })
    }),

  removeMember: ({ tenant, actor, params, audit }) =>
    tenant(async (tx) => {
      const before = await found(tx, params.id, actor)
      await removeMember(tx, before.id)
      await audit(tx, { action: 'member.removed', subject: subjectOf(before), before: { role: before.role } })
      return { id: before.id, object: 'member', deleted: true }
    }),
}

/** The member, whom nobody below him may touch. */
async function found(tx: Transaction, id: string, actor: TenantActor): Promise<MemberRow> {
  const row = await lockMember(tx, id)
  if (!row) throw notFound('member')
  if (!reaches(actor.role, row.role)) throw aboveYourRole()
  return row
}

function subjectOf({ id, email }: MemberRow) {
  return { type: 'member', id, label: email }
}

function write(row: MemberRow): z.input<typeof member> {
  return {
    id: row.id,
    object: 'member',
    email: row.email,
    name: row.name,
    role: row.role,
    totp_enabled: row.totpEnabled,
    created_at: row.createdAt,
  }
}
