import { accountRoutes } from './account.ts'
import { auditRoutes } from './audit.ts'
import { authRoutes } from './auth.ts'
import { billingRoutes } from './billing.ts'
import { federationRoutes } from './federation.ts'
import { invitationRoutes } from './invitations.ts'
import { keyRoutes } from './keys.ts'
import { leakedKeyRoutes } from './leaked-keys.ts'
import { limitRoutes } from './limits.ts'
import { meRoutes } from './me.ts'
import { memberRoutes } from './members.ts'
import { operatorRoutes } from './operator.ts'
import { operatorBillingRoutes } from './operator-billing.ts'
import { operatorDeploymentRoutes } from './operator-deployments.ts'
import { operatorModelRoutes } from './operator-models.ts'
import { operatorProviderRoutes } from './operator-providers.ts'
import { organizationRoutes } from './organization.ts'
import { organizationSettingsRoutes } from './organization-settings.ts'
import type { Route } from './route.ts'
import { teamRoutes } from './teams.ts'
import { webhookRoutes } from './webhooks.ts'

/** Every route of the control plane, by its operation: what is here is served, documented, in the client, and walked by the tests. */
export const ROUTES = {
  ...authRoutes,
  ...federationRoutes,
  ...meRoutes,
  ...accountRoutes,
  ...organizationRoutes,
  ...organizationSettingsRoutes,
  ...teamRoutes,
  ...limitRoutes,
  ...memberRoutes,
  ...invitationRoutes,
  ...keyRoutes,
  ...leakedKeyRoutes,
  ...auditRoutes,
  ...webhookRoutes,
  ...billingRoutes,
  ...operatorRoutes,
  ...operatorProviderRoutes,
  ...operatorModelRoutes,
  ...operatorDeploymentRoutes,
  ...operatorBillingRoutes,
} as const satisfies Record<string, Route>

export type Routes = typeof ROUTES
