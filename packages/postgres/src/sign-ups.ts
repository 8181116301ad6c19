import type { Transaction } from './tenancy.ts'

export interface SignUp {
  readonly email: string
  readonly name: string
  readonly organizationName: string
  readonly passwordHash: string
}

/** Keeps what somebody asked for until he follows the link of the mail, for a day. As nemo_identity. */
export async function saveSignUp(identity: Transaction, hash: Buffer, signUp: SignUp): Promise<void> {
  await identity.query(
    `insert into sign_ups (hash, email, name, organization_name, password_hash, expires_at)
     values ($1, $2, $3, $4, $5, clock_timestamp() + interval '1 day')`,
    [hash, signUp.email, signUp.name, signUp.organizationName, signUp.passwordHash],
  )
}

/** Takes a sign-up, and forgets whatever else waits for its address: null when there is none. As the operator. */
export async function takeSignUp(operator: Transaction, hash: Buffer): Promise<SignUp | null> {
  // Links of one address take turns: each deletes what the other has.
  await operator.query(
    `select pg_advisory_xact_lock(hashtextextended('sign-up of ' || lower(email), 0)) from sign_ups where hash = $1`,
    [hash],
  )
  const { rows } = await operator.query(
    `delete from sign_ups where hash = $1 and expires_at > clock_timestamp()
     returning email, name, organization_name as "organizationName", password_hash as "passwordHash"`,
    [hash],
  )
  if (rows[0]) await operator.query('delete from sign_ups where lower(email) = lower($1)', [rows[0].email])
  return rows[0] ?? null
}
