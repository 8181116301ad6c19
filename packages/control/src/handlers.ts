import type { Routes } from '@nemo/api/routes'
import { auditHandlers } from './audit/routes.ts'
import type { Handlers } from './http/call.ts'
import { meHandlers } from './me/routes.ts'
import { webhookHandlers } from './webhooks/routes.ts'

/** What answers each route of the table: one that is missing doesn't compile. */
export const HANDLERS: Handlers<Routes> = {
  ...meHandlers,
  ...auditHandlers,
  ...webhookHandlers,
}
