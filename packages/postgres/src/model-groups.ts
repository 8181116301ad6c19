import { uuidv7 } from '@nemo/domain/ids'
import type { Transaction } from './tenancy.ts'

export interface ModelGroupRow {
  readonly id: string
  readonly name: string
  /** Whose it is; null for everyone's. */
  readonly organizationId: string | null
  readonly chain: readonly string[]
  readonly deployments: number
  readonly createdAt: Date
}

const GROUP = `
  select g.id, g.name, g.organization_id as "organizationId", g.chain, g.created_at as "createdAt",
         (select count(*)::int from deployments d where d.group_id = g.id) as deployments
    from model_groups g`

/** Newest first. A text finds those whose name has it. As the operator. */
export async function pageOfGroups(
  operator: Transaction,
  filter: { text?: string | undefined; organizationId?: string | undefined },
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<ModelGroupRow[]> {
  const { rows } = await operator.query(
    `${GROUP}
      where ($1::uuid is null or g.id < $1) and ($2::text is null or strpos(lower(g.name), lower($2)) > 0)
        and ($3::uuid is null or g.organization_id = $3)
      order by g.id desc limit $4`,
    [after ?? null, filter.text ?? null, filter.organizationId ?? null, limit],
  )
  return rows
}

/** Null when there is none of that id. As the operator. */
export async function findGroup(operator: Transaction, id: string): Promise<ModelGroupRow | null> {
  return (await operator.query(`${GROUP} where g.id = $1`, [id])).rows[0] ?? null
}

/** The same, with nothing changed or deployed in it by others until the transaction ends. As the operator. */
export async function lockGroup(tx: Transaction, id: string): Promise<ModelGroupRow | null> {
  await tx.query('select 1 from model_groups where id = $1 for update', [id])
  return findGroup(tx, id)
}

/** Whether there is one of that id, which stays until the transaction ends. As the operator. */
export async function holdGroup(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.query('select 1 from model_groups where id = $1 for key share', [id])).rowCount === 1
}

/** Answers with its id; null when everyone, or the organization, has one of that name. Throws 23503 where there is no such organization. As the operator. */
export async function createGroup(
  tx: Transaction,
  { name, organizationId, chain }: Pick<ModelGroupRow, 'name' | 'organizationId' | 'chain'>,
): Promise<string | null> {
  const { rows } = await tx.query(
    `insert into model_groups (id, name, organization_id, chain) values ($1, $2, $3, $4)
     on conflict (organization_id, name) do nothing returning id`,
    [uuidv7(), name, organizationId, chain],
  )
  return rows[0]?.id ?? null
}

/** The id of everyone's group of that name, which is made where there is none, and stays until the transaction ends. As the operator. */
export async function sharedGroup(tx: Transaction, name: string): Promise<string> {
  const { rows } = await tx.query(
    `insert into model_groups (id, name) values ($1, $2)
     on conflict (organization_id, name) do update set name = excluded.name returning id`,
    [uuidv7(), name],
  )
  return rows[0].id
}

/** As the operator. */
export async function setGroupChain(tx: Transaction, id: string, chain: readonly string[]): Promise<void> {
  await tx.query('update model_groups set chain = $2 where id = $1', [id, chain])
}

/** As the operator, with nothing deployed in it: what is would go with it. */
export async function deleteGroup(tx: Transaction, id: string): Promise<void> {
  await tx.query('delete from model_groups where id = $1', [id])
}
