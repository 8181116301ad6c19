import type { Transaction } from './tenancy.ts'

/** An organization as the operator sees it. */
export interface OrganizationOverview {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly tierId: string
  readonly balanceNanos: bigint
  readonly members: number
  readonly activeKeys: number
  readonly createdAt: Date
  readonly suspendedAt: Date | null
  readonly deleteAfter: Date | null
  readonly deletedAt: Date | null
}

const OVERVIEW = `
  select o.id, o.name, o.slug, o.tier_id as "tierId", balance_of(o.id) as "balanceNanos", o.created_at as "createdAt", o.suspended_at as "suspendedAt",
         o.delete_after as "deleteAfter", o.deleted_at as "deletedAt",
         (select count(*)::int from members m where m.organization_id = o.id) as members,
         (select count(*)::int from virtual_keys k
           where k.organization_id = o.id and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())) as "activeKeys"
    from organizations o`

/** Newest first; a text finds those whose name or slug has it, or whose id it is, or of which somebody of that address is a member. As the operator. */
export async function pageOfOrganizations(
  operator: Transaction,
  filter: { text?: string | undefined; suspended?: boolean | undefined },
  page: { limit: number; after?: string | undefined },
): Promise<OrganizationOverview[]> {
  const { rows } = await operator.query(
    `${OVERVIEW}
      where ($1::uuid is null or o.id < $1)
        and ($2::text is null or strpos(lower(o.name), lower($2)) > 0 or strpos(o.slug, lower($2)) > 0 or o.id::text = $2
          or exists (select 1 from members m join users u on u.id = m.user_id where m.organization_id = o.id and lower(u.email) = lower($2)))
        and ($3::boolean is null or (o.suspended_at is not null) = $3)
      order by o.id desc limit $4`,
    [page.after ?? null, filter.text ?? null, filter.suspended ?? null, page.limit],
  )
  return rows
}

/** Null when there is none of that id. As the operator. */
export async function organizationOverview(operator: Transaction, id: string): Promise<OrganizationOverview | null> {
  return (await operator.query(`${OVERVIEW} where o.id = $1`, [id])).rows[0] ?? null
}

/**
 * Suspends an organization, or lets it go on: its keys are refused, or taken, everywhere within a second. False where it was so already, or there is none. As the
 * operator.
 */
export async function setSuspended(operator: Transaction, id: string, suspended: boolean): Promise<boolean> {
  const { rowCount } = await operator.query(
    `update organizations set suspended_at = case when $2 then clock_timestamp() end
      where id = $1 and (suspended_at is not null) <> $2 and deleted_at is null`,
    [id, suspended],
  )
  return rowCount === 1
}
