import {
  type ActorKind,
  type AuditEntry,
  type AuditFault,
  type AuditLink,
  CHAIN_BEGIN,
  faultOf,
} from '@nemo/domain/audit-entry'
import { canonicalJson } from '@nemo/domain/canonical-json'
import { uuidv7 } from '@nemo/domain/ids'
import { maskSecrets, maskText } from '@nemo/domain/mask-secrets'
import type pg from 'pg'
import type { Transaction } from './tenancy.ts'
import { emitEvent } from './webhook-events.ts'

/** Who did it. Of a `token` the id is that of the user whose it is. */
export interface Actor {
  readonly kind: ActorKind
  readonly id: string | null
  /** How people read it: an e-mail address, a command. */
  readonly label?: string | null
}

export interface NewAuditEntry {
  /** Null for what the operator does to no organization: a provider, the catalogue. */
  readonly organizationId: string | null
  readonly actor: Actor
  /** Where the request came from; null for commands and what happens by itself. */
  readonly address: string | null
  /** `noun.verb`: `key.created`, `member.role_changed`. */
  readonly action: string
  readonly subject: { readonly type: string; readonly id: string | null; readonly label?: string | null }
  /** What changed, in the fields that changed. Secrets are masked here, whatever is passed. */
  readonly before?: unknown
  readonly after?: unknown
}

/**
 * Writes an entry into the audit log, in the transaction of what it tells of, and to the webhooks that want it as `audit.<action>`. The entry takes its place in
 * the organization's chain, which stays locked until the transaction ends: append last, so that others wait briefly. As nemo_app of the
 * organization, or as the operator.
 */
export async function appendAudit(tx: Transaction, entry: NewAuditEntry): Promise<AuditEntry> {
  const { rows } = await tx.query(
    `insert into audit_log (id, organization_id, actor_kind, actor_id, actor_label, address, action, subject_type, subject_id, subject_label, before, after)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning ${COLUMNS}`,
    [
      uuidv7(),
      entry.organizationId,
      entry.actor.kind,
      text(entry.actor.id, 200),
      text(entry.actor.label, 320),
      text(entry.address, 100),
      entry.action,
      entry.subject.type,
      text(entry.subject.id, 200),
      text(entry.subject.label, 320),
      json(entry.before),
      json(entry.after),
    ],
  )
  const written = readEntry(rows[0])
  if (entry.organizationId !== null) {
    await emitEvent(tx, { organizationId: entry.organizationId, type: `audit.${entry.action}`, data: written })
  }
  return written
}

function text(value: string | null | undefined, lengthMax: number): string | null {
  return value == null ? null : maskText(value).slice(0, lengthMax).toWellFormed()
}

function json(value: unknown): string | null {
  return value === undefined || value === null ? null : canonicalJson(maskSecrets(value))
}

/** As text where a type of the driver would lose something: times their milliseconds, JSON its bytes. */
const COLUMNS = `id, organization_id, sequence::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at_text, actor_kind, actor_id, actor_label,
  address, action, subject_type, subject_id, subject_label, before::text, after::text, previous_hash, hash`

function readEntry(row: Record<string, string | null>): AuditEntry {
  const at = row.at_text!
  return {
    id: row.id!,
    organization_id: row.organization_id!,
    sequence: Number(row.sequence),
    // An entry is written to the millisecond; what somebody made finer stays so, and shows.
    at: at.endsWith('000Z') ? `${at.slice(0, -4)}Z` : at,
    actor: { kind: row.actor_kind as ActorKind, id: row.actor_id!, label: row.actor_label! },
    address: row.address!,
    action: row.action!,
    subject: { type: row.subject_type!, id: row.subject_id!, label: row.subject_label! },
    before: row.before == null ? null : JSON.parse(row.before),
    after: row.after == null ? null : JSON.parse(row.after),
    previous_hash: row.previous_hash!,
    hash: row.hash!,
  }
}

export interface AuditFilter {
  /** Undefined: of every chain. Null: of the operator's own. As a tenant the row security shows only its own anyway. */
  readonly organizationId?: string | null
  readonly actor?: string
  /** A whole action, or what it begins with when it ends with `*`. */
  readonly action?: string
  /** The id of a subject, or its type. */
  readonly subject?: string
  readonly from?: Date
  readonly to?: Date
}

/** A page of entries, newest first: those older than the entry `after`, when it is named. */
export async function listAudit(
  db: Transaction,
  filter: AuditFilter,
  page: { readonly limit: number; readonly after?: string },
): Promise<AuditEntry[]> {
  const { where, values } = conditions(filter)
  const limit = values.push(page.limit)
  const after =
    page.after === undefined
      ? ''
      : ` and (at, audit_log.sequence, id) < (select at, a.sequence, id from audit_log a where id = $${values.push(page.after)})`
  const { rows } = await db.query(
    `select ${COLUMNS} from audit_log where ${where}${after} order by at desc, audit_log.sequence desc, id desc limit $${limit}`,
    values,
  )
  return rows.map(readEntry)
}

/**
 * All of them, oldest first, in batches, each read by `run`: an export never fills the memory, and a slow reader holds no connection. Nothing is
 * changed meanwhile, for nothing ever is; what is appended meanwhile may come too.
 */
export async function* exportAudit(
  run: <T>(act: (db: Transaction) => Promise<T>) => Promise<T>,
  filter: AuditFilter,
): AsyncGenerator<AuditEntry[]> {
  const { where, values } = conditions(filter)
  const [after, limit] = [values.length + 1, values.length + 2]
  let last: string | null = null
  for (;;) {
    const entries: AuditEntry[] = await run(async (db) => {
      const { rows } = await db.query(
        `select ${COLUMNS} from audit_log
          where ${where} and ($${after}::uuid is null or (at, audit_log.sequence, id) > (select at, a.sequence, id from audit_log a where id = $${after}))
          order by at, audit_log.sequence, id limit $${limit}`,
        [...values, last, BATCH],
      )
      return rows.map(readEntry)
    })
    if (entries.length > 0) yield entries
    if (entries.length < BATCH) return
    last = entries.at(-1)!.id
  }
}

const BATCH = 500

function conditions(filter: AuditFilter): { where: string; values: unknown[] } {
  const values: unknown[] = []
  const all = ['true']
  const add = (sql: (place: string) => string, value: unknown) => {
    if (value !== undefined) all.push(sql(`$${values.push(value)}`))
  }
  if (filter.organizationId === null) all.push('organization_id is null')
  else add((p) => `organization_id = ${p}`, filter.organizationId)
  add((p) => `(actor_id = ${p} or actor_label = ${p} or actor_kind = ${p})`, filter.actor)
  if (filter.action?.endsWith('*')) add((p) => `starts_with(action, ${p})`, filter.action.slice(0, -1))
  else add((p) => `action = ${p}`, filter.action)
  add((p) => `(subject_id = ${p} or subject_type = ${p})`, filter.subject)
  add((p) => `at >= ${p}`, filter.from)
  add((p) => `at < ${p}`, filter.to)
  return { where: all.join(' and '), values }
}

export interface AuditProof {
  readonly organizationId: string | null
  readonly slug: string | null
  readonly entries: number
  /** Of the last entry: what to keep elsewhere, since whoever can rewrite everything can also rewrite the whole chain. */
  readonly hash: string
  readonly fault: AuditFault | null
  /** Whether one of the entries has the hash that was asked for. */
  readonly hasAnchor: boolean
}

/**
 * Goes through the chains from their beginnings in one snapshot, computing every hash again, and says where each breaks first. Of one
 * organization, or of all and the operator's own. As the operator.
 */
export async function verifyAudit(
  operator: pg.Pool,
  {
    organizationId,
    anchor,
    onProgress,
  }: { organizationId?: string; anchor?: string; onProgress?: (entries: number) => void } = {},
): Promise<AuditProof[]> {
  const client = await operator.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const { rows } = await client.query(
      `select c.organization_id, o.slug, h.sequence::text as head, h.hash
         from (select organization_id from audit_heads union select organization_id from audit_log) c
         left join audit_heads h on h.organization_id is not distinct from c.organization_id
         left join organizations o on o.id = c.organization_id
        where $1::uuid is null or c.organization_id = $1 order by o.slug nulls first`,
      [organizationId ?? null],
    )
    const proofs: AuditProof[] = []
    let seen = 0
    for (const { organization_id, slug, head, hash } of rows) {
      const end = head === null ? null : { sequence: Number(head), hash }
      const proof = await verifyChain(client, organization_id, end, anchor, (count) => onProgress?.(seen + count))
      seen += proof.entries
      proofs.push({ organizationId: organization_id, slug, ...proof })
    }
    await client.query('commit')
    return proofs
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

async function verifyChain(
  tx: Transaction,
  organizationId: string | null,
  end: AuditLink | null,
  anchor: string | undefined,
  onProgress: (entries: number) => void,
): Promise<Pick<AuditProof, 'entries' | 'hash' | 'fault' | 'hasAnchor'>> {
  let last = CHAIN_BEGIN
  let hasAnchor = false
  const found = (fault: AuditFault | null) => ({ entries: last.sequence, hash: last.hash, fault, hasAnchor })
  for (;;) {
    const { rows } = await tx.query(
      `select ${COLUMNS} from audit_log where organization_id is not distinct from $1 and sequence > $2
        order by audit_log.sequence limit $3`,
      [organizationId, last.sequence, BATCH],
    )
    for (const row of rows) {
      const entry = readEntry(row)
      const fault = faultOf(last, entry)
      if (fault) return found(fault)
      last = entry
      hasAnchor ||= entry.hash === anchor
    }
    onProgress(last.sequence)
    if (rows.length < BATCH) break
  }
  return found(faultAtEnd(last, end))
}

/** What cutting off the end of a chain shows by. */
function faultAtEnd(last: AuditLink, end: AuditLink | null): AuditFault | null {
  const next = last.sequence + 1
  if (end === null) return { sequence: next, id: null, what: `nobody knows whether there was an entry ${next}` }
  if (end.sequence > last.sequence)
    return { sequence: next, id: null, what: `entry ${next} is missing, and all after it` }
  if (end.sequence === last.sequence && end.hash === last.hash) return null
  return { sequence: last.sequence, id: null, what: `entry ${last.sequence} isn’t the one that was last written` }
}
