import type { limitRoutes } from '@nemo/api/limits'
import { readOwnOrganization } from '@nemo/postgres/organizations'
import { lockTeam } from '@nemo/postgres/teams'
import type { Transaction } from '@nemo/postgres/tenancy'
import { type LimitSubject, readLimits } from '@nemo/postgres/tenant-limits'
import type { Call, Handlers } from '../http/call.ts'
import { notFound } from '../http/errors.ts'
import { type Limits, setLimits, shownLimits, writtenBounds } from './named.ts'

export const limitHandlers: Handlers<typeof limitRoutes> = {
  getOrganizationLimits: ({ tenant, actor }) => tenant(async (tx) => shown(tx, ofOrganization(actor))),

  updateOrganizationLimits: ({ tenant, actor, body, audit }) =>
    tenant(async (tx) => {
      const { slug } = await readOwnOrganization(tx)
      return change(tx, audit, { ...ofOrganization(actor), label: slug }, body)
    }),

  getTeamLimits: ({ tenant, actor, params }) =>
    tenant(async (tx) => shown(tx, { subject: 'team', id: (await team(tx, params.id)).id, ...within(actor) })),

  updateTeamLimits: ({ tenant, actor, params, body, audit }) =>
    tenant(async (tx) => {
      const { id, name } = await team(tx, params.id)
      return change(tx, audit, { subject: 'team', id, ...within(actor), label: name }, body)
    }),
}

type Within = Pick<LimitSubject, 'organizationId'>

function within({ organizationId }: Within): Within {
  return { organizationId }
}

function ofOrganization({ organizationId }: Within): LimitSubject {
  return { subject: 'organization', id: organizationId, organizationId }
}

async function team(tx: Transaction, id: string) {
  const found = await lockTeam(tx, id)
  if (!found) throw notFound('team')
  return found
}

async function change(
  tx: Transaction,
  audit: Call<(typeof limitRoutes)['updateTeamLimits']>['audit'],
  subject: LimitSubject & { readonly label: string },
  limits: Limits,
) {
  const before = writtenBounds(await readLimits(tx, subject))
  await setLimits(tx, subject, limits)
  const standing = await readLimits(tx, subject)
  const after = writtenBounds(standing)
  if (JSON.stringify(before) !== JSON.stringify(after)) {
    const { subject: type, id, label } = subject
    await audit(tx, { action: `${type}.limits_changed`, subject: { type, id, label }, before, after })
  }
  return { object: 'limits' as const, ...shownLimits(standing) }
}

async function shown(tx: Transaction, subject: LimitSubject) {
  return { object: 'limits' as const, ...shownLimits(await readLimits(tx, subject)) }
}
