import { uuidv7 } from '@nemo/domain/ids'
import type { Transaction } from './tenancy.ts'

export interface SessionRow {
  readonly id: string
  readonly address: string
  readonly userAgent: string
  readonly createdAt: Date
  readonly lastSeenAt: Date
  readonly expiresAt: Date
}

/** As nemo_identity. */
export async function createSession(
  identity: Transaction,
  session: {
    userId: string
    hash: Buffer
    address: string
    userAgent: string
    seconds: number
    /** The organization whose provider vouched for him: the session is good there only. */
    ssoOrganizationId?: string | undefined
  },
): Promise<string> {
  const id = uuidv7()
  await identity.query(
    `insert into sessions (id, user_id, hash, address, user_agent, expires_at, sso_organization_id)
     values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6), $7)`,
    [
      id,
      session.userId,
      session.hash,
      session.address.slice(0, 100),
      session.userAgent.slice(0, 500),
      session.seconds,
      session.ssoOrganizationId ?? null,
    ],
  )
  return id
}

/** Those that haven't run out, newest first, a hundred at most. As nemo_identity. */
export async function listSessions(identity: Transaction, userId: string): Promise<SessionRow[]> {
  const { rows } = await identity.query(
    `select id, address, user_agent as "userAgent", created_at as "createdAt", last_seen_at as "lastSeenAt", expires_at as "expiresAt"
       from sessions where user_id = $1 and expires_at > clock_timestamp() order by id desc limit 100`,
    [userId],
  )
  return rows
}

/** False when the user has no such session. As nemo_identity. */
export async function endSession(identity: Transaction, userId: string, id: string): Promise<boolean> {
  const { rowCount } = await identity.query('delete from sessions where user_id = $1 and id = $2', [userId, id])
  return rowCount === 1
}

/** Ends all of a user's but one; answers how many. As nemo_identity. */
export async function endSessionsBut(identity: Transaction, userId: string, keptId: string | null): Promise<number> {
  const { rowCount } = await identity.query('delete from sessions where user_id = $1 and id is distinct from $2', [
    userId,
    keptId,
  ])
  return rowCount ?? 0
}

/** Ends all that an organization's provider vouched for. As nemo_identity. */
export async function endSsoSessions(identity: Transaction, organizationId: string): Promise<void> {
  await identity.query('delete from sessions where sso_organization_id = $1', [organizationId])
}
