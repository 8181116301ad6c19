import { uuidv7 } from '@nemo/domain/ids'
import type { Role } from '@nemo/domain/roles'
import type { Transaction } from './tenancy.ts'

export interface InvitationRow {
  readonly id: string
  readonly email: string
  readonly role: Role
  readonly status: 'open' | 'accepted' | 'revoked' | 'expired'
  readonly createdAt: Date
  readonly expiresAt: Date
}

const COLUMNS = `id, email, role, created_at as "createdAt", expires_at as "expiresAt",
  case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
       when expires_at < clock_timestamp() then 'expired' else 'open' end as status`

/** One more than `limit`, where there are more, newest first. As nemo_app of the organization. */
export async function listInvitations(
  tx: Transaction,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<InvitationRow[]> {
  const { rows } = await tx.query(
    `select ${COLUMNS} from invitations where $1::uuid is null or id < $1 order by id desc limit $2`,
    [after ?? null, limit + 1],
  )
  return rows
}

/** Invites an address for seven days, in the place of an invitation that it may have had. As nemo_app of the organization, or the operator. */
export async function createInvitation(
  tx: Transaction,
  invitation: { organizationId: string; email: string; role: Role; hash: Buffer; invitedBy: string | null },
): Promise<InvitationRow> {
  const { organizationId, email } = invitation
  // One after the other: there is one open invitation of an address.
  await tx.query(`select pg_advisory_xact_lock(hashtextextended($1 || ' invites ' || lower($2), 0))`, [
    organizationId,
    email,
  ])
  await tx.query(
    `update invitations set revoked_at = clock_timestamp()
      where organization_id = $1 and lower(email) = lower($2) and accepted_at is null and revoked_at is null`,
    [organizationId, email],
  )
  const { rows } = await tx.query(
    `insert into invitations (id, organization_id, email, role, hash, invited_by, expires_at)
     values ($1, $2, $3, $4, $5, $6, clock_timestamp() + interval '7 days') returning ${COLUMNS}`,
    [uuidv7(), organizationId, email, invitation.role, invitation.hash, invitation.invitedBy],
  )
  return rows[0]
}

/** Null when there is no such open invitation. As nemo_app of the organization. */
export async function revokeInvitation(tx: Transaction, id: string): Promise<InvitationRow | null> {
  const { rows } = await tx.query(
    `update invitations set revoked_at = clock_timestamp()
      where id = $1 and accepted_at is null and revoked_at is null returning ${COLUMNS}`,
    [id],
  )
  return rows[0] ?? null
}

/** What an address is invited as; null when it isn't. As the operator. */
export async function roleInvitedAs(
  operator: Transaction,
  organizationId: string,
  email: string,
): Promise<Role | null> {
  const { rows } = await operator.query(
    `select role from invitations
      where organization_id = $1 and lower(email) = lower($2) and accepted_at is null and revoked_at is null and expires_at > clock_timestamp()`,
    [organizationId, email],
  )
  return rows[0]?.role ?? null
}

export interface OpenInvitation {
  readonly id: string
  readonly organizationId: string
  readonly organizationName: string
  readonly email: string
  readonly role: Role
  readonly expiresAt: Date
}

const OPEN = `select i.id, i.organization_id as "organizationId", o.name as "organizationName", i.email, i.role, i.expires_at as "expiresAt"
    from invitations i join organizations o on o.id = i.organization_id
   where i.hash = $1 and i.accepted_at is null and i.revoked_at is null and i.expires_at > clock_timestamp()
     and o.delete_after is null and o.deleted_at is null`

/** By the link's hash; null for one that is unknown, used, revoked or expired. As nemo_identity. */
export async function findOpenInvitation(identity: Transaction, hash: Buffer): Promise<OpenInvitation | null> {
  return (await identity.query(OPEN, [hash])).rows[0] ?? null
}

/** The same, and it is used now: it can't be taken twice. As the operator, in the transaction that makes the member. */
export async function takeInvitation(operator: Transaction, hash: Buffer): Promise<OpenInvitation | null> {
  const { rows } = await operator.query(`${OPEN} for update of i`, [hash])
  if (rows[0])
    await operator.query('update invitations set accepted_at = clock_timestamp() where id = $1', [rows[0].id])
  return rows[0] ?? null
}
