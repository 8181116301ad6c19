import type { Transaction } from './tenancy.ts'

/** Whose it is; null for one that nobody came with yet. As nemo_identity or the operator. */
export async function findByExternalIdentity(
  db: Transaction,
  provider: string,
  subject: string,
): Promise<string | null> {
  const { rows } = await db.query('select user_id from external_identities where provider = $1 and subject = $2', [
    provider,
    subject,
  ])
  return rows[0]?.user_id ?? null
}

/** As nemo_identity or the operator. */
export async function linkExternalIdentity(
  db: Transaction,
  provider: string,
  subject: string,
  userId: string,
): Promise<void> {
  await db.query(
    'insert into external_identities (provider, subject, user_id) values ($1, $2, $3) on conflict do nothing',
    [provider, subject, userId],
  )
}
