import type pg from 'pg'

export interface Tier {
  readonly id: string
  readonly name: string
  readonly feeBasisPoints: number
}

/** Every tier, in the order they are shown in. Anyone may read them. */
export async function listTiers(db: Pick<pg.Pool, 'query'>): Promise<Tier[]> {
  const { rows } = await db.query(
    'select id, name, fee_basis_points as "feeBasisPoints" from billing_tiers order by position',
  )
  return rows
}

/** Makes a tier or changes one. What was bought keeps the fee that it was bought with. As the operator. */
export async function saveTier(operator: Pick<pg.Pool, 'query'>, { id, name, feeBasisPoints }: Tier): Promise<void> {
  await operator.query(
    `insert into billing_tiers (id, name, fee_basis_points, position)
     values ($1, $2, $3, (select coalesce(max(position), 0) + 1 from billing_tiers))
     on conflict (id) do update set name = excluded.name, fee_basis_points = excluded.fee_basis_points`,
    [id, name, feeBasisPoints],
  )
}

/** Moves an organization to a tier, and answers with the one it had; null when there is no such organization. Throws (23503) on a tier that there isn't. As the operator. */
export async function setTier(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  tierId: string,
): Promise<string | null> {
  const { rows } = await operator.query(
    `update organizations o set tier_id = $2 from (select id, tier_id from organizations where id = $1 for update) before
      where o.id = before.id returning before.tier_id as before`,
    [organizationId, tierId],
  )
  return rows[0]?.before ?? null
}
