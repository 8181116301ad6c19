import type pg from 'pg'
import { appendAudit } from './audit.ts'
import { inTransaction, type Transaction } from './tenancy.ts'

const DAYS = 30

/** Has it deleted in thirty days; its keys stop at once. As nemo_app of the organization. */
export async function closeOrganization(tx: Transaction): Promise<void> {
  await tx.query(
    `update organizations set delete_after = clock_timestamp() + make_interval(days => $1)
      where id = current_organization() and delete_after is null`,
    [DAYS],
  )
}

/** Takes that back: false where its time has come, and the deletion may have begun. As nemo_app of the organization. */
export async function reopenOrganization(tx: Transaction): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update organizations set delete_after = null
      where id = current_organization() and (delete_after is null or delete_after > clock_timestamp())`,
  )
  return rowCount === 1
}

/**
 * Deletes what is personal of the organizations whose time has come, and their members' accounts, and answers with their ids. What is kept: ledger entries,
 * invoices and the audit log, which law and accounting ask for, and request logs without names. Begun again, it goes on. As the operator.
 */
export async function deleteDueOrganizations(
  operator: pg.Pool,
  onError: (err: unknown, organizationId: string) => void = rethrow,
): Promise<string[]> {
  const { rows } = await operator.query(
    'select id from organizations where delete_after <= clock_timestamp() and deleted_at is null order by id',
  )
  const deleted: string[] = []
  // One that can't be deleted keeps no other.
  for (const { id } of rows)
    if (await deleteOrganization(operator, id).catch((err) => onError(err, id))) deleted.push(id)
  return deleted
}

function rethrow(err: unknown): never {
  throw err
}

async function deleteOrganization(operator: pg.Pool, id: string): Promise<boolean> {
  await eraseCallers(operator, id)
  return inTransaction(operator, async (tx) => {
    await tx.query('set local statement_timeout = 0')
    const { rowCount } = await tx.query(
      `update organizations set deleted_at = clock_timestamp(), name = 'Deleted', slug = 'deleted-' || replace(id::text, '-', '')
        where id = $1 and delete_after <= clock_timestamp() and deleted_at is null`,
      [id],
    )
    if (rowCount !== 1) return false
    const { rows } = await tx.query('delete from members where organization_id = $1 returning user_id', [id])
    await tx.query('delete from invitations where organization_id = $1', [id])
    await tx.query(
      `update virtual_keys set revoked_at = coalesce(revoked_at, clock_timestamp()), alias = id::text, allowed_networks = null where organization_id = $1`,
      [id],
    )
    await tx.query(`update teams set name = id::text where organization_id = $1 and name <> 'Default'`, [id])
    await tx.query(`delete from limits where organization_id = $1 and subject = 'consumer'`, [id])
    await tx.query('delete from kept_responses where organization_id = $1', [id])
    await tx.query('delete from sso_connections where organization_id = $1', [id])
    await tx.query('delete from webhook_endpoints where organization_id = $1', [id])
    await tx.query('delete from webhook_events where organization_id = $1', [id])
    await tx.query('delete from saved_cards where organization_id = $1', [id])
    // Invoices have what they were written with.
    await tx.query(
      `update billing_accounts set company = '', address = '', tax_id = '', email = null, default_card_id = null, top_up_enabled = false where organization_id = $1`,
      [id],
    )
    await tx.query('delete from users where id = any ($1) and not is_operator', [rows.map(({ user_id }) => user_id)])
    await appendAudit(tx, {
      organizationId: id,
      actor: { kind: 'system', id: null, label: 'deletion' },
      address: null,
      action: 'organization.deleted',
      subject: { type: 'organization', id },
    })
    return true
  })
}

async function eraseCallers(operator: pg.Pool, id: string): Promise<void> {
  let last: { at: string | null; id: string | null } = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' }
  while (last.at !== null) {
    const erased = await operator.query('select last_at::text as at, last_id as id from erase_callers($1, $2, $3)', [
      id,
      last.at,
      last.id,
    ])
    last = erased.rows[0]
  }
}
