import type pg from 'pg'

/** A connection inside a transaction. */
export type Transaction = Pick<pg.PoolClient, 'query'>

/**
 * The only door to tenants' tables: runs `act` in a transaction of `nemo_app` in which row-level security shows nothing but the
 * one organization. The setting is local to the transaction, so a pooled connection carries nothing over.
 */
export async function withOrganization<T>(
  pool: pg.Pool,
  organizationId: string,
  act: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return inTransaction(pool, async (tx) => {
    await tx.query(`select set_config('app.organization_id', $1, true)`, [organizationId])
    return act(tx)
  })
}

/** Runs `act` in one transaction: commits when it returns, rolls back when it throws. */
export async function inTransaction<T>(pool: pg.Pool, act: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('begin')
    const result = await act(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
  }
}
