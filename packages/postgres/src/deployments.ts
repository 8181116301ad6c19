import { uuidv7 } from '@nemo/domain/ids'
import type { Transaction } from './tenancy.ts'

export interface DeploymentRow {
  readonly id: string
  /** Whose it is, as its group's; null for everyone's. */
  readonly organizationId: string | null
  readonly groupId: string
  readonly group: string
  readonly credentialId: string
  readonly credential: string
  readonly modelId: string
  readonly upstreamModel: string
  readonly weight: number
  /** What the provider allows there in 60 seconds; null where it isn't known. */
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  readonly enabled: boolean
  /** Without one it can't be called. */
  readonly hasPrice: boolean
  readonly createdAt: Date
}

const DEPLOYMENT = `
  select d.id, d.organization_id as "organizationId", d.group_id as "groupId", g.name as "group", d.credential_id as "credentialId", c.name as credential,
         d.model_id as "modelId", d.upstream_model as "upstreamModel", d.weight, d.requests_per_minute::float8 as "requestsPerMinute",
         d.tokens_per_minute::float8 as "tokensPerMinute", d.enabled, d.created_at as "createdAt",
         exists (select 1 from prices p where p.model_id = d.model_id and p.effective_at <= clock_timestamp()) as "hasPrice"
    from deployments d join model_groups g on g.id = d.group_id join provider_credentials c on c.id = d.credential_id`

/** Newest first: of one group, credential or model, or all. As the operator. */
export async function pageOfDeployments(
  operator: Transaction,
  filter: { groupId?: string | undefined; credentialId?: string | undefined; modelId?: string | undefined },
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<DeploymentRow[]> {
  const { rows } = await operator.query(
    `${DEPLOYMENT}
      where ($1::uuid is null or d.id < $1) and ($2::uuid is null or d.group_id = $2) and ($3::uuid is null or d.credential_id = $3)
        and ($4::text is null or d.model_id = $4)
      order by d.id desc limit $5`,
    [after ?? null, filter.groupId ?? null, filter.credentialId ?? null, filter.modelId ?? null, limit],
  )
  return rows
}

/** Null when there is none of that id. As the operator. */
export async function findDeployment(operator: Transaction, id: string): Promise<DeploymentRow | null> {
  return (await operator.query(`${DEPLOYMENT} where d.id = $1`, [id])).rows[0] ?? null
}

/** The same, which stays as it is until the transaction ends. As the operator. */
export async function lockDeployment(tx: Transaction, id: string): Promise<DeploymentRow | null> {
  await tx.query('select 1 from deployments where id = $1 for update', [id])
  return findDeployment(tx, id)
}

/** What may be changed of a deployment: which model it is, and where, makes it another. */
export type DeploymentChanges = Partial<
  Pick<DeploymentRow, 'weight' | 'requestsPerMinute' | 'tokensPerMinute' | 'enabled'>
>

/**
 * Deploys a model in a group, as the group's owner's. Answers with the id; null where that credential serves that upstream model there already. Throws 23503 where
 * there is no such group, credential or model. As the operator.
 */
export async function createDeployment(
  tx: Transaction,
  place: Pick<DeploymentRow, 'groupId' | 'credentialId' | 'modelId' | 'upstreamModel'>,
  { weight = 1, requestsPerMinute = null, tokensPerMinute = null, enabled = true }: DeploymentChanges,
): Promise<string | null> {
  const { rows } = await tx.query(
    `insert into deployments (id, organization_id, group_id, model_id, credential_id, upstream_model, weight, requests_per_minute, tokens_per_minute, enabled)
     values ($1, (select organization_id from model_groups where id = $2), $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (group_id, credential_id, upstream_model) do nothing returning id`,
    [
      ...[uuidv7(), place.groupId, place.modelId, place.credentialId, place.upstreamModel],
      ...[weight, requestsPerMinute, tokensPerMinute, enabled],
    ],
  )
  return rows[0]?.id ?? null
}

/** What is left out stays. As the operator. */
export async function updateDeployment(tx: Transaction, id: string, changes: DeploymentChanges): Promise<void> {
  const { weight, requestsPerMinute, tokensPerMinute, enabled } = changes
  await tx.query(
    `update deployments set weight = coalesce($2, weight), enabled = coalesce($3, enabled),
       requests_per_minute = case when $4 then $5 else requests_per_minute end, tokens_per_minute = case when $6 then $7 else tokens_per_minute end
      where id = $1`,
    [
      ...[id, weight ?? null, enabled ?? null],
      ...[requestsPerMinute !== undefined, requestsPerMinute ?? null],
      ...[tokensPerMinute !== undefined, tokensPerMinute ?? null],
    ],
  )
}

/** As the operator. */
export async function deleteDeployment(tx: Transaction, id: string): Promise<void> {
  await tx.query('delete from deployments where id = $1', [id])
}
