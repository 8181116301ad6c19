import { auditRoutes } from './audit.ts'
import { meRoutes } from './me.ts'
import type { Route } from './route.ts'
import { webhookRoutes } from './webhooks.ts'

/** Every route of the control plane, by its operation: what is here is served, documented, in the client, and walked by the tests. */
export const ROUTES = {
  ...meRoutes,
  ...auditRoutes,
  ...webhookRoutes,
} as const satisfies Record<string, Route>

export type Routes = typeof ROUTES
