/** What a limit bounds. `cost` is in nanodollars, the others are counts. */
export type Resource = 'cost' | 'requests' | 'tokens' | 'parallel'

/**
 * Over which span. `lifetime` is the prepaid credit balance, whose bound purchases raise; `total` is a budget without a reset;
 * `month`, `week` (from Monday) and `day` are calendar windows in UTC; `minute` is *any* 60 seconds; `now` counts what is in flight.
 */
export type Window = 'lifetime' | 'total' | 'month' | 'week' | 'day' | 'minute' | 'now'

export type Subject = 'organization' | 'team' | 'key' | 'consumer'

/** A bound on one resource of one subject over one window. Its counters are the truth in Postgres; this is only its name and bound. */
export interface Limit {
  readonly id: string
  readonly subject: Subject
  readonly subjectId: string
  readonly resource: Resource
  readonly window: Window
  readonly bound: bigint
}

/** How a limit reads in an error and in the database: `key.requests.minute`. */
export function nameOfLimit(limit: Pick<Limit, 'subject' | 'resource' | 'window'>): string {
  return `${limit.subject}.${limit.resource}.${limit.window}`
}

/** The prepaid balance is the one limit that money is put into. */
export function isCredits(limit: Pick<Limit, 'resource' | 'window'>): boolean {
  return limit.resource === 'cost' && limit.window === 'lifetime'
}
