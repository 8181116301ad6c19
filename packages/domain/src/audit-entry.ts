import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from './canonical-json.ts'

/** An entry of the audit log as it is hashed, exported and sent to webhooks. */
export interface AuditEntry {
  readonly id: string
  /** Null: one of the operator's own. */
  readonly organization_id: string | null
  /** From 1 on without a gap, in each organization. */
  readonly sequence: number
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string
  readonly actor: { readonly kind: string; readonly id: string | null; readonly label: string | null }
  readonly address: string | null
  readonly action: string
  readonly subject: { readonly type: string; readonly id: string | null; readonly label: string | null }
  readonly before: Json
  readonly after: Json
  readonly previous_hash: string
  readonly hash: string
}

/** What the first entry of a chain follows. */
export const FIRST_PREVIOUS_HASH = '0'.repeat(64)

/** SHA-256, in hexadecimal, of the canonical JSON (RFC 8785) of everything in the entry but this hash. The database's chain_audit_entry computes the same. */
export function hashOfAuditEntry({ hash: _, ...entry }: AuditEntry): string {
  return createHash('sha256')
    .update(canonicalJson(entry as unknown as Json))
    .digest('hex')
}
