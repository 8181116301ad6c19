import { forgetExpiredSignIns } from '@nemo/postgres/expired-sign-ins'
import { deleteDueOrganizations } from '@nemo/postgres/organization-deletion'
import type { Control } from './control.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Deletes what has had its time, a minute after the start and hourly then. Every process does; what one has deleted, another doesn't find. Answers with what stops it. */
export function keepHouse(control: Control): () => void {
  const run = () => control.later.run('housekeeping', () => tidy(control))
  // Where processes are replaced more often than hourly, too.
  const first = setTimeout(run, MINUTE_MS).unref()
  const timer = setInterval(run, HOUR_MS).unref()
  return () => {
    clearTimeout(first)
    clearInterval(timer)
  }
}

export async function tidy({ identity, operator, log }: Pick<Control, 'identity' | 'operator' | 'log'>): Promise<void> {
  await forgetExpiredSignIns(identity)
  const deleted = await deleteDueOrganizations(operator, (err, id) =>
    log.error({ err, organization_id: id }, 'an organization could not be deleted'),
  )
  for (const id of deleted) log.info({ organization_id: id }, 'deleted an organization')
}
