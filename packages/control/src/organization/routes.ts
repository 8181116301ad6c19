import type { organization, organizationRoutes } from '@nemo/api/organization'
import { ApiError, invalidRequest } from '@nemo/domain/errors'
import { lockMember, removeMember, setMemberRole } from '@nemo/postgres/members'
import { closeOrganization, reopenOrganization } from '@nemo/postgres/organization-deletion'
import { exportOrganization } from '@nemo/postgres/organization-export'
import { type OwnOrganization, readOwnOrganization, renameOwnOrganization } from '@nemo/postgres/organizations'
import { inTransaction, withOrganization } from '@nemo/postgres/tenancy'
import type { z } from 'zod'
import type { Handlers } from '../http/call.ts'
import { conflict, notFound } from '../http/errors.ts'
import { foundFor } from './found.ts'

export const organizationHandlers: Handlers<typeof organizationRoutes> = {
  foundOrganization: async ({ control, actor, body, ip }) => {
    const { userId, email } = actor
    const id = await inTransaction(control.operator, (tx) =>
      foundFor(tx, { id: userId, email, address: ip }, body.name),
    )
    return write(await withOrganization(control.app, id, readOwnOrganization))
  },

  getOrganization: async ({ tenant }) => write(await tenant(readOwnOrganization)),

  updateOrganization: ({ tenant, body, audit }) =>
    tenant(async (tx) => {
      const before = await readOwnOrganization(tx)
      await renameOwnOrganization(tx, body.name)
      await audit(tx, {
        action: 'organization.updated',
        subject: subjectOf(before),
        before: { name: before.name },
        after: { name: body.name },
      })
      return write({ ...before, name: body.name })
    }),

  transferOrganization: ({ tenant, actor, body, audit }) =>
    tenant(async (tx) => {
      const heir = await lockMember(tx, body.user_id)
      if (!heir) throw notFound('member')
      if (heir.role === 'owner') throw conflict('already_owner', 'Who gets it owns it already.', 'user_id')
      await setMemberRole(tx, heir.id, 'owner')
      await setMemberRole(tx, actor.userId, 'admin')
      const own = await readOwnOrganization(tx)
      await audit(tx, {
        action: 'organization.transferred',
        subject: subjectOf(own),
        before: { owner: actor.email },
        after: { owner: heir.email },
      })
      return write(own)
    }),

  leaveOrganization: async ({ control, actor, audit }) => {
    const { organizationId, userId, email } = actor
    if (organizationId === null) throw new ApiError(403, 'no_organization', 'You belong to no organization.')
    await withOrganization(control.app, organizationId, async (tx) => {
      await removeMember(tx, userId)
      await audit(tx, {
        action: 'member.left',
        subject: { type: 'member', id: userId, label: email },
        before: { role: actor.role },
      })
    })
    return { object: 'member', deleted: true }
  },

  deleteOrganization: ({ tenant, body, audit }) =>
    tenant(async (tx) => {
      const before = await readOwnOrganization(tx)
      if (body.slug !== before.slug) throw invalidRequest('slug', 'This is not the slug of your organization.')
      await closeOrganization(tx)
      const after = await readOwnOrganization(tx)
      await audit(tx, {
        action: 'organization.deletion_requested',
        subject: subjectOf(before),
        after: { delete_after: after.deleteAfter?.toISOString() },
      })
      return write(after)
    }),

  restoreOrganization: ({ tenant, audit }) =>
    tenant(async (tx) => {
      if (!(await reopenOrganization(tx)))
        throw conflict('deletion_begun', 'Its 30 days are over: what was personal is being deleted.')
      const after = await readOwnOrganization(tx)
      await audit(tx, { action: 'organization.restored', subject: subjectOf(after) })
      return write(after)
    }),

  exportOrganization: async ({ control, actor, tenant, audit }) => {
    const { organizationId } = actor
    control.exports.insistOnRoom(organizationId)
    await tenant(async (tx) =>
      audit(tx, { action: 'organization.exported', subject: { type: 'organization', id: organizationId } }),
    )
    const parts = exportOrganization(control.app, organizationId)
    return { content: control.exports.of(organizationId, parts), filename: 'organization.json' }
  },
}

function subjectOf({ id, slug }: OwnOrganization) {
  return { type: 'organization', id, label: slug }
}

function write(row: OwnOrganization): z.input<typeof organization> {
  return {
    id: row.id,
    object: 'organization',
    name: row.name,
    slug: row.slug,
    balance: row.balanceNanos,
    suspended: row.suspendedAt !== null,
    delete_after: row.deleteAfter,
    created_at: row.createdAt,
  }
}
