import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from './canonical-json.ts'

/** Of a `token` the user is whose it is; `system` is Nemo itself. */
export type ActorKind = 'user' | 'token' | 'operator' | 'system'

/** An entry of the audit log as it is hashed, exported and sent to webhooks. */
export interface AuditEntry {
  readonly id: string
  /** Null: one of the operator's own. */
  readonly organization_id: string | null
  /** From 1 on without a gap, in each organization. */
  readonly sequence: number
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string
  readonly actor: { readonly kind: ActorKind; readonly id: string | null; readonly label: string | null }
  readonly address: string | null
  readonly action: string
  readonly subject: { readonly type: string; readonly id: string | null; readonly label: string | null }
  readonly before: Json
  readonly after: Json
  readonly previous_hash: string
  readonly hash: string
}

/** What the first entry of a chain follows. */
const FIRST_PREVIOUS_HASH = '0'.repeat(64)

/** SHA-256, in hexadecimal, of the canonical JSON (RFC 8785) of everything in the entry but this hash. The database's chain_audit_entry computes the same. */
export function hashOfAuditEntry({ hash: _, ...entry }: AuditEntry): string {
  return createHash('sha256')
    .update(canonicalJson(entry as unknown as Json))
    .digest('hex')
}

/** Where a chain is: at its beginning, or at an entry of it. */
export interface AuditLink {
  readonly sequence: number
  readonly hash: string
}

export const CHAIN_BEGIN: AuditLink = { sequence: 0, hash: FIRST_PREVIOUS_HASH }

/** What is wrong with a chain, at the first entry that is. */
export interface AuditFault {
  readonly sequence: number
  /** Of the entry, where there is one. */
  readonly id: string | null
  readonly what: string
}

/** Whether an entry is the next of its chain, unchanged; null when it is. */
export function faultOf(last: AuditLink, entry: AuditEntry): AuditFault | null {
  const sequence = last.sequence + 1
  if (entry.sequence !== sequence) return { sequence, id: null, what: `entry ${sequence} is missing` }
  if (hashOfAuditEntry(entry) !== entry.hash) return { sequence, id: entry.id, what: `entry ${sequence} was changed` }
  if (entry.previous_hash !== last.hash)
    return { sequence, id: entry.id, what: `entry ${sequence} doesn’t follow the one before it` }
  return null
}
