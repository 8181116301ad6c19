import type { Transaction } from './tenancy.ts'

/** Forgets what signing in kept and nobody can use any more: sessions, links of mails, and rate limits that are empty. As nemo_identity. */
export async function forgetExpiredSignIns(identity: Transaction): Promise<void> {
  await identity.query(
    `delete from sessions where expires_at < clock_timestamp() or last_seen_at < clock_timestamp() - interval '14 days'`,
  )
  await identity.query('delete from sign_ups where expires_at < clock_timestamp()')
  await identity.query('delete from password_resets where expires_at < clock_timestamp()')
  await identity.query('delete from rate_limits where empty_at < clock_timestamp()')
}
