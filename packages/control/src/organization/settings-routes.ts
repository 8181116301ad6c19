import type { organizationSettingsRoutes } from '@nemo/api/organization-settings'
import type { ResultOf } from '@nemo/api/route'
import { readRoutingSettings, writeRoutingSettings } from '@nemo/domain/routing-settings'
import {
  type OrganizationSettings,
  readOwnOrganization,
  readOwnSettings,
  type SettingsChanges,
  setOrganization,
  writtenSettings,
} from '@nemo/postgres/organizations'
import type { Handlers } from '../http/call.ts'

type Settings = ResultOf<(typeof organizationSettingsRoutes)['getOrganizationSettings']>

export const organizationSettingsHandlers: Handlers<typeof organizationSettingsRoutes> = {
  getOrganizationSettings: async ({ tenant }) => shown(await tenant(readOwnSettings)),

  updateOrganizationSettings: ({ tenant, body, audit }) =>
    tenant(async (tx) => {
      const before = await readOwnSettings(tx)
      const { id, slug } = await readOwnOrganization(tx)
      const changes: SettingsChanges = {
        strategy: body.strategy,
        uncapped: body.uncapped,
        dropUnsupported: body.drop_unsupported,
        keepResponses: body.keep_responses,
        routing: body.routing && readRoutingSettings(body.routing),
      }
      await setOrganization(tx, slug, changes)
      const after = await readOwnSettings(tx)
      const isNamed = ([name]: [string, unknown]) => changes[name as keyof SettingsChanges] !== undefined
      const named = (all: SettingsChanges) => writtenSettings(Object.fromEntries(Object.entries(all).filter(isNamed)))
      await audit(tx, {
        action: 'organization.settings_updated',
        subject: { type: 'organization', id, label: slug },
        before: named(before),
        after: named(after),
      })
      return shown(after)
    }),
}

function shown({ strategy, uncapped, dropUnsupported, keepResponses, routing }: OrganizationSettings): Settings {
  return {
    object: 'organization_settings',
    ...{ strategy, uncapped, drop_unsupported: dropUnsupported, keep_responses: keepResponses },
    routing: writeRoutingSettings(routing),
  }
}
