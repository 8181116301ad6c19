import { type Network, parseNetwork } from '@nemo/domain/address'
import { uuidv7 } from '@nemo/domain/ids'
import type { KeyEndpoint } from '@nemo/domain/key-endpoints'
import type { Limit, Resource, Window } from '@nemo/domain/limits'
import { NO_ROUTING, type RoutingSettings, readRoutingSettings, type Strategy } from '@nemo/domain/routing-settings'
import { hashVirtualKey, hintOfVirtualKey, newVirtualKey } from '@nemo/domain/virtual-key'
import type pg from 'pg'
import { inTransaction, type Transaction } from './tenancy.ts'
import { setLimit } from './tenant-limits.ts'

/** What a call may do: a key as it is kept in memory, without the key itself. */
export interface VirtualKey {
  readonly id: string
  readonly organizationId: string
  readonly teamId: string
  readonly alias: string
  /** Null allows every model that the organization can see. */
  readonly allowedModels: readonly string[] | null
  /** Null allows every endpoint, and every address that a call may come from. */
  readonly allowedEndpoints: readonly string[] | null
  readonly allowedNetworks: readonly Network[] | null
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** Every limit that binds the key: its own, its team's and its organization's. */
  readonly limits: readonly Limit[]
  /** Whether any consumer of the organization has limits of its own. */
  readonly hasConsumerLimits: boolean
  /** What becomes of a call without a cap on its answer that doesn't fit in full: it is capped to what fits, or refused. */
  readonly uncapped: 'clamp' | 'refuse'
  /** Whether fields that a provider has nothing like are left out rather than refused. */
  readonly dropsUnsupported: boolean
  /** Whether what responses were made of may be kept, for the next ones to go on from. */
  readonly keepsResponses: boolean
  /** How deployments are picked where a request doesn't say. */
  readonly strategy: Strategy
  /** What else the organization says of routing. */
  readonly routing: RoutingSettings
  /** Tags that every call with the key asks for. */
  readonly defaultTags: readonly string[]
  /** Null where credits aren't topped up by themselves. */
  readonly topUp: TopUpExpected | null
}

/** Whether a refused call may come again soon: credits are on their way. */
export interface TopUpExpected {
  readonly isPending: boolean
  /** Below which balance a top-up begins by itself; null while none would. */
  readonly belowNanos: bigint | null
}

/** What a process got of a limit when it first saw a key of it. */
export interface FirstAllotment {
  readonly limit: Limit
  readonly organizationId: string
  readonly bound: bigint
  readonly extra: bigint
  readonly startsAt: Date
  readonly endsAt: Date | null
  readonly serverTime: Date
}

/** Looks a key up by its hash, across tenants; null when there is none. */
export async function findVirtualKey(app: Pick<pg.Pool, 'query'>, hash: Buffer): Promise<VirtualKey | null> {
  return (await findVirtualKeys(app, [hash], null)).keys[0]!
}

/**
 * Looks keys up by their hashes, across tenants, in the order asked; null for what there is none of. With a process, its first allotments on the keys'
 * limits come in the same round trip.
 */
export async function findVirtualKeys(
  app: Pick<pg.Pool, 'query'>,
  hashes: readonly Buffer[],
  process: { readonly id: string; readonly epoch: number } | null,
): Promise<{ keys: (VirtualKey | null)[]; allotted: FirstAllotment[] }> {
  const { rows } = await app.query({
    name: 'authenticate_keys',
    text: 'select * from authenticate_keys($1, $2, $3)',
    values: [hashes, process?.id ?? null, process?.epoch ?? null],
  })
  const byHash = new Map<string, VirtualKey>()
  const limits = new Map<string, Limit>()
  for (const { hash, found } of rows) {
    if (hash === null) continue
    const key = readKey(found as StoredKey)
    byHash.set(hash.toString('latin1'), key)
    for (const limit of key.limits) limits.set(limit.id, limit)
  }
  const allotted: readonly Record<string, string>[] = rows.find(({ hash }) => hash === null)?.found ?? []
  return {
    keys: hashes.map((hash) => byHash.get(hash.toString('latin1')) ?? null),
    allotted: allotted.map((one) => ({
      limit: limits.get(one.limitId!)!,
      organizationId: one.organizationId!,
      bound: BigInt(one.bound!),
      extra: BigInt(one.extra!),
      startsAt: new Date(one.startsAt!),
      endsAt: one.endsAt ? new Date(one.endsAt) : null,
      serverTime: new Date(one.serverTime!),
    })),
  }
}

/** A key as the function writes it: dates and bounds are text in JSON. */
interface StoredKey
  extends Omit<
    VirtualKey,
    'allowedNetworks' | 'expiresAt' | 'revokedAt' | 'limits' | 'hasConsumerLimits' | 'routing' | 'topUp'
  > {
  readonly allowedNetworks: readonly string[] | null
  readonly routing: string | null
  readonly expiresAt: string | null
  readonly revokedAt: string | null
  readonly limits: readonly StoredLimit[]
  readonly consumers: boolean
  readonly topUp: { readonly isPending: boolean; readonly belowNanos: string | null } | null
}

type StoredLimit = Omit<Limit, 'bound'> & { readonly bound: string }

function readKey({
  consumers,
  limits,
  allowedNetworks,
  expiresAt,
  revokedAt,
  routing,
  topUp,
  ...key
}: StoredKey): VirtualKey {
  return {
    ...key,
    allowedNetworks: allowedNetworks?.map((text) => parseNetwork(text)!) ?? null,
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    revokedAt: revokedAt === null ? null : new Date(revokedAt),
    limits: limits.map(readLimit),
    hasConsumerLimits: consumers,
    topUp: topUp && { ...topUp, belowNanos: topUp.belowNanos === null ? null : BigInt(topUp.belowNanos) },
    routing: routing === null ? NO_ROUTING : routingOf(routing),
  }
}

/** Organizations' settings by their text: a hundred thousand keys of one share them. */
const known = new Map<string, RoutingSettings>()
const KNOWN_MAX = 1_000

/** What is stored was checked when it was written; what a later release wrote is passed over. */
function routingOf(text: string): RoutingSettings {
  let settings = known.get(text)
  if (!settings) {
    settings = readStored(text)
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(text, settings)
  }
  return settings
}

function readStored(text: string): RoutingSettings {
  try {
    return readRoutingSettings(JSON.parse(text))
  } catch {
    return NO_ROUTING
  }
}

/** The limits of one consumer of an organization: what its `user` field names. */
export async function findConsumerLimits(
  app: Pick<pg.Pool, 'query'>,
  organizationId: string,
  consumer: string,
): Promise<Limit[]> {
  const { rows } = await app.query({
    name: 'limits_of_consumer',
    text: 'select limits_of_consumer($1, $2) as limits',
    values: [organizationId, consumer],
  })
  return rows[0].limits.map(readLimit)
}

function readLimit(limit: StoredLimit): Limit {
  return { ...limit, bound: BigInt(limit.bound) }
}

export interface NewLimit {
  readonly resource: Resource
  readonly window: Window
  readonly bound: bigint
}

export interface NewVirtualKey {
  readonly organizationId: string
  readonly teamId: string
  readonly alias: string
  readonly allowedModels?: readonly string[] | null
  readonly allowedEndpoints?: readonly KeyEndpoint[] | null
  /** As `10.0.0.0/8` or `fd00::/8`. */
  readonly allowedNetworks?: readonly string[] | null
  readonly defaultTags?: readonly string[]
  readonly expiresAt?: Date | null
  readonly limits?: readonly NewLimit[]
}

/** Creates a key and answers with it in clear: the only time that anyone sees it. Throws on an alias that is in use. */
export async function createVirtualKey(operator: pg.Pool, wanted: NewVirtualKey): Promise<{ id: string; key: string }> {
  return inTransaction(operator, (tx) => insertVirtualKey(tx, wanted))
}

/** The same in a transaction. As the operator, or as nemo_app of the organization. */
export async function insertVirtualKey(tx: Transaction, wanted: NewVirtualKey): Promise<{ id: string; key: string }> {
  const id = uuidv7()
  const key = newVirtualKey()
  await tx.query(
    `insert into virtual_keys (id, organization_id, team_id, alias, hash, hint, allowed_models, allowed_endpoints, allowed_networks, expires_at, default_tags)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      ...[id, wanted.organizationId, wanted.teamId, wanted.alias, hashVirtualKey(key), hintOfVirtualKey(key)],
      ...[wanted.allowedModels ?? null, wanted.allowedEndpoints ?? null, wanted.allowedNetworks ?? null],
      ...[wanted.expiresAt ?? null, wanted.defaultTags ?? []],
    ],
  )
  const { organizationId } = wanted
  for (const limit of wanted.limits ?? []) await setLimit(tx, { subject: 'key', id, organizationId }, limit)
  return { id, key }
}

export interface VirtualKeyRow {
  readonly id: string
  readonly organization: string
  readonly alias: string
  readonly hint: string
  readonly allowedModels: readonly string[] | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly lastUsedAt: Date | null
  readonly limits: readonly KeyLimitRow[]
}

export interface KeyLimitRow {
  readonly resource: Resource
  readonly window: Window
  readonly bound: bigint
  /** Of a rate, what the log says of the last 60 seconds. Null for parallel requests: only the processes know how many are under way. */
  readonly used: bigint | null
  /** Of money, what processes hold to spend from memory. Of anything else 0: a share of a rate says nothing of what was used of it. */
  readonly held: bigint
}

/** Keys with their limits and what stands against them now, newest first. As the operator. */
export async function listVirtualKeys(
  operator: Pick<pg.Pool, 'query'>,
  filter: { organizationId?: string; includeRevoked?: boolean },
): Promise<VirtualKeyRow[]> {
  const { rows } = await operator.query(
    `select k.id, o.slug as organization, k.alias, k.hint, k.allowed_models, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
            coalesce((
              select json_agg(json_build_object('resource', l.resource, 'window', l.window_name, 'bound', l.bound::text,
                       'used', (case l.resource when 'cost' then coalesce(c.used, 0) when 'requests' then r.requests when 'tokens' then r.tokens end)::text,
                       'held', (case l.resource when 'cost' then coalesce(c.held, 0) else 0 end)::text) order by l.resource, l.window_name)
                from limits l
                left join counters c on c.limit_id = l.id and c.window_start = window_start(l.window_name, clock_timestamp())
                left join lateral (
                  -- What was admitted was sent to a provider, or at least tried.
                  select count(*) as requests, coalesce(sum(coalesce(g.input_tokens, 0) + coalesce(g.output_tokens, 0)), 0) as tokens
                    from request_logs g
                   where g.organization_id = k.organization_id and g.key_id = k.id and g.attempts <> '[]'
                     and g.started_at > clock_timestamp() - interval '60 seconds') r on l.window_name = 'minute'
               where l.subject_id = k.id), '[]') as limits
       from virtual_keys k join organizations o on o.id = k.organization_id
      where ($1::uuid is null or k.organization_id = $1) and ($2 or k.revoked_at is null)
      order by k.created_at desc, k.id desc`,
    [filter.organizationId ?? null, filter.includeRevoked ?? false],
  )
  return rows.map((row) => ({
    id: row.id,
    organization: row.organization,
    alias: row.alias,
    hint: row.hint,
    allowedModels: row.allowed_models,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    limits: row.limits.map((limit: Record<string, string | null>) => ({
      resource: limit.resource,
      window: limit.window,
      bound: BigInt(limit.bound!),
      used: limit.used == null ? null : BigInt(limit.used),
      held: BigInt(limit.held!),
    })),
  }))
}

/** Revokes by id, or by alias within the organization. Every process refuses the key within a second. Null when there is no such key. */
export async function revokeVirtualKey(
  operator: Pick<pg.Pool, 'query'>,
  key: { idOrAlias: string; organizationId?: string },
): Promise<(Pick<VirtualKeyRow, 'id' | 'alias' | 'hint'> & { organizationId: string; teamId: string }) | null> {
  const { rows } = await operator.query(
    `update virtual_keys set revoked_at = clock_timestamp()
      where revoked_at is null and (id::text = $1 or alias = $1) and ($2::uuid is null or organization_id = $2)
      returning id, alias, hint, organization_id as "organizationId", team_id as "teamId"`,
    [key.idOrAlias, key.organizationId ?? null],
  )
  return rows[0] ?? null
}
