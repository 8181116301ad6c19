import type { Transaction } from './tenancy.ts'

/** Keeps a link for a user, for an hour, beside those that he may have asked for before. As nemo_identity. */
export async function savePasswordReset(identity: Transaction, hash: Buffer, userId: string): Promise<void> {
  await identity.query(
    `insert into password_resets (hash, user_id, expires_at) values ($1, $2, clock_timestamp() + interval '1 hour')`,
    [hash, userId],
  )
}

/** Whose link it is, and makes all of his void: null when there is none. As nemo_identity. */
export async function takePasswordReset(identity: Transaction, hash: Buffer): Promise<string | null> {
  // Links of one user take turns: each deletes what the other has.
  await identity.query(
    'select 1 from users u where u.id = (select user_id from password_resets where hash = $1) for update',
    [hash],
  )
  const { rows } = await identity.query(
    'delete from password_resets where hash = $1 and expires_at > clock_timestamp() returning user_id',
    [hash],
  )
  const userId: string | undefined = rows[0]?.user_id
  if (userId === undefined) return null
  await identity.query('delete from password_resets where user_id = $1', [userId])
  return userId
}
