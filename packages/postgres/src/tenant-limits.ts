import { uuidv7 } from '@nemo/domain/ids'
import type { Resource, Window } from '@nemo/domain/limits'
import type { Transaction } from './tenancy.ts'

/** Whose limits they are: of consumers there are others to see to. */
export interface LimitSubject {
  readonly subject: 'organization' | 'team' | 'key'
  readonly id: string
  readonly organizationId: string
}

/** A limit, and what stands against it now. */
export interface StandingLimit {
  readonly resource: Resource
  readonly window: Window
  readonly bound: bigint
  /** Of a rate, what the log says of the last 60 seconds. Null for parallel requests: only the processes know how many are under way. */
  readonly used: bigint | null
  /** Of money, what processes hold to spend from memory. */
  readonly held: bigint
  /** When the window ends. Null for what has none. */
  readonly resetsAt: Date | null
}

/** Those of `json_agg` below, read. */
export function readStandingLimits(limits: readonly Record<string, string | null>[]): StandingLimit[] {
  return limits.map(({ resource, window, bound, used, held, resetsAt }) => ({
    resource: resource as Resource,
    window: window as Window,
    bound: BigInt(bound!),
    used: used == null ? null : BigInt(used),
    held: BigInt(held!),
    resetsAt: resetsAt == null ? null : new Date(resetsAt),
  }))
}

/** SQL for the limits of a subject, and what stands against them: `id` is of the subject, `calls` says which rows `g` of the log are of it. */
export function standingLimits({ id, calls }: { id: string; calls: string }): string {
  return `coalesce((
           select json_agg(json_build_object('resource', l.resource, 'window', l.window_name, 'bound', l.bound::text,
                    'used', (case l.resource when 'cost' then coalesce(c.used, 0) when 'requests' then r.requests when 'tokens' then r.tokens end)::text,
                    'held', (case l.resource when 'cost' then coalesce(c.held, 0) else 0 end)::text,
                    'resetsAt', window_end(l.window_name, clock_timestamp())) order by l.resource, l.window_name)
             from limits l
             left join counters c on c.limit_id = l.id and c.window_start = window_start(l.window_name, clock_timestamp())
             left join lateral (
               -- What was admitted was sent to a provider, or at least tried.
               select count(*) as requests, coalesce(sum(coalesce(g.input_tokens, 0) + coalesce(g.output_tokens, 0)), 0) as tokens
                 from request_logs g
                where ${calls} and g.attempts <> '[]'
                  and g.started_at > clock_timestamp() - interval '60 seconds') r on l.window_name = 'minute'
            where l.subject_id = ${id} and l.window_name <> 'lifetime'), '[]')`
}

/** As nemo_app of the organization. */
export async function readLimits(
  tx: Transaction,
  { subject, id, organizationId }: LimitSubject,
): Promise<StandingLimit[]> {
  const column = { organization: 'organization_id', team: 'team_id', key: 'key_id' }[subject]
  const calls = `g.organization_id = $2 and g.${column} = $1`
  const { rows } = await tx.query(`select ${standingLimits({ id: '$1', calls })} as limits`, [id, organizationId])
  return readStandingLimits(rows[0].limits)
}

/** Sets a limit, or changes its bound. Throws (23514) where it would exceed one that it is within, or be exceeded by one within it. As nemo_app of the organization, or the operator. */
export async function setLimit(
  tx: Transaction,
  { subject, id, organizationId }: LimitSubject,
  { resource, window, bound }: { readonly resource: Resource; readonly window: Window; readonly bound: bigint },
): Promise<void> {
  await tx.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (subject_id, resource, window_name) do update set bound = excluded.bound`,
    [uuidv7(), organizationId, subject, id, resource, window, bound],
  )
}

/** As nemo_app of the organization. */
export async function liftLimit(
  tx: Transaction,
  { id }: Pick<LimitSubject, 'id'>,
  { resource, window }: { readonly resource: Resource; readonly window: Window },
): Promise<void> {
  await tx.query('delete from limits where subject_id = $1 and resource = $2 and window_name = $3', [
    id,
    resource,
    window,
  ])
}
