import { newPersonalToken, newSecret } from '@nemo/control/identity/secrets'
import { uuidv7 } from '@nemo/domain/ids'
import type { Role } from '@nemo/domain/roles'
import type { TestDatabase } from './fresh-database.ts'

/** A member of the organization, who calls by a personal token: `authorization: Bearer …`. */
export async function memberWithToken(
  { owner }: TestDatabase,
  organizationId: string,
  role: Role = 'owner',
): Promise<{ userId: string; email: string; token: string }> {
  const userId = uuidv7()
  const email = `${role}-${userId}@acme.test`
  const { secret, hash, hint } = newPersonalToken()
  await owner.query(`insert into users (id, email, name) values ($1, $2, 'Ada')`, [userId, email])
  await owner.query('insert into members (organization_id, user_id, role) values ($1, $2, $3)', [
    organizationId,
    userId,
    role,
  ])
  await owner.query(
    `insert into personal_tokens (id, organization_id, user_id, name, hash, hint) values ($1, $2, $3, 'test', $4, $5)`,
    [uuidv7(), organizationId, userId, hash, hint],
  )
  return { userId, email, token: secret }
}

/** An operator who belongs to no organization, and is signed in. */
export async function operatorWithSession({
  owner,
}: TestDatabase): Promise<{ userId: string; email: string; cookie: string }> {
  const userId = uuidv7()
  const email = `operator-${userId}@example.com`
  const { secret, hash } = newSecret()
  await owner.query(`insert into users (id, email, name, is_operator) values ($1, $2, 'Ops', true)`, [userId, email])
  await owner.query(
    `insert into sessions (id, user_id, hash, address, expires_at) values ($1, $2, $3, '', now() + interval '1 hour')`,
    [uuidv7(), userId, hash],
  )
  return { userId, email, cookie: `nemo_session=${secret}` }
}
