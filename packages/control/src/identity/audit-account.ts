import { appendAudit } from '@nemo/postgres/audit'
import { organizationOf } from '@nemo/postgres/members'
import type { Transaction } from '@nemo/postgres/tenancy'

/** Somebody, and where he calls from. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly address: string
}

/** Writes what somebody did with his account into the audit log of his organization. Who belongs to none is in nobody's. As nemo_identity or the operator. */
export async function auditAccount(
  tx: Transaction,
  person: Person,
  action: string,
  more: { before?: unknown; after?: unknown } = {},
): Promise<void> {
  const organizationId = await organizationOf(tx, person.id)
  if (organizationId === null) return
  await appendAudit(tx, {
    organizationId,
    actor: { kind: 'user', id: person.id, label: person.email },
    address: person.address,
    action,
    subject: { type: 'user', id: person.id, label: person.email },
    ...more,
  })
}
