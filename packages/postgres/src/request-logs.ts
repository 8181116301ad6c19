import type { Usage } from '@nemo/domain/usage'
import type pg from 'pg'

/** One call, as it goes to the database inside the settlement's JSON. Charge, loss and entry are filled in there. */
export interface RequestLog {
  readonly id: string
  readonly organization_id: string
  readonly started_at: Date
  readonly key_id: string
  readonly key_alias: string
  readonly team_id: string
  readonly endpoint: string
  readonly streamed: boolean
  readonly model_group: string | null
  readonly strategy: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly deployment_id: string | null
  readonly attempts: readonly object[]
  /** What the order of the deployments followed from. */
  readonly decision: object | null
  readonly status: number
  readonly error_code: string | null
  /** What the caller wasn't told. */
  readonly error_detail: string | null
  readonly latency_ms: number
  readonly first_token_ms: number | null
  readonly overhead_micros: number
  readonly usage: Usage | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly estimated: boolean
  readonly price_version_id: string | null
  readonly consumer: string | null
  readonly session_id: string | null
  readonly tags: readonly string[] | null
}

export interface RequestLogRow extends Omit<RequestLog, 'organization_id'> {
  readonly organization: string
  readonly cost_nanos: bigint | null
  readonly loss_nanos: bigint
  readonly recorded_at: Date
}

/** The latest calls, oldest first. As the operator. */
export async function latestRequestLogs(
  operator: Pick<pg.Pool, 'query'>,
  filter: { organizationId?: string; limit: number },
): Promise<RequestLogRow[]> {
  const { rows } = await operator.query(
    `select l.*, o.slug as organization from request_logs l join organizations o on o.id = l.organization_id
      where $1::uuid is null or l.organization_id = $1
      order by l.started_at desc, l.id desc limit $2`,
    [filter.organizationId ?? null, filter.limit],
  )
  return rows.reverse()
}

/**
 * Calls recorded since the moment, in the order they were recorded. A row is recorded when its call ends, and becomes visible when its
 * batch commits: whoever follows asks again from a little earlier and passes over what it has seen. As the operator.
 */
export async function requestLogsSince(
  operator: Pick<pg.Pool, 'query'>,
  filter: { organizationId?: string; recordedSince: Date; limit: number },
): Promise<RequestLogRow[]> {
  const { rows } = await operator.query(
    `select l.*, o.slug as organization from request_logs l join organizations o on o.id = l.organization_id
      where ($1::uuid is null or l.organization_id = $1)
        and l.started_at > $2::timestamptz - interval '1 day' and l.recorded_at >= $2
      order by l.recorded_at, l.id limit $3`,
    [filter.organizationId ?? null, filter.recordedSince, filter.limit],
  )
  return rows
}
