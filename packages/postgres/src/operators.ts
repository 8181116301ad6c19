import type { Transaction } from './tenancy.ts'

/** One decision at a time of who is an operator. */
const LOCK = 7_203_311_894n

/** As the operator. */
export async function hasOperator(operator: Transaction): Promise<boolean> {
  return (await operator.query('select exists (select 1 from users where is_operator) as has')).rows[0].has
}

/** Keeps the hash of a token that makes whoever has it the operator, once, for so many hours; those that ran out are forgotten. As the operator. */
export async function saveOperatorClaim(operator: Transaction, hash: Buffer, hours: number): Promise<void> {
  await operator.query('delete from operator_claims where expires_at < clock_timestamp()')
  await operator.query(
    'insert into operator_claims (hash, expires_at) values ($1, clock_timestamp() + make_interval(hours => $2))',
    [hash, hours],
  )
}

/** Whether there is no operator yet and the token is one that makes one: true once, and then never again for any. As the operator, in the transaction that makes one. */
export async function takeOperatorClaim(tx: Transaction, hash: Buffer): Promise<boolean> {
  await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
  if (await hasOperator(tx)) return false
  const { rowCount } = await tx.query(
    'select 1 from operator_claims where hash = $1 and expires_at > clock_timestamp()',
    [hash],
  )
  if (rowCount !== 1) return false
  await tx.query('delete from operator_claims')
  return true
}

export interface OperatorRow {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly totpEnabled: boolean
  readonly createdAt: Date
}

/** All of them, a hundred at most. As the operator. */
export async function listOperators(operator: Transaction): Promise<OperatorRow[]> {
  const { rows } = await operator.query(
    `select id, email, name, totp_confirmed_at is not null as "totpEnabled", created_at as "createdAt"
       from users where is_operator order by created_at, id limit 100`,
  )
  return rows
}

/** Makes a user an operator. As the operator. */
export async function makeOperator(tx: Transaction, userId: string): Promise<void> {
  await tx.query('update users set is_operator = true where id = $1', [userId])
}

/** Takes it from one; `last` where there would be none left, null where he is none. As the operator. */
export async function dropOperator(tx: Transaction, userId: string): Promise<'dropped' | 'last' | null> {
  await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
  const operators = await listOperators(tx)
  if (!operators.some(({ id }) => id === userId)) return null
  if (operators.length === 1) return 'last'
  await tx.query('update users set is_operator = false where id = $1', [userId])
  return 'dropped'
}
