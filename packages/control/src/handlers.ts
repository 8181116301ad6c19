import type { Routes } from '@nemo/api/routes'
import { accountHandlers } from './account/routes.ts'
import { auditHandlers } from './audit/routes.ts'
import { authHandlers } from './auth/routes.ts'
import { operatorBillingHandlers } from './billing/operator-routes.ts'
import { billingHandlers } from './billing/routes.ts'
import { federationHandlers } from './federation/routes.ts'
import type { Handlers } from './http/call.ts'
import { invitationHandlers } from './invitations/routes.ts'
import { keyHandlers } from './keys/routes.ts'
import { leakedKeyHandlers } from './leaked-keys/routes.ts'
import { limitHandlers } from './limits/routes.ts'
import { meHandlers } from './me/routes.ts'
import { memberHandlers } from './members/routes.ts'
import { operatorProviderHandlers } from './operator/credential-routes.ts'
import { operatorDeploymentHandlers } from './operator/deployment-routes.ts'
import { operatorModelHandlers } from './operator/model-routes.ts'
import { operatorHandlers } from './operator/routes.ts'
import { organizationHandlers } from './organization/routes.ts'
import { organizationSettingsHandlers } from './organization/settings-routes.ts'
import { teamHandlers } from './teams/routes.ts'
import { webhookHandlers } from './webhooks/routes.ts'

/** What answers each route of the table: one that is missing doesn't compile. */
export const HANDLERS: Handlers<Routes> = {
  ...meHandlers,
  ...federationHandlers,
  ...teamHandlers,
  ...organizationHandlers,
  ...organizationSettingsHandlers,
  ...limitHandlers,
  ...memberHandlers,
  ...invitationHandlers,
  ...authHandlers,
  ...accountHandlers,
  ...keyHandlers,
  ...leakedKeyHandlers,
  ...auditHandlers,
  ...webhookHandlers,
  ...billingHandlers,
  ...operatorHandlers,
  ...operatorProviderHandlers,
  ...operatorModelHandlers,
  ...operatorDeploymentHandlers,
  ...operatorBillingHandlers,
}
