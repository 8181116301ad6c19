import { formatUsd } from '@nemo/domain/money'
import type pg from 'pg'
import { inTransaction, type Transaction } from './tenancy.ts'
import { emitEvent } from './webhook-events.ts'

/** An endpoint as tenants see it. Nobody sees its secret but once. */
export interface WebhookEndpoint {
  readonly id: string
  readonly url: string
  readonly description: string
  readonly events: readonly string[]
  readonly enabled: boolean
  /** `asked` by someone; `failing` for days; `gone`, since it answered 410. */
  readonly disabled_because: 'asked' | 'failing' | 'gone' | null
  readonly failing_since: Date | null
  /** Until when the secret before this one signs too. */
  readonly previous_secret_until: Date | null
  readonly created_at: Date
}

const ENDPOINT = `id, url, description, events, enabled, disabled_because, failing_since,
  case when previous_secret_until > clock_timestamp() then previous_secret_until end as previous_secret_until, created_at`

export interface NewWebhookEndpoint {
  readonly id: string
  readonly organizationId: string
  readonly url: string
  readonly description: string
  readonly events: readonly string[]
  readonly sealedSecret: Buffer
}

/** Null when the organization has as many as it may. As nemo_app of the organization, like all that follow up to `replayDelivery`. */
export async function createWebhookEndpoint(
  tx: Transaction,
  wanted: NewWebhookEndpoint,
): Promise<WebhookEndpoint | null> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('webhook endpoints ' || $1, 0))`, [
    wanted.organizationId,
  ])
  const { rows } = await tx.query(
    `insert into webhook_endpoints (id, organization_id, url, description, events, secret)
     select $1, $2, $3, $4, $5, $6 where (select count(*) from webhook_endpoints) < $7 returning ${ENDPOINT}`,
    [
      wanted.id,
      wanted.organizationId,
      wanted.url,
      wanted.description,
      wanted.events,
      wanted.sealedSecret,
      ENDPOINTS_MAX,
    ],
  )
  return rows[0] ?? null
}

export const ENDPOINTS_MAX = 50

export async function listWebhookEndpoints(
  tx: Transaction,
  page: { readonly limit: number; readonly after?: string | undefined },
): Promise<WebhookEndpoint[]> {
  const { rows } = await tx.query(
    `select ${ENDPOINT} from webhook_endpoints where $1::uuid is null or id < $1 order by id desc limit $2`,
    [page.after ?? null, page.limit],
  )
  return rows
}

export async function findWebhookEndpoint(tx: Transaction, id: string): Promise<WebhookEndpoint | null> {
  const { rows } = await tx.query(`select ${ENDPOINT} from webhook_endpoints where id = $1`, [id])
  return rows[0] ?? null
}

export interface WebhookEndpointChanges {
  readonly url?: string | undefined
  readonly description?: string | undefined
  readonly events?: readonly string[] | undefined
  readonly enabled?: boolean | undefined
}

/** Null when there is none. One that is switched on again gets what has waited for it, but for what is older than anything is tried for. */
export async function updateWebhookEndpoint(
  tx: Transaction,
  id: string,
  { url, description, events, enabled }: WebhookEndpointChanges,
): Promise<WebhookEndpoint | null> {
  const { rows } = await tx.query(
    `update webhook_endpoints e set url = coalesce($2, url), description = coalesce($3, description), events = coalesce($4, events),
       enabled = coalesce($5, enabled),
       disabled_because = case when coalesce($5, enabled) then null else coalesce(disabled_because, 'asked') end,
       failing_since = case when $5 and not enabled then null else failing_since end
      where id = $1 returning ${ENDPOINT}`,
    [id, url ?? null, description ?? null, events ?? null, enabled ?? null],
  )
  if (rows[0] && enabled) {
    await tx.query(
      `update webhook_deliveries set state = 'dead', finished_at = clock_timestamp()
        where endpoint_id = $1 and state = 'pending' and created_at < clock_timestamp() - interval '4 days'`,
      [id],
    )
  }
  return rows[0] ?? null
}

/** Puts another secret in the place of the one there is, which signs too for as long as `overlapSeconds` says. Null when there is no such endpoint. */
export async function rotateWebhookSecret(
  tx: Transaction,
  id: string,
  sealedSecret: Buffer,
  overlapSeconds: number,
): Promise<WebhookEndpoint | null> {
  const { rows } = await tx.query(
    `update webhook_endpoints set secret = $2,
       previous_secret_until = case when $3 > 0 then clock_timestamp() + $3 * interval '1 second' end
      where id = $1 returning ${ENDPOINT}`,
    [id, sealedSecret, overlapSeconds],
  )
  return rows[0] ?? null
}

/** With everything that was on its way to it. Null when there was none. */
export async function deleteWebhookEndpoint(tx: Transaction, id: string): Promise<WebhookEndpoint | null> {
  const { rows } = await tx.query(`delete from webhook_endpoints where id = $1 returning ${ENDPOINT}`, [id])
  return rows[0] ?? null
}

export interface WebhookDelivery {
  readonly id: string
  readonly endpoint_id: string
  readonly event_id: string
  readonly event_type: string
  readonly state: 'pending' | 'delivered' | 'dead'
  readonly tries: number
  readonly created_at: Date
  /** Null once there is no next try. */
  readonly next_try_at: Date | null
  readonly finished_at: Date | null
  readonly last_status: number | null
  readonly last_error: string | null
}

const DELIVERIES = `
  select d.id, d.endpoint_id, d.event_id, v.type as event_type, d.state, d.tries, d.created_at,
         case d.state when 'pending' then d.next_try_at end as next_try_at, d.finished_at, a.status as last_status, a.error as last_error
    from webhook_deliveries d join webhook_events v on v.id = d.event_id
    left join lateral (select status, error from webhook_attempts where delivery_id = d.id order by at desc limit 1) a on true`

/** Newest first. */
export async function listWebhookDeliveries(
  tx: Transaction,
  filter: { readonly endpointId: string; readonly state?: string | undefined },
  page: { readonly limit: number; readonly after?: string | undefined },
): Promise<WebhookDelivery[]> {
  const { rows } = await tx.query(
    `${DELIVERIES} where d.endpoint_id = $1 and ($2::text is null or d.state = $2)
        and ($3::uuid is null or (d.created_at, d.id) < (select created_at, id from webhook_deliveries where id = $3))
      order by d.created_at desc, d.id desc limit $4`,
    [filter.endpointId, filter.state ?? null, page.after ?? null, page.limit],
  )
  return rows
}

export interface WebhookAttempt {
  readonly at: Date
  readonly status: number | null
  readonly error: string | null
  readonly duration_ms: number
  readonly response: string | null
}

/** One of them with the text that is sent and every try, oldest first. Null when there is none. */
export async function findWebhookDelivery(
  tx: Transaction,
  id: string,
): Promise<(WebhookDelivery & { readonly body: string; readonly attempts: readonly WebhookAttempt[] }) | null> {
  const delivery = (await tx.query(`${DELIVERIES} where d.id = $1`, [id])).rows[0]
  if (!delivery) return null
  const body = (await tx.query('select body from webhook_events where id = $1', [delivery.event_id])).rows[0].body
  const attempts = await tx.query(
    'select at, status, error, duration_ms, response from webhook_attempts where delivery_id = $1 order by at limit 100',
    [id],
  )
  return { ...delivery, body, attempts: attempts.rows }
}

/** Lets a delivery begin again, whatever became of it, as the same event with the same id. False when there is none. */
export async function replayDelivery(tx: Transaction, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update webhook_deliveries set state = 'pending', tries = 0, next_try_at = clock_timestamp(), finished_at = null where id = $1`,
    [id],
  )
  return rowCount === 1
}

/** A delivery that is to be tried now, by nobody else. */
export interface DueDelivery {
  readonly id: string
  readonly organizationId: string
  readonly endpointId: string
  readonly eventId: string
  /** Which try this is. */
  readonly tries: number
  readonly url: string
  readonly body: string
  readonly sealedSecrets: readonly Buffer[]
}

/**
 * Takes deliveries that are due, a few of each endpoint so that a slow one keeps no other waiting. They are tried again by anyone once the lease has passed
 * without a word: a delivery comes at least once. As the operator.
 */
export async function claimDeliveries(
  operator: Pick<pg.Pool, 'query'>,
  {
    max,
    perEndpoint,
    busyEndpoints,
    leaseMs,
  }: { max: number; perEndpoint: number; busyEndpoints: readonly string[]; leaseMs: number },
): Promise<DueDelivery[]> {
  const { rows } = await operator.query(
    `with due as (
       select d.id from webhook_endpoints e cross join lateral (
         select d.id, d.next_try_at from webhook_deliveries d
          where d.endpoint_id = e.id and d.state = 'pending' and d.next_try_at <= clock_timestamp()
          order by d.next_try_at limit $2 for update skip locked) d
        where e.enabled and e.id <> all($4::uuid[]) order by d.next_try_at limit $1)
     update webhook_deliveries d set tries = d.tries + 1, next_try_at = clock_timestamp() + $3 * interval '1 millisecond'
       from due, webhook_endpoints e, webhook_events v
      where d.id = due.id and e.id = d.endpoint_id and v.id = d.event_id
      returning d.id, d.organization_id, d.endpoint_id, d.event_id, d.tries, e.url, v.body, e.secret,
        case when e.previous_secret_until > clock_timestamp() then e.previous_secret end as previous_secret`,
    [max, perEndpoint, leaseMs, busyEndpoints],
  )
  return rows.map((row) => ({
    id: row.id,
    organizationId: row.organization_id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    tries: row.tries,
    url: row.url,
    body: row.body,
    sealedSecrets: row.previous_secret ? [row.secret, row.previous_secret] : [row.secret],
  }))
}

export interface Attempt {
  readonly id: string
  readonly status: number | null
  readonly error: string | null
  readonly durationMs: number
  readonly response: string | null
}

/** What follows from a try. */
export interface AttemptOutcome {
  readonly delivered: boolean
  /** Of one that failed: when it is tried next; null when it isn't any more. */
  readonly nextTryMs: number | null
  /** Switches the endpoint off at once. */
  readonly gone: boolean
  /** Switches it off when this was the last try and nothing has reached it for so long. */
  readonly failingMaxMs: number
}

/**
 * Writes a try into the log and what follows from it. A claim that has passed to someone else changes nothing but the log. Answers with why the endpoint
 * was switched off, when it was. In a transaction as the operator.
 */
export async function recordAttempt(
  tx: Transaction,
  delivery: DueDelivery,
  attempt: Attempt,
  outcome: AttemptOutcome,
): Promise<'failing' | 'gone' | null> {
  const state = outcome.delivered ? 'delivered' : outcome.nextTryMs === null || outcome.gone ? 'dead' : 'pending'
  const { rowCount } = await tx.query(
    `update webhook_deliveries set state = $3, next_try_at = clock_timestamp() + $4 * interval '1 millisecond',
       finished_at = case when $3 <> 'pending' then clock_timestamp() end
      where id = $1 and state = 'pending' and tries = $2`,
    [delivery.id, delivery.tries, state, outcome.nextTryMs ?? 0],
  )
  // Where the endpoint was deleted meanwhile there is nothing to write to.
  await tx.query(
    `insert into webhook_attempts (id, organization_id, delivery_id, status, error, duration_ms, response)
     select $1, $2, $3, $4, $5, $6, $7 where exists (select from webhook_deliveries where id = $3 for key share)`,
    [
      attempt.id,
      delivery.organizationId,
      delivery.id,
      attempt.status,
      attempt.error,
      attempt.durationMs,
      attempt.response,
    ],
  )
  if (rowCount === 0) return null
  if (outcome.delivered) {
    await tx.query('update webhook_endpoints set failing_since = null where id = $1 and failing_since is not null', [
      delivery.endpointId,
    ])
    return null
  }
  const { rows } = await tx.query(
    `update webhook_endpoints e set failing_since = coalesce(e.failing_since, clock_timestamp()), enabled = w.off is null, disabled_because = w.off
       from (select id, case when $2 then 'gone'
                             when $3 and failing_since < clock_timestamp() - $4 * interval '1 millisecond' then 'failing' end as off
               from webhook_endpoints where id = $1 for update) w
      where e.id = w.id and e.enabled returning disabled_because`,
    [delivery.endpointId, outcome.gone, state === 'dead', outcome.failingMaxMs],
  )
  return rows[0]?.disabled_because ?? null
}

/** Makes events of the limits that were crossed since it was last asked; answers with how many there were. As the operator. */
export async function announceLimitEvents(operator: pg.Pool): Promise<number> {
  return inTransaction(operator, async (tx) => {
    const { rows } = await tx.query(
      `with crossed as (
         update limit_events set announced = true where (limit_id, window_start, percent) in (
           select limit_id, window_start, percent from limit_events where not announced order by at limit 100 for update skip locked)
         returning limit_id, window_start, percent, organization_id, at)
       select c.*, l.subject, l.subject_id, l.consumer, l.resource, l.window_name, l.bound::text,
              case l.subject when 'key' then (select alias from virtual_keys where id = l.subject_id)
                             when 'team' then (select name from teams where id = l.subject_id)
                             when 'consumer' then l.consumer
                             else (select name from organizations where id = l.subject_id) end as name
         from crossed c join limits l on l.id = c.limit_id order by c.at`,
    )
    for (const row of rows) {
      await emitEvent(tx, {
        organizationId: row.organization_id,
        type: 'limit.crossed',
        at: row.at,
        data: {
          limit_id: row.limit_id,
          subject: { type: row.subject, id: row.subject_id, name: row.name },
          resource: row.resource,
          window: row.window_name,
          window_start: row.window_start,
          percent: row.percent,
          bound: row.resource === 'cost' ? usd(BigInt(row.bound)) : Number(row.bound),
        },
      })
    }
    return rows.length
  })
}

function usd(nanos: bigint): string {
  const [whole, fraction = ''] = formatUsd(nanos).split('.')
  return `${whole}.${fraction.padEnd(2, '0')}`
}

/** Deletes events, with their deliveries and attempts, that are older than 30 days: some thousands at a time. As the operator. */
export async function forgetOldEvents(operator: Pick<pg.Pool, 'query'>): Promise<number> {
  const { rowCount } = await operator.query(
    `delete from webhook_events where id in (
       select id from webhook_events where created_at < clock_timestamp() - interval '30 days' order by created_at limit 5000)`,
  )
  return rowCount ?? 0
}
