import { uuidv7 } from '@nemo/domain/ids'
import type pg from 'pg'
import { inTransaction, type Transaction } from './tenancy.ts'

/** What signing in needs of a user. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly passwordHash: string | null
  /** Sealed; null until an authenticator was at least begun. */
  readonly totpSecret: Buffer | null
  readonly totpConfirmed: boolean
}

const ACCOUNT = 'select id, email, name, password_hash, totp_secret, totp_confirmed_at from users'

/** By his address, whatever its case; null when there is none. As nemo_identity or the operator. */
export async function findAccountByEmail(db: Transaction, email: string): Promise<Account | null> {
  const { rows } = await db.query(`${ACCOUNT} where lower(email) = lower($1)`, [email])
  return rows[0] ? readAccount(rows[0]) : null
}

/** The user of that id, locked until the transaction ends. As nemo_identity or the operator. */
export async function lockAccount(tx: Transaction, userId: string): Promise<Account> {
  const { rows } = await tx.query(`${ACCOUNT} where id = $1 for update`, [userId])
  return readAccount(rows[0])
}

function readAccount(row: Record<string, never>): Account {
  return {
    id: row.id!,
    email: row.email!,
    name: row.name!,
    passwordHash: row.password_hash!,
    totpSecret: row.totp_secret!,
    totpConfirmed: row.totp_confirmed_at != null,
  }
}

/** Makes a user, whose address has been proven; null when there is one of that address. As the operator. */
export async function createUser(
  operator: Transaction,
  { email, name, passwordHash }: { email: string; name: string; passwordHash: string | null },
): Promise<string | null> {
  const { rows } = await operator.query(
    `insert into users (id, email, name, password_hash) values ($1, $2, $3, $4) on conflict (lower(email)) do nothing returning id`,
    [uuidv7(), email, name, passwordHash],
  )
  return rows[0]?.id ?? null
}

/** Whether he hasn't had his credits to begin with: true once, for each user. As the operator, in the transaction that gives them. */
export async function claimSignUpGrant(operator: Transaction, userId: string): Promise<boolean> {
  const { rowCount } = await operator.query(
    'update users set sign_up_grant_at = clock_timestamp() where id = $1 and sign_up_grant_at is null',
    [userId],
  )
  return rowCount === 1
}

/** Changes a user's name. As nemo_identity. */
export async function renameUser(identity: Transaction, userId: string, name: string): Promise<void> {
  await identity.query('update users set name = $2 where id = $1', [userId, name])
}

/** As nemo_identity. */
export async function setPassword(identity: Transaction, userId: string, passwordHash: string): Promise<void> {
  await identity.query('update users set password_hash = $2 where id = $1', [userId, passwordHash])
}

/** Puts another hash of the same password in the place of one, unless that was changed meanwhile. As nemo_identity. */
export async function replacePasswordHash(
  identity: Transaction,
  userId: string,
  { before, after }: { before: string; after: string },
): Promise<void> {
  await identity.query('update users set password_hash = $3 where id = $1 and password_hash = $2', [
    userId,
    before,
    after,
  ])
}

/** Deletes a user who belongs to no organization, with all that he signs in with: false when he does belong to one. As the operator. */
export async function deleteUser(operator: pg.Pool, userId: string): Promise<boolean> {
  return inTransaction(operator, async (tx) => {
    // Locked as by what makes him a member, which waits, and finds nobody then.
    await tx.query('select 1 from users where id = $1 for update', [userId])
    const { rowCount } = await tx.query(
      'delete from users where id = $1 and not is_operator and not exists (select from members where user_id = $1)',
      [userId],
    )
    return rowCount === 1
  })
}

/** As the operator. */
export async function isOperator(operator: Transaction, userId: string): Promise<boolean> {
  return (await operator.query('select 1 from users where id = $1 and is_operator', [userId])).rowCount === 1
}

/** By his id; null when there is none. As nemo_identity. */
export async function findAccount(identity: Transaction, userId: string): Promise<Account | null> {
  const { rows } = await identity.query(`${ACCOUNT} where id = $1`, [userId])
  return rows[0] ? readAccount(rows[0]) : null
}
