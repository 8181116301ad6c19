import type pg from 'pg'
import { withOrganization } from './tenancy.ts'

/** The items of the conversation up to a response; null when the organization has kept none by that id. */
export async function findKeptResponse(app: pg.Pool, organizationId: string, id: string): Promise<unknown[] | null> {
  return withOrganization(app, organizationId, async (tx) => {
    const { rows } = await tx.query('select items from kept_responses where id = $1 and expires_at > now()', [id])
    return rows[0]?.items ?? null
  })
}

/** Keeps the items of a conversation for 30 days. */
export async function keepResponse(
  app: pg.Pool,
  organizationId: string,
  id: string,
  items: readonly unknown[],
): Promise<void> {
  await withOrganization(app, organizationId, (tx) =>
    tx.query('insert into kept_responses (organization_id, id, items) values ($1, $2, $3) on conflict do nothing', [
      organizationId,
      id,
      JSON.stringify(items),
    ]),
  )
}

/** Deletes what has been kept for long enough. As the operator. */
export async function forgetOldResponses(operator: Pick<pg.Pool, 'query'>): Promise<void> {
  await operator.query('delete from kept_responses where expires_at <= now()')
}
