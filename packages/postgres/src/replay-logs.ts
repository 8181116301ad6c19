import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import type pg from 'pg'
import type { RequestLogRow } from './request-logs.ts'

type Operator = Pick<pg.Pool, 'query'>

/** One call of the log by its UUID, with its decision; null when there is none. As the operator. */
export async function findRequestLog(operator: Operator, id: string): Promise<RequestLogRow | null> {
  const { rows } = await operator.query(
    `select l.*, o.slug as organization from request_logs l join organizations o on o.id = l.organization_id where l.id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** Calls that began in a span, perhaps only those of one organization or one model group. */
export interface LogSpan {
  readonly since: Date
  readonly until: Date
  readonly organizationId: string | null
  readonly group: string | null
}

/** What one call says of the deployments that were called. */
export interface AttemptedCall {
  readonly startedAt: Date
  readonly streamed: boolean
  readonly deploymentId: string | null
  readonly outputTokens: number | null
  readonly priceVersionId: string | null
  readonly attempts: readonly LoggedAttempt[]
}

export interface LoggedAttempt {
  readonly deployment_id: string
  readonly provider: string
  readonly model: string
  readonly outcome: string
  readonly kind: string
  readonly started_ms: number
  readonly took_ms: number
}

/** What of a call bears on another policy. */
export interface RoutedCall extends AttemptedCall {
  readonly id: string
  readonly organizationId: string
  readonly status: number
  readonly endpoint: string
  readonly inputTokens: number | null
  readonly usage: Usage | null
  /** What it came to: what was charged, and what of the bill became the platform's loss. */
  readonly costNanos: Nanos
  /** As it is stored; null of a call that was refused before it was routed. */
  readonly decision: unknown
  /** Refusals of one kind share a row. */
  readonly repeats: number
}

/** Calls of a page, in the order in which they began. Each page is a statement of its own, so that no span is too long for it. */
const PAGE = 2_000

const ATTEMPTED = `l.started_at as "startedAt", l.streamed, l.deployment_id as "deploymentId", l.output_tokens::float8 as "outputTokens",
  l.price_version_id as "priceVersionId", l.attempts`
const ROUTED = `${ATTEMPTED}, l.organization_id as "organizationId", l.status, l.endpoint, l.input_tokens::float8 as "inputTokens", l.usage,
  coalesce(l.cost_nanos, 0) + l.loss_nanos as "costNanos", l.decision, l.repeats`

/** The attempts of all calls in the span, page by page. As the operator. */
export function attemptedCalls(operator: Operator, span: LogSpan): AsyncGenerator<AttemptedCall[]> {
  return pages<AttemptedCall>(operator, span, ATTEMPTED, `and l.attempts <> '[]'`)
}

/** All calls in the span, page by page. As the operator. */
export function routedCalls(operator: Operator, span: LogSpan): AsyncGenerator<RoutedCall[]> {
  return pages<RoutedCall>(operator, span, ROUTED, '')
}

/** A slice of time holds about a page: whatever the planner believes, a statement then never sorts more than that. */
const SLICE_MS = 60_000
const SLICE_MS_LEAST = 1_000
const SLICE_MS_MOST = 24 * 3_600_000

async function* pages<Row extends { readonly startedAt: Date }>(
  operator: Operator,
  { since, until, organizationId, group }: LogSpan,
  columns: string,
  only: string,
): AsyncGenerator<Row[]> {
  let sliceMs = SLICE_MS
  let from = since
  let after = { at: since.toISOString(), id: NO_ID }
  while (from < until) {
    const end = new Date(Math.min(from.getTime() + sliceMs, until.getTime()))
    const { rows } = await operator.query(
      `select ${columns}, l.id, l.started_at::text as at from request_logs l
        where (l.started_at, l.id) > ($1::timestamptz, $2::uuid) and l.started_at >= $1::timestamptz and l.started_at < $3
          and ($4::uuid is null or l.organization_id = $4) and ($5::text is null or l.model_group = $5) ${only}
        order by l.started_at, l.id limit $6`,
      [after.at, after.id, end, organizationId, group, PAGE],
    )
    if (rows.length > 0) yield rows
    if (rows.length === PAGE) {
      // Its time as text, since a Date forgets Postgres' microseconds.
      after = rows.at(-1)
      from = rows.at(-1).startedAt
      sliceMs = Math.max(sliceMs / 2, SLICE_MS_LEAST)
    } else {
      after = { at: end.toISOString(), id: NO_ID }
      from = end
      if (rows.length < PAGE / 4) sliceMs = Math.min(sliceMs * 2, SLICE_MS_MOST)
    }
  }
}

/** No row has it, and all come after it. */
const NO_ID = '00000000-0000-0000-0000-000000000000'

/** A deployment by what a reader knows it as. */
export interface DeploymentName {
  readonly id: string
  readonly provider: string
  readonly model: string
  readonly group: string
  /** Of the price book. */
  readonly modelId: string
}

/** Every deployment that there is, disabled ones too. As the operator. */
export async function deploymentNames(operator: Operator): Promise<DeploymentName[]> {
  const { rows } = await operator.query(
    `select d.id, m.provider, d.upstream_model as model, g.name as "group", d.model_id as "modelId"
       from deployments d join models m on m.id = d.model_id join model_groups g on g.id = d.group_id`,
  )
  return rows
}
