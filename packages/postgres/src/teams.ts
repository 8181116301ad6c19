import type pg from 'pg'

export interface Team {
  readonly id: string
  readonly name: string
}

/** The organization's team of that name; null when there is none. As the operator. */
export async function findTeam(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  name: string,
): Promise<Team | null> {
  const { rows } = await operator.query('select id, name from teams where organization_id = $1 and name = $2', [
    organizationId,
    name,
  ])
  return rows[0] ?? null
}

/** The organization's teams, oldest first. As the operator. */
export async function listTeams(operator: Pick<pg.Pool, 'query'>, organizationId: string): Promise<Team[]> {
  const { rows } = await operator.query(
    'select id, name from teams where organization_id = $1 order by created_at, name',
    [organizationId],
  )
  return rows
}
