import type { Routes } from '@nemo/api/routes'
import type { Handlers } from './http/call.ts'
import { meHandlers } from './me/routes.ts'

/** What answers each route of the table: one that is missing doesn't compile. */
export const HANDLERS: Handlers<Routes> = {
  ...meHandlers,
}
