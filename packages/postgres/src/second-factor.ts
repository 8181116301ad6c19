import type { Transaction } from './tenancy.ts'

/** Keeps a sealed secret that isn't asked for until it is confirmed. As nemo_identity. */
export async function startTotp(identity: Transaction, userId: string, secret: Buffer): Promise<void> {
  await identity.query(
    'update users set totp_secret = $2, totp_last_step = null where id = $1 and totp_confirmed_at is null',
    [userId, secret],
  )
}

/** From now on codes are asked for. As nemo_identity. */
export async function confirmTotp(identity: Transaction, userId: string): Promise<void> {
  await identity.query('update users set totp_confirmed_at = clock_timestamp() where id = $1', [userId])
}

/** Gives the authenticator up, and the recovery codes with it. As nemo_identity. */
export async function removeTotp(identity: Transaction, userId: string): Promise<void> {
  await identity.query(
    'update users set totp_secret = null, totp_confirmed_at = null, totp_last_step = null where id = $1',
    [userId],
  )
  await identity.query('delete from recovery_codes where user_id = $1', [userId])
}

/** Whether no code of that time step, or a later one, has been taken: true once. As nemo_identity. */
export async function takeTotpStep(identity: Transaction, userId: string, step: number): Promise<boolean> {
  const { rowCount } = await identity.query(
    'update users set totp_last_step = $2 where id = $1 and (totp_last_step is null or totp_last_step < $2)',
    [userId, step],
  )
  return rowCount === 1
}

/** As nemo_identity. */
export async function replaceRecoveryCodes(
  identity: Transaction,
  userId: string,
  hashes: readonly Buffer[],
): Promise<void> {
  await identity.query('delete from recovery_codes where user_id = $1', [userId])
  await identity.query('insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])', [userId, hashes])
}

/** Whether it is an unused code of the user's: true once. As nemo_identity. */
export async function takeRecoveryCode(identity: Transaction, userId: string, hash: Buffer): Promise<boolean> {
  const { rowCount } = await identity.query(
    'update recovery_codes set used_at = clock_timestamp() where user_id = $1 and hash = $2 and used_at is null',
    [userId, hash],
  )
  return rowCount === 1
}
