import { uuidv7 } from '@nemo/domain/ids'
import type pg from 'pg'
import type { Transaction } from './tenancy.ts'

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
  const { rows } = await operator.query(
    'select id, name from teams where organization_id = $1 and name = $2 and archived_at is null',
    [organizationId, name],
  )
  return rows[0] ?? null
}

/** The organization's teams, oldest first. As the operator. */
export async function listTeams(operator: Pick<pg.Pool, 'query'>, organizationId: string): Promise<Team[]> {
  const { rows } = await operator.query(
    'select id, name from teams where organization_id = $1 and archived_at is null order by created_at, name',
    [organizationId],
  )
  return rows
}

export interface TeamRow extends Team {
  readonly createdAt: Date
}

const TEAM = 'id, name, created_at as "createdAt"'

/** One more than `limit`, where there are more, oldest first. As nemo_app of the organization. */
export async function pageOfTeams(
  tx: Transaction,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<TeamRow[]> {
  const { rows } = await tx.query(
    `select ${TEAM} from teams where archived_at is null and ($1::uuid is null or id > $1) order by id limit $2`,
    [after ?? null, limit + 1],
  )
  return rows
}

/** Null when there is no such team; else it stays as it is until the transaction ends. As nemo_app of the organization. */
export async function lockTeam(tx: Transaction, id: string): Promise<TeamRow | null> {
  const { rows } = await tx.query(`select ${TEAM} from teams where id = $1 and archived_at is null`, [id])
  // The policy lets nobody lock the Default team, which nobody may change.
  if (rows[0]) await tx.query('select 1 from teams where id = $1 for update', [id])
  return rows[0] ?? null
}

/** Throws 23505 on a name that is taken. As nemo_app of the organization. */
export async function createTeam(tx: Transaction, organizationId: string, name: string): Promise<TeamRow> {
  const { rows } = await tx.query(
    `insert into teams (id, organization_id, name) values ($1, $2, $3) returning ${TEAM}`,
    [uuidv7(), organizationId, name],
  )
  return rows[0]
}

/** Throws 23505 on a name that is taken. As nemo_app of the organization. */
export async function renameTeam(tx: Transaction, id: string, name: string): Promise<void> {
  await tx.query('update teams set name = $2 where id = $1', [id, name])
}

/** Puts a team away, unless keys of it are in use: then false. As nemo_app of the organization, which has locked it. */
export async function archiveTeam(tx: Transaction, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update teams set archived_at = clock_timestamp()
      where id = $1 and not exists (
        select 1 from virtual_keys k where k.team_id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp()))`,
    [id],
  )
  return rowCount === 1
}
