import { findOrganization, listOrganizations, type OrganizationRow } from '@nemo/postgres/organizations'
import type pg from 'pg'
import { Failure, WrongUsage } from '../failure.ts'
import { ownName } from '../own-name.ts'

/** The organization that the option names, by slug or id; without it the only one there is. Throws when that is none or several. */
export async function whichOrganization(operator: pg.Pool, named: string | undefined): Promise<OrganizationRow> {
  if (named !== undefined) {
    const organization = await findOrganization(operator, named)
    if (organization) return organization
    throw new Failure(`There is no organization "${named}". "${ownName()} organization list" shows them.`)
  }
  const all = await listOrganizations(operator)
  if (all.length === 1) return all[0]!
  if (all.length === 0) {
    throw new Failure(`There is no organization yet: make one with "${ownName()} organization create <slug>".`)
  }
  const slugs = all.slice(0, 5).map((organization) => organization.slug)
  throw new WrongUsage(
    `There are ${all.length} organizations: say which with --organization (${slugs.join(', ')}${all.length > 5 ? ', …' : ''}).`,
  )
}
