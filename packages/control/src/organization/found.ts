import { parseUsd } from '@nemo/domain/money'
import { appendAudit } from '@nemo/postgres/audit'
import { addMember } from '@nemo/postgres/members'
import { foundOrganization, postEntry } from '@nemo/postgres/organizations'
import { readPlatformSettings } from '@nemo/postgres/platform-settings'
import type { Transaction } from '@nemo/postgres/tenancy'
import { claimSignUpGrant } from '@nemo/postgres/users'
import { hasOrganization } from '../http/errors.ts'
import type { Person } from '../identity/audit-account.ts'

/**
 * Founds an organization that the person owns, with a Default team, and with the operator's grant where he hasn't had one: all of it or, for who belongs to one already,
 * nothing (409). As the operator. Answers with its id.
 */
export async function foundFor(operator: Transaction, person: Person, name: string): Promise<string> {
  const { id: organizationId, slug } = await foundOrganization(operator, name)
  if (!(await addMember(operator, organizationId, person.id, 'owner'))) throw hasOrganization()
  const amountNanos = parseUsd((await readPlatformSettings(operator)).sign_up_grant)
  if (amountNanos > 0n && (await claimSignUpGrant(operator, person.id))) {
    await postEntry(operator, {
      organizationId,
      kind: 'grant',
      amountNanos,
      reference: 'sign-up',
      note: 'Credits to begin with',
    })
  }
  await appendAudit(operator, {
    organizationId,
    actor: { kind: 'user', id: person.id, label: person.email },
    address: person.address,
    action: 'organization.created',
    subject: { type: 'organization', id: organizationId, label: slug },
    after: { name, slug },
  })
  return organizationId
}
