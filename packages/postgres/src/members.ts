import type { Role } from '@nemo/domain/roles'
import type { Transaction } from './tenancy.ts'

/** A member of an organization. The id is the user's. */
export interface MemberRow {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly role: Role
  readonly totpEnabled: boolean
  readonly createdAt: Date
}

const MEMBER = `select u.id, u.email, u.name, m.role, u.totp_confirmed_at is not null as "totpEnabled", m.created_at as "createdAt"
  from members m join users u on u.id = m.user_id`

/** One more than `limit`, where there are more, by id. As nemo_app of the organization. */
export async function listMembers(
  tx: Transaction,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<MemberRow[]> {
  const { rows } = await tx.query(`${MEMBER} where $1::uuid is null or u.id > $1 order by u.id limit $2`, [
    after ?? null,
    limit + 1,
  ])
  return rows
}

/** Null when there is no such member; locked until the transaction ends. As nemo_app of the organization. */
export async function lockMember(tx: Transaction, userId: string): Promise<MemberRow | null> {
  const { rows } = await tx.query(`${MEMBER} where m.user_id = $1 for update of m`, [userId])
  return rows[0] ?? null
}

/**
 * Makes a user a member. False when he is a member of any organization already: he is locked first, and a unique index stands behind that. As the operator, in
 * the transaction of what brings him there.
 */
export async function addMember(
  operator: Transaction,
  organizationId: string,
  userId: string,
  role: Role,
): Promise<boolean> {
  await operator.query('select 1 from users where id = $1 for update', [userId])
  const { rowCount } = await operator.query(
    'insert into members (organization_id, user_id, role) values ($1, $2, $3) on conflict (user_id) do nothing',
    [organizationId, userId, role],
  )
  return rowCount === 1
}

/** Throws NM001 when nobody would own the organization any more. As nemo_app of the organization. */
export async function setMemberRole(tx: Transaction, userId: string, role: Role): Promise<void> {
  await tx.query('update members set role = $2 where user_id = $1', [userId, role])
}

/** His personal tokens go with him. Throws NM001 when nobody would own the organization any more. As nemo_app of the organization. */
export async function removeMember(tx: Transaction, userId: string): Promise<void> {
  await tx.query('delete from members where user_id = $1', [userId])
}

/** Where a user is a member; null when nowhere. As nemo_identity or the operator. */
export async function organizationOf(db: Transaction, userId: string): Promise<string | null> {
  const { rows } = await db.query('select organization_id from members where user_id = $1', [userId])
  return rows[0]?.organization_id ?? null
}

/** Whether a member has that address. As nemo_app of the organization. */
export async function hasMemberOfEmail(tx: Transaction, email: string): Promise<boolean> {
  const { rowCount } = await tx.query('select 1 from users where lower(email) = lower($1)', [email])
  return rowCount === 1
}
