import type { Transaction } from './tenancy.ts'

/** Changes a user's name. As nemo_identity. */
export async function renameUser(identity: Transaction, userId: string, name: string): Promise<void> {
  await identity.query('update users set name = $2 where id = $1', [userId, name])
}
