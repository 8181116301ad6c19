import type { Role } from '@nemo/domain/roles'
import type { Transaction } from './tenancy.ts'

/** Who is behind a session or a token, and where he belongs. */
export interface Caller {
  readonly userId: string
  readonly email: string
  readonly name: string
  readonly isOperator: boolean
  readonly totpEnabled: boolean
  readonly createdAt: Date
  readonly sessionId: string | null
  readonly tokenId: string | null
  readonly organization: CallersOrganization | null
}

export interface CallersOrganization {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly role: Role
  readonly suspendedAt: Date | null
  readonly deleteAfter: Date | null
}

const USER = `u.id as user_id, u.email, u.name, u.is_operator, u.totp_confirmed_at is not null as totp_enabled, u.created_at,
  o.id as organization_id, o.name as organization_name, o.slug, m.role, o.suspended_at, o.delete_after`

/**
 * Whose session it is, by the hash of its token; null for one that there isn't, that ran out, or that nobody used for two weeks, and for one that an
 * organization vouched for which he has left. That it was used is noted once a minute. As nemo_identity.
 */
export async function findCallerBySession(identity: Transaction, hash: Buffer): Promise<Caller | null> {
  const { rows } = await identity.query(
    `with found as (
       select * from sessions where hash = $1 and expires_at > clock_timestamp() and last_seen_at > clock_timestamp() - interval '14 days'),
     noted as (
       update sessions s set last_seen_at = clock_timestamp() from found f
        where s.id = f.id and f.last_seen_at < clock_timestamp() - interval '1 minute')
     select ${USER}, f.id as session_id, null as token_id
       from found f join users u on u.id = f.user_id
       left join members m on m.user_id = u.id
       left join organizations o on o.id = m.organization_id
      where f.sso_organization_id is null or (f.sso_organization_id = m.organization_id and not u.is_operator)`,
    [hash],
  )
  return rows[0] ? readCaller(rows[0]) : null
}

/** Whose personal token it is, by its hash; null for one that there isn't or that expired. As nemo_identity. */
export async function findCallerByToken(identity: Transaction, hash: Buffer): Promise<Caller | null> {
  const { rows } = await identity.query(
    `with found as (select * from personal_tokens where hash = $1 and (expires_at is null or expires_at > clock_timestamp())),
     noted as (
       update personal_tokens t set last_used_at = clock_timestamp() from found f
        where t.id = f.id and coalesce(f.last_used_at, '-infinity') < clock_timestamp() - interval '1 minute')
     select ${USER}, null as session_id, f.id as token_id
       from found f join users u on u.id = f.user_id
       join members m on m.user_id = u.id and m.organization_id = f.organization_id
       join organizations o on o.id = m.organization_id`,
    [hash],
  )
  return rows[0] ? readCaller(rows[0]) : null
}

function readCaller(row: Record<string, never>): Caller {
  return {
    userId: row.user_id!,
    email: row.email!,
    name: row.name!,
    isOperator: row.is_operator!,
    totpEnabled: row.totp_enabled!,
    createdAt: row.created_at!,
    sessionId: row.session_id!,
    tokenId: row.token_id!,
    organization:
      row.organization_id == null
        ? null
        : {
            id: row.organization_id,
            name: row.organization_name!,
            slug: row.slug!,
            role: row.role!,
            suspendedAt: row.suspended_at!,
            deleteAfter: row.delete_after!,
          },
  }
}
