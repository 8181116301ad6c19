import type { KeyEndpoint } from '@nemo/domain/key-endpoints'
import { hashVirtualKey, hintOfVirtualKey, newVirtualKey } from '@nemo/domain/virtual-key'
import type { Transaction } from './tenancy.ts'
import { readStandingLimits, type StandingLimit, standingLimits } from './tenant-limits.ts'

/** A key as its organization sees it: everything but the secret. */
export interface TenantKey {
  readonly id: string
  readonly teamId: string
  readonly team: string
  readonly alias: string
  readonly hint: string
  readonly allowedModels: readonly string[] | null
  readonly allowedEndpoints: readonly KeyEndpoint[] | null
  readonly allowedNetworks: readonly string[] | null
  readonly defaultTags: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly rotatedAt: Date | null
  readonly lastUsedAt: Date | null
  /** What it had for secrets before, and until when they work. */
  readonly rotatedSecrets: readonly { readonly hint: string; readonly worksUntil: Date }[]
  readonly limits: readonly StandingLimit[]
}

export type KeyStatus = 'active' | 'expired' | 'revoked'

const KEY = `
  select k.id, k.organization_id, k.team_id, t.name as team, k.alias, k.hint, k.allowed_models, k.allowed_endpoints, k.allowed_networks, k.default_tags, k.created_at,
         k.expires_at, k.revoked_at, k.rotated_at, k.last_used_at,
         coalesce((
           select json_agg(json_build_object('hint', s.hint, 'until', s.works_until) order by s.works_until desc)
             from rotated_secrets s where s.key_id = k.id and s.works_until > clock_timestamp()), '[]') as rotated_secrets,
         ${standingLimits({ id: 'k.id', calls: 'g.organization_id = k.organization_id and g.key_id = k.id' })} as limits
    from virtual_keys k join teams t on t.id = k.team_id`

/** Keys with their limits and what stands against them, newest first: all but those that are revoked, unless a status is asked for. As nemo_app of the organization. */
export async function listTenantKeys(
  tx: Transaction,
  filter: { teamId?: string | undefined; status?: KeyStatus | undefined; alias?: string | undefined },
  page: { limit: number; after?: string | undefined },
): Promise<TenantKey[]> {
  const { rows } = await tx.query(
    `${KEY}
      where ($1::uuid is null or k.team_id = $1) and ($3::uuid is null or k.id < $3)
        and case $2
          when 'revoked' then k.revoked_at is not null
          when 'expired' then k.revoked_at is null and k.expires_at <= clock_timestamp()
          when 'active' then k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
          else k.revoked_at is null end
        and ($4::text is null or strpos(lower(k.alias), lower($4)) > 0)
      order by k.id desc limit $5`,
    [filter.teamId ?? null, filter.status ?? null, page.after ?? null, filter.alias ?? null, page.limit],
  )
  return rows.map(readKey)
}

/** Null when there is no such key. As nemo_app of the organization. */
export async function findTenantKey(tx: Transaction, id: string): Promise<TenantKey | null> {
  const { rows } = await tx.query(`${KEY} where k.id = $1`, [id])
  return rows[0] ? readKey(rows[0]) : null
}

/** The same; it stays as it is until the transaction ends. */
export async function lockTenantKey(tx: Transaction, id: string): Promise<TenantKey | null> {
  // The policy lets nobody lock what is revoked, which nobody may change.
  await tx.query('select 1 from virtual_keys where id = $1 for update', [id])
  return findTenantKey(tx, id)
}

function readKey(row: Record<string, never>): TenantKey {
  const [limits, secrets] = [row.limits, row.rotated_secrets] as unknown as Record<string, string | null>[][]
  return {
    id: row.id!,
    teamId: row.team_id!,
    team: row.team!,
    alias: row.alias!,
    hint: row.hint!,
    allowedModels: row.allowed_models!,
    allowedEndpoints: row.allowed_endpoints!,
    allowedNetworks: row.allowed_networks!,
    defaultTags: row.default_tags!,
    createdAt: row.created_at!,
    expiresAt: row.expires_at!,
    revokedAt: row.revoked_at!,
    rotatedAt: row.rotated_at!,
    lastUsedAt: row.last_used_at!,
    rotatedSecrets: secrets!.map(({ hint, until }) => ({ hint: hint!, worksUntil: new Date(until!) })),
    limits: readStandingLimits(limits!),
  }
}

/** What of a key can be changed. What is left out stays. */
export interface KeyChanges {
  readonly teamId?: string | undefined
  readonly alias?: string | undefined
  readonly allowedModels?: readonly string[] | null | undefined
  readonly allowedEndpoints?: readonly KeyEndpoint[] | null | undefined
  readonly allowedNetworks?: readonly string[] | null | undefined
  readonly expiresAt?: Date | null | undefined
  readonly defaultTags?: readonly string[] | undefined
}

const COLUMNS = {
  teamId: 'team_id',
  alias: 'alias',
  allowedModels: 'allowed_models',
  allowedEndpoints: 'allowed_endpoints',
  allowedNetworks: 'allowed_networks',
  expiresAt: 'expires_at',
  defaultTags: 'default_tags',
} as const satisfies Record<keyof KeyChanges, string>

/** Changes a key that isn't revoked. Throws 23505 on an alias that is in use. As nemo_app of the organization. */
export async function updateTenantKey(tx: Transaction, id: string, changes: KeyChanges): Promise<void> {
  const names = (Object.keys(COLUMNS) as (keyof KeyChanges)[]).filter((name) => changes[name] !== undefined)
  if (names.length === 0) return
  await tx.query(
    `update virtual_keys set ${names.map((name, i) => `${COLUMNS[name]} = $${i + 2}`).join(', ')} where id = $1`,
    [id, ...names.map((name) => changes[name])],
  )
  // In another team its limits are held against those of that team.
  if (changes.teamId !== undefined) await tx.query('update limits set bound = bound where subject_id = $1', [id])
}

/**
 * Gives a key another secret, and answers with it in clear, the only time that anyone sees it. The one before works for so many seconds more, and is
 * the same key meanwhile. As nemo_app of the organization, which has locked the key.
 */
export async function rotateTenantKey(tx: Transaction, id: string, overlapSeconds: number): Promise<string> {
  const key = newVirtualKey()
  await tx.query('delete from rotated_secrets where key_id = $1 and works_until <= clock_timestamp()', [id])
  if (overlapSeconds > 0) {
    await tx.query(
      `insert into rotated_secrets (hash, organization_id, key_id, hint, works_until)
       select hash, organization_id, id, hint, clock_timestamp() + make_interval(secs => $2) from virtual_keys where id = $1`,
      [id, overlapSeconds],
    )
  }
  await tx.query('update virtual_keys set hash = $2, hint = $3, rotated_at = clock_timestamp() where id = $1', [
    id,
    hashVirtualKey(key),
    hintOfVirtualKey(key),
  ])
  return key
}

/** Ends what the key had for secrets before it was rotated, and says how many still worked. As above. */
export async function endRotatedSecrets(tx: Transaction, id: string): Promise<number> {
  const { rows } = await tx.query(
    'delete from rotated_secrets where key_id = $1 returning works_until > clock_timestamp() as worked',
    [id],
  )
  return rows.filter(({ worked }) => worked).length
}

/** Every process refuses the key within a second. False when it is revoked already. As nemo_app of the organization, or the operator. */
export async function revokeTenantKey(tx: Transaction, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update virtual_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null',
    [id],
  )
  return rowCount === 1
}

/** A key whose secret somebody else has. */
export interface LeakedKey {
  readonly id: string
  readonly organizationId: string
  readonly teamId: string
  readonly alias: string
  /** Of the secret that was found. */
  readonly hint: string
}

/**
 * Makes a secret that was found useless: revokes the key, or, where the key has been rotated since, ends just that secret. Null when it opened nothing any
 * more. As the operator.
 */
export async function revokeLeakedSecret(
  tx: Transaction,
  secret: string,
): Promise<(LeakedKey & { readonly revoked: 'key' | 'rotated_secret' }) | null> {
  const hash = hashVirtualKey(secret)
  const hint = hintOfVirtualKey(secret)
  const current = await tx.query(
    `update virtual_keys set revoked_at = clock_timestamp()
      where hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
      returning id, organization_id as "organizationId", team_id as "teamId", alias`,
    [hash],
  )
  if (current.rows[0]) return { ...current.rows[0], hint, revoked: 'key' }
  const rotated = await tx.query(
    `with ended as (delete from rotated_secrets where hash = $1 and works_until > clock_timestamp() returning key_id)
     select k.id, k.organization_id as "organizationId", k.team_id as "teamId", k.alias from ended e join virtual_keys k on k.id = e.key_id where k.revoked_at is null`,
    [hash],
  )
  return rotated.rows[0] ? { ...rotated.rows[0], hint, revoked: 'rotated_secret' } : null
}

/** Who answers for an organization: the addresses of its owners and admins. As the operator. */
export async function addressesOfAdmins(operator: Transaction, organizationId: string): Promise<string[]> {
  const { rows } = await operator.query(
    `select u.email from members m join users u on u.id = m.user_id
      where m.organization_id = $1 and m.role in ('owner', 'admin') order by m.created_at, u.id limit 50`,
    [organizationId],
  )
  return rows.map(({ email }) => email)
}
