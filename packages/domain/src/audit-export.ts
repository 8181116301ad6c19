import type { AuditEntry } from './audit-entry.ts'
import { canonicalJson } from './canonical-json.ts'
import { csvLine } from './csv.ts'

export const EXPORT_FORMATS = ['json', 'csv'] as const

export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** Writes entries out as they come. JSON is an array with an entry on each line, from which the chain can be verified; CSV is for spreadsheets. */
export async function* writeAuditExport(
  batches: AsyncIterable<readonly AuditEntry[]>,
  format: ExportFormat,
): AsyncGenerator<string> {
  if (format === 'csv') {
    yield csvLine(COLUMNS)
    for await (const batch of batches) yield batch.map((entry) => csvLine(cellsOf(entry))).join('')
    return
  }
  let before = '[\n'
  for await (const batch of batches) {
    yield before + batch.map((entry) => JSON.stringify(entry)).join(',\n')
    before = ',\n'
  }
  yield before === '[\n' ? '[]\n' : '\n]\n'
}

const COLUMNS = [
  ...[
    'sequence',
    'at',
    'action',
    'actor_kind',
    'actor_id',
    'actor_label',
    'address',
    'subject_type',
    'subject_id',
    'subject_label',
  ],
  ...['before', 'after', 'id', 'organization_id', 'previous_hash', 'hash'],
]

function cellsOf({ actor, subject, ...entry }: AuditEntry): (string | number | null)[] {
  return [
    ...[
      entry.sequence,
      entry.at,
      entry.action,
      actor.kind,
      actor.id,
      actor.label,
      entry.address,
      subject.type,
      subject.id,
      subject.label,
    ],
    entry.before === null ? null : canonicalJson(entry.before),
    entry.after === null ? null : canonicalJson(entry.after),
    ...[entry.id, entry.organization_id, entry.previous_hash, entry.hash],
  ]
}
