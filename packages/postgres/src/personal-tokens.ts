import { uuidv7 } from '@nemo/domain/ids'
import type { Transaction } from './tenancy.ts'

export interface PersonalTokenRow {
  readonly id: string
  readonly name: string
  readonly hint: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
}

const COLUMNS = `id, name, hint, created_at as "createdAt", expires_at as "expiresAt", last_used_at as "lastUsedAt"`

/** A user's tokens, newest first. As nemo_app of his organization. */
export async function listPersonalTokens(tx: Transaction, userId: string): Promise<PersonalTokenRow[]> {
  const { rows } = await tx.query(`select ${COLUMNS} from personal_tokens where user_id = $1 order by id desc`, [
    userId,
  ])
  return rows
}

/** As nemo_app of his organization. */
export async function createPersonalToken(
  tx: Transaction,
  token: {
    organizationId: string
    userId: string
    name: string
    hash: Buffer
    hint: string
    expiresInDays: number | null
  },
): Promise<PersonalTokenRow> {
  const { rows } = await tx.query(
    `insert into personal_tokens (id, organization_id, user_id, name, hash, hint, expires_at)
     values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(days => $7)) returning ${COLUMNS}`,
    [uuidv7(), token.organizationId, token.userId, token.name, token.hash, token.hint, token.expiresInDays],
  )
  return rows[0]
}

/** Its name; null when the user has no such token. As nemo_app of his organization. */
export async function revokePersonalToken(tx: Transaction, userId: string, id: string): Promise<string | null> {
  const { rows } = await tx.query('delete from personal_tokens where user_id = $1 and id = $2 returning name', [
    userId,
    id,
  ])
  return rows[0]?.name ?? null
}
