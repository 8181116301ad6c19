import { forgetExpiredSignIns } from '@nemo/postgres/expired-sign-ins'
import { deleteDueOrganizations } from '@nemo/postgres/organization-deletion'
import type { Control } from './control.ts'

const HOUR_MS = 60 * 60_000

/** Deletes hourly what has had its time. Every process does; what one has deleted, another doesn't find. Answers with what stops it. */
export function keepHouse(control: Control): () => void {
  const timer = setInterval(() => control.later.run('housekeeping', () => tidy(control)), HOUR_MS).unref()
  return () => clearInterval(timer)
}

async function tidy({ identity, operator, log }: Control): Promise<void> {
  await forgetExpiredSignIns(identity)
  for (const id of await deleteDueOrganizations(operator)) log.info({ organization_id: id }, 'deleted an organization')
}
