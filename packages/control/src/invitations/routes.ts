import type { invitation, invitationRoutes } from '@nemo/api/invitations'
import { pageOf } from '@nemo/api/page'
import { ApiError, invalidRequest } from '@nemo/domain/errors'
import { reaches } from '@nemo/domain/roles'
import { appendAudit } from '@nemo/postgres/audit'
import { linkExternalIdentity } from '@nemo/postgres/external-identities'
import {
  createInvitation,
  findOpenInvitation,
  type InvitationRow,
  listInvitations,
  revokeInvitation,
  takeInvitation,
} from '@nemo/postgres/invitations'
import { addMember, hasMemberOfEmail } from '@nemo/postgres/members'
import { readOwnOrganization } from '@nemo/postgres/organizations'
import { inTransaction } from '@nemo/postgres/tenancy'
import { createUser, findAccountByEmail } from '@nemo/postgres/users'
import { emitEvent } from '@nemo/postgres/webhook-events'
import type { z } from 'zod'
import { type Joining, seeUnderWay, takeUnderWay } from '../federation/under-way.ts'
import { identify } from '../http/authenticate.ts'
import type { Handlers } from '../http/call.ts'
import { aboveYourRole, conflict, hasOrganization, linkInvalid, notFound } from '../http/errors.ts'
import { invitationLetter } from '../identity/letters.ts'
import { hashSecret, newSecret } from '../identity/secrets.ts'
import { startSession } from '../identity/start-session.ts'
import { meOf } from '../me/routes.ts'

export const invitationHandlers: Handlers<typeof invitationRoutes> = {
  listInvitations: async ({ tenant, query }) => {
    const invitations = await tenant((tx) => listInvitations(tx, query))
    return pageOf(invitations.map(write), query.limit)
  },

  createInvitation: async ({ control, tenant, actor, body, audit }) => {
    const { email, role } = body
    if (!reaches(actor.role, role)) throw aboveYourRole()
    const { secret, hash } = newSecret()
    const { organizationId, userId: invitedBy } = actor
    const { created, organization } = await tenant(async (tx) => {
      if (await hasMemberOfEmail(tx, email)) throw conflict('already_member', 'They are a member already.', 'email')
      const created = await createInvitation(tx, { organizationId, email, role, hash, invitedBy })
      await audit(tx, { action: 'invitation.created', subject: subjectOf(created), after: { email, role } })
      return { created, organization: await readOwnOrganization(tx) }
    })
    control.mail.send(
      invitationLetter(email, control.publicUrl, {
        token: secret,
        organization: organization.name,
        inviter: actor.caller.name,
        role,
      }),
    )
    return write(created)
  },

  revokeInvitation: ({ tenant, params, audit }) =>
    tenant(async (tx) => {
      const revoked = await revokeInvitation(tx, params.id)
      if (!revoked) throw notFound('invitation')
      await audit(tx, { action: 'invitation.revoked', subject: subjectOf(revoked) })
      return { id: revoked.id, object: 'invitation', deleted: true }
    }),

  previewInvitation: async ({ control, request, body }) => {
    const open = await findOpenInvitation(control.identity, hashSecret(body.token))
    if (!open) throw linkInvalid()
    const hasAccount = (await findAccountByEmail(control.identity, open.email)) !== null
    const underWay = seeUnderWay(control, request)
    return {
      object: 'invitation_preview',
      organization_name: open.organizationName,
      email: open.email,
      role: open.role,
      has_account: hasAccount,
      needs_password: !hasAccount && !(underWay?.kind === 'joining' && isFor(underWay, open)),
      expires_at: open.expiresAt,
    }
  },

  acceptInvitation: async ({ control, request, reply, body, ip }) => {
    const hash = hashSecret(body.token)
    const signedIn = await identify(control, request)
    const underWay = signedIn ? null : takeUnderWay(control, request, reply)
    const joining = underWay?.kind === 'joining' ? underWay : null
    const newcomer = signedIn ? null : await readNewcomer(control, hash, body, joining)
    const { userId, ssoOrganizationId } = await inTransaction(control.operator, async (tx) => {
      const taken = await takeInvitation(tx, hash)
      if (!taken) throw linkInvalid()
      const { organizationId, email, role } = taken
      if (signedIn && signedIn.email.toLowerCase() !== email.toLowerCase())
        throw new ApiError(403, 'wrong_account', 'The invitation is for another address: sign in as who was invited.')
      const id = signedIn?.userId ?? (await createUser(tx, { email, ...newcomer! }))
      if (id === null) throw signInFirst()
      if (!(await addMember(tx, organizationId, id, role))) throw hasOrganization()
      const isNamed = joining !== null && isFor(joining, taken)
      if (isNamed) await linkExternalIdentity(tx, joining.provider, joining.subject, id)
      await emitEvent(tx, {
        organizationId,
        type: 'invitation.accepted',
        data: { id: taken.id, email, role, user_id: id },
      })
      await appendAudit(tx, {
        organizationId,
        actor: { kind: 'user', id, label: email },
        address: ip,
        action: 'invitation.accepted',
        subject: { type: 'invitation', id: taken.id, label: email },
        after: { role },
      })
      return { userId: id, ssoOrganizationId: isNamed ? organizationId : undefined }
    })
    const caller = await inTransaction(control.identity, (tx) =>
      startSession(control, tx, { request, reply }, userId, ssoOrganizationId),
    )
    return meOf(caller)
  },
}

/**
 * Who has no account yet: the link proves his address. Whom the organization's provider has just named needs no password. Throws 401 when the address has an account,
 * whose owner must sign in.
 */
async function readNewcomer(
  { identity, passwords }: Parameters<typeof identify>[0],
  hash: Buffer,
  { name, password }: { name?: string | undefined; password?: string | undefined },
  joining: Joining | null,
): Promise<{ name: string; passwordHash: string | null }> {
  const open = await findOpenInvitation(identity, hash)
  if (!open) throw linkInvalid()
  if (await findAccountByEmail(identity, open.email)) throw signInFirst()
  if (joining && isFor(joining, open) && password === undefined)
    return { name: name ?? joining.name, passwordHash: null }
  if (name === undefined) throw invalidRequest('name', 'A new account needs a name.')
  if (password === undefined) throw invalidRequest('password', 'A new account needs a password.')
  return { name, passwordHash: await passwords.hash(password) }
}

function isFor(joining: Joining, { organizationId, email }: { organizationId: string; email: string }): boolean {
  return joining.organizationId === organizationId && joining.email.toLowerCase() === email.toLowerCase()
}

function signInFirst(): ApiError {
  return new ApiError(401, 'not_signed_in', 'There is an account of this address: sign in, and accept then.')
}

function subjectOf({ id, email }: InvitationRow) {
  return { type: 'invitation', id, label: email }
}

function write(row: InvitationRow): z.input<typeof invitation> {
  return {
    id: row.id,
    object: 'invitation',
    email: row.email,
    role: row.role,
    status: row.status,
    created_at: row.createdAt,
    expires_at: row.expiresAt,
  }
}
