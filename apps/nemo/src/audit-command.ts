import { hostname, userInfo } from 'node:os'
import { appendAudit, type NewAuditEntry } from '@nemo/postgres/audit'
import { inTransaction } from '@nemo/postgres/tenancy'
import type pg from 'pg'

/** Writes what a command has done into the audit log, of the organization that it was done to or of the operator's own. */
export async function auditCommand(
  operator: pg.Pool,
  entry: Pick<NewAuditEntry, 'action' | 'subject' | 'before' | 'after'> & { organizationId?: string },
): Promise<void> {
  await inTransaction(operator, (tx) =>
    appendAudit(tx, {
      organizationId: null,
      actor: { kind: 'operator', id: null, label: whoRunsThis() },
      address: null,
      ...entry,
    }),
  )
}

function whoRunsThis(): string {
  return `${userName()}@${hostname()} by command`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container's user may have no name.
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
