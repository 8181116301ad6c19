import { type RoutingSettings, readRoutingSettings, type Strategy } from '@nemo/domain/routing-settings'
import type pg from 'pg'

/** What says where an organization's calls may go, or those of one of its keys. */
export interface RoutingCaller {
  readonly organizationId: string
  readonly strategy: Strategy
  readonly routing: RoutingSettings
  readonly allowedModels: readonly string[] | null
  readonly defaultTags: readonly string[]
}

/** By an organization's id and, if one is meant, a key's alias; null when there is no such key. As the operator. */
export async function findRoutingCaller(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string,
  alias: string | null,
): Promise<RoutingCaller | null> {
  const { rows } = await operator.query(
    `select o.id, o.strategy, o.routing, k.allowed_models, coalesce(k.default_tags, '{}') as default_tags
       from organizations o left join virtual_keys k on k.organization_id = o.id and k.alias = $2 and k.revoked_at is null
      where o.id = $1 and ($2::text is null or k.id is not null)`,
    [organizationId, alias],
  )
  const row = rows[0]
  return row
    ? {
        organizationId: row.id,
        strategy: row.strategy,
        routing: readRoutingSettings(row.routing),
        allowedModels: row.allowed_models,
        defaultTags: row.default_tags,
      }
    : null
}

/** How deployments stand by what processes have told: each process knows more of its own. */
export interface StoredConditions {
  readonly requests: number
  readonly tokens: number
  /** To the first token of streams, or by output token of other answers, in the last minute; null where there were none. */
  readonly streamMs: number | null
  readonly tokenMs: number | null
  /** Why it is left out now, and for how long. */
  readonly cooling: { readonly by: 'organization' | 'platform'; readonly asked: boolean; readonly ms: number } | null
  readonly fault: string | null
}

/** By deployment; those of which nothing is known aren't there. As the operator. */
export async function storedConditions(
  operator: Pick<pg.Pool, 'query'>,
  organizationId: string | null,
): Promise<Map<string, StoredConditions>> {
  const { rows } = await operator.query(
    `with load as (
       select deployment_id, sum(requests)::float8 as requests, sum(tokens)::float8 as tokens
         from deployment_loads where at > clock_timestamp() - interval '10 seconds' group by 1),
     latency as (
       select deployment_id, avg(first_token_ms) filter (where streamed)::float8 as stream_ms,
              avg(latency_ms::float8 / greatest(output_tokens, 1)) filter (where not streamed) as token_ms
         from request_logs
        where started_at > clock_timestamp() - interval '1 minute' and status = 200 and deployment_id is not null group by 1),
     cooling as (
       select distinct on (deployment_id) deployment_id, case when organization_id is null then 'platform' else 'organization' end as by,
              asked, extract(epoch from cooling_until - clock_timestamp())::float8 * 1000 as ms, fault
         from deployment_health
        where cooling_until > clock_timestamp() and (organization_id is null or organization_id = $1)
        order by deployment_id, asked desc, organization_id nulls first)
     select d.id, coalesce(l.requests, 0) as requests, coalesce(l.tokens, 0) as tokens, y.stream_ms, y.token_ms, c.by, c.asked, c.ms, c.fault
       from deployments d left join load l on l.deployment_id = d.id left join latency y on y.deployment_id = d.id
       left join cooling c on c.deployment_id = d.id
      where coalesce(l.deployment_id, y.deployment_id, c.deployment_id) is not null`,
    [organizationId],
  )
  return new Map(
    rows.map((row) => [
      row.id,
      {
        requests: row.requests,
        tokens: row.tokens,
        streamMs: row.stream_ms,
        tokenMs: row.token_ms,
        cooling: row.by && { by: row.by, asked: row.asked, ms: Math.ceil(row.ms) },
        fault: row.fault,
      },
    ]),
  )
}
