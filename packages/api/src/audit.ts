import { z } from 'zod'
import { route } from './route.ts'
import { id, listOf, listQuery } from './schema.ts'

const auditEntry = z.object({
  id,
  object: z.literal('audit_entry'),
  organization_id: id.nullable(),
  sequence: z.number().int().meta({ description: 'From 1 on without a gap' }),
  at: z.string().meta({ description: 'ISO 8601, UTC, milliseconds' }),
  actor: z.object({
    kind: z.enum(['user', 'token', 'operator', 'system']),
    id: z.string().nullable(),
    label: z.string().nullable(),
  }),
  address: z.string().nullable(),
  action: z.string(),
  subject: z.object({ type: z.string(), id: z.string().nullable(), label: z.string().nullable() }),
  before: z.unknown().meta({ description: 'What changed, as it was; null for nothing' }),
  after: z.unknown().meta({ description: 'What changed, as it is' }),
  previous_hash: z.string(),
  hash: z.string(),
})

const word = z.string().trim().min(1).max(320)
const moment = z.iso
  .datetime({ offset: true })
  .or(z.iso.date())
  .transform((text) => new Date(text))

const filter = z.object({
  actor: word.optional().meta({ description: 'An id, an e-mail address, or user, token, operator, system' }),
  action: word.optional().meta({ description: 'An action, or several with a * at the end: key.*' }),
  subject: word.optional().meta({ description: 'The id or the kind of what it was done to' }),
  from: moment.optional().meta({ description: 'Since then, that moment included' }),
  to: moment.optional().meta({ description: 'Until then, that moment excluded' }),
})

const access = { permission: 'audit:read' } as const

export const auditRoutes = {
  listAudit: route({
    method: 'GET',
    path: '/api/audit',
    access,
    summary: 'Who did what, newest first',
    query: listQuery.extend(filter.shape),
    response: listOf(auditEntry),
  }),
  exportAuditJson: route({
    method: 'GET',
    path: '/api/audit/export.json',
    access,
    summary: 'The audit log as a file of JSON, oldest first',
    description:
      'An array with an entry on each line. Without filters its hash chain can be verified by itself: `nemo audit verify --file`.',
    query: filter,
    response: 'application/json',
  }),
  exportAuditCsv: route({
    method: 'GET',
    path: '/api/audit/export.csv',
    access,
    summary: 'The audit log as a file for spreadsheets, oldest first',
    query: filter,
    response: 'text/csv',
  }),
}
