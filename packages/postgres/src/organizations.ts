import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import type { Nanos } from '@nemo/domain/money'
import {
  type RoutingSettings,
  readRoutingSettings,
  type Strategy,
  writeRoutingSettings,
} from '@nemo/domain/routing-settings'
import type pg from 'pg'
import { refuseUnknownNames } from './routing-names.ts'
import { inTransaction, type Transaction } from './tenancy.ts'

export interface Organization {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly defaultTeamId: string
}

/** Creates an organization with its Default team and an empty credit balance. Throws on a slug that is taken. As the operator. */
export async function createOrganization(operator: pg.Pool, name: string, slug: string): Promise<Organization> {
  return inTransaction(operator, async (tx) => (await insertOrganization(tx, name, slug))!)
}

/** The same in a transaction, with a slug made of the name; with a random end where that is taken. As the operator. */
export async function foundOrganization(operator: Transaction, name: string): Promise<Organization> {
  const wanted = slugOf(name)
  const founded = await insertOrganization(operator, name, wanted, 'on conflict (slug) do nothing')
  return founded ?? (await insertOrganization(operator, name, `${wanted}-${randomBytes(5).toString('hex')}`))!
}

function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return plain.slice(0, 40) || 'organization'
}

async function insertOrganization(
  tx: Transaction,
  name: string,
  slug: string,
  whenTaken: '' | 'on conflict (slug) do nothing' = '',
): Promise<Organization | null> {
  const organization = { id: uuidv7(), name, slug, defaultTeamId: uuidv7() }
  const { rowCount } = await tx.query(`insert into organizations (id, name, slug) values ($1, $2, $3) ${whenTaken}`, [
    organization.id,
    name,
    slug,
  ])
  if (rowCount !== 1) return null
  await tx.query(`insert into teams (id, organization_id, name) values ($1, $2, 'Default')`, [
    organization.defaultTeamId,
    organization.id,
  ])
  await tx.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
     values ($1, $2, 'organization', $2, 'cost', 'lifetime', 0)`,
    [uuidv7(), organization.id],
  )
  return organization
}

const SELECT = `
  select o.id, o.name, o.slug, o.created_at, t.id as default_team_id, balance_of(o.id) as balance_nanos
    from organizations o join teams t on t.organization_id = o.id and t.name = 'Default'`

export interface OrganizationRow extends Organization {
  readonly createdAt: Date
  readonly balanceNanos: Nanos
}

export async function listOrganizations(operator: Pick<pg.Pool, 'query'>): Promise<OrganizationRow[]> {
  return (await operator.query(`${SELECT} order by o.created_at`)).rows.map(read)
}

/** Finds by slug or by id; null when there is none. */
export async function findOrganization(
  operator: Pick<pg.Pool, 'query'>,
  slugOrId: string,
): Promise<OrganizationRow | null> {
  const { rows } = await operator.query(`${SELECT} where o.slug = $1 or o.id::text = $1`, [slugOrId])
  return rows[0] ? read(rows[0]) : null
}

function read(row: Record<string, never>): OrganizationRow {
  return {
    id: row.id!,
    name: row.name!,
    slug: row.slug!,
    defaultTeamId: row.default_team_id!,
    createdAt: row.created_at!,
    balanceNanos: row.balance_nanos!,
  }
}

/** How an organization wants its calls treated. */
export interface OrganizationSettings {
  readonly uncapped: 'clamp' | 'refuse'
  readonly strategy: Strategy
  readonly dropUnsupported: boolean
  readonly keepResponses: boolean
  /** Replaced as a whole. */
  readonly routing: RoutingSettings
}

/** What is left out stays as it is. */
export type SettingsChanges = { readonly [name in keyof OrganizationSettings]?: OrganizationSettings[name] | undefined }

/** Settings as the API and the audit log have them. */
export function writtenSettings({ dropUnsupported, keepResponses, routing, ...rest }: SettingsChanges): object {
  return {
    ...rest,
    ...(dropUnsupported !== undefined && { drop_unsupported: dropUnsupported }),
    ...(keepResponses !== undefined && { keep_responses: keepResponses }),
    ...(routing !== undefined && { routing: writeRoutingSettings(routing) }),
  }
}

/** Changes them; false when there is no organization of that slug. Throws a 400 that names a group or deployment which it doesn't have. As the operator, or as nemo_app its own. */
export async function setOrganization(tx: Transaction, slug: string, changes: SettingsChanges): Promise<boolean> {
  const { uncapped, strategy, dropUnsupported, keepResponses, routing } = changes
  if (routing) {
    const { rows } = await tx.query('select id from organizations where slug = $1', [slug])
    if (rows[0]) await refuseUnknownNames(tx, rows[0].id, routing)
  }
  const { rowCount } = await tx.query(
    `update organizations set uncapped = coalesce($2, uncapped), strategy = coalesce($3, strategy),
       drop_unsupported = coalesce($4, drop_unsupported), keep_responses = coalesce($5, keep_responses), routing = coalesce($6, routing)
      where slug = $1`,
    [
      slug,
      uncapped ?? null,
      strategy ?? null,
      dropUnsupported ?? null,
      keepResponses ?? null,
      routing ? writeRoutingSettings(routing) : null,
    ],
  )
  return rowCount === 1
}

/** As nemo_app. */
export async function readOwnSettings(tx: Transaction): Promise<OrganizationSettings> {
  const { rows } = await tx.query(
    `select strategy, uncapped, drop_unsupported as "dropUnsupported", keep_responses as "keepResponses", routing
       from organizations where id = current_organization()`,
  )
  return { ...rows[0], routing: readRoutingSettings(rows[0].routing) }
}

export interface Entry {
  readonly id: string
  readonly balanceAfterNanos: Nanos
  /** False when an entry with this reference was there already, which is then the one described. */
  readonly applied: boolean
}

/**
 * Pays credits in, or takes unspent ones out with a negative amount. Idempotent by (organization, kind, reference).
 * Throws when more would be taken out than is neither spent nor held; what processes only hold idle they are first asked to give back.
 */
export async function postEntry(operator: Transaction, entry: NewEntry): Promise<Entry> {
  for (let tries = 1; ; tries++) {
    try {
      return await post(operator, entry)
    } catch (error) {
      const isShort = entry.amountNanos < 0n && (error as { code?: string }).code === '23514'
      if (!isShort || tries === RECALLS_MAX) throw error
      await recallCredits(operator, entry.organizationId).catch(() => {
        // In a transaction of the caller's, which has failed now.
        throw error
      })
      await sleep(RECALL_MS)
    }
  }
}

const RECALLS_MAX = 8
const RECALL_MS = 50

interface NewEntry {
  readonly organizationId: string
  readonly kind: 'purchase' | 'grant' | 'refund' | 'adjustment'
  readonly amountNanos: Nanos
  readonly reference?: string
  readonly note?: string
}

/** Asks processes to give back what they hold of the credits but don't need. */
export async function recallCredits(operator: Transaction, organizationId: string): Promise<void> {
  await operator.query(
    `select pg_notify('ledger', 'recall ' || id || ' -') from limits where subject_id = $1 and window_name = 'lifetime'`,
    [organizationId],
  )
}

/** The same, within a transaction: what is held isn't asked for. */
export async function post(operator: Transaction, entry: NewEntry): Promise<Entry> {
  const { rows } = await operator.query('select * from post_entry($1, $2, $3, $4, $5)', [
    entry.organizationId,
    entry.kind,
    entry.amountNanos,
    entry.reference ?? null,
    entry.note ?? null,
  ])
  return { id: rows[0].entry_id, balanceAfterNanos: rows[0].balance_after_nanos, applied: rows[0].applied }
}

export interface OwnOrganization {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly balanceNanos: Nanos
  readonly suspendedAt: Date | null
  readonly deleteAfter: Date | null
  readonly createdAt: Date
}

const OWN = `select id, name, slug, balance_of(id) as "balanceNanos", suspended_at as "suspendedAt", delete_after as "deleteAfter", created_at as "createdAt"
  from organizations`

/** The one of the transaction. As nemo_app. */
export async function readOwnOrganization(tx: Transaction): Promise<OwnOrganization> {
  return (await tx.query(`${OWN} where id = current_organization()`)).rows[0]
}

/** As nemo_app. */
export async function renameOwnOrganization(tx: Transaction, name: string): Promise<void> {
  await tx.query('update organizations set name = $1 where id = current_organization()', [name])
}
