import type { auditRoutes } from '@nemo/api/audit'
import { pageOf } from '@nemo/api/page'
import { type ExportFormat, writeAuditExport } from '@nemo/domain/audit-export'
import { type AuditFilter, exportAudit, listAudit } from '@nemo/postgres/audit'
import type { Call, Handlers } from '../http/call.ts'

export const auditHandlers: Handlers<typeof auditRoutes> = {
  listAudit: async ({ query, tenant }) => {
    const { limit, after } = query
    const entries = await tenant((tx) => listAudit(tx, filterOf(query), { limit: limit + 1, ...(after && { after }) }))
    return pageOf(
      entries.map((entry) => ({ object: 'audit_entry' as const, ...entry })),
      limit,
    )
  },
  exportAuditJson: (call) => exported(call, 'json'),
  exportAuditCsv: (call) => exported(call, 'csv'),
}

type Exporting = Pick<Call<(typeof auditRoutes)['exportAuditJson']>, 'query' | 'tenant' | 'audit' | 'actor'>

/** That somebody took the log with him is in the log. */
async function exported({ query, tenant, audit, actor }: Exporting, format: ExportFormat) {
  const filter = filterOf(query)
  await tenant((tx) =>
    audit(tx, {
      action: 'audit.exported',
      subject: { type: 'organization', id: actor.organizationId },
      after: { format, ...filter },
    }),
  )
  const day = new Date().toISOString().slice(0, 10)
  return { content: writeAuditExport(exportAudit(tenant, filter), format), filename: `audit-${day}.${format}` }
}

function filterOf({
  actor,
  action,
  subject,
  from,
  to,
}: { [K in keyof AuditFilter]: AuditFilter[K] | undefined }): AuditFilter {
  return {
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(subject !== undefined && { subject }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  }
}
