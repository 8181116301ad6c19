import { setTimeout as sleep } from 'node:timers/promises'
import { type RequestLogRow, requestLogsSince } from '@nemo/postgres/request-logs'
import type pg from 'pg'

const POLL_MS = 500
/** A row is recorded when its statement runs, and seen a moment later, when that commits. */
const OVERLAP_MS = 5_000
const PAGE = 2_000
const KNOWN_MAX = 50_000

export interface Following {
  /** Calls that end from now on, each once, in the order they were recorded. Ends with the signal. */
  next(shown: readonly RequestLogRow[], stop: AbortSignal): AsyncGenerator<RequestLogRow[]>
}

/** Begins to follow: whatever is not recorded yet will come. To be called before what is there already is looked at and shown. */
export async function beginFollowing(
  operator: Pick<pg.Pool, 'query'>,
  filter: { organizationId?: string },
): Promise<Following> {
  // The database's clock, since it is what records.
  const { now } = (await operator.query('select clock_timestamp() as now')).rows[0] as { now: Date }
  const since = (moment: Date, limit: number) => requestLogsSince(operator, { ...filter, recordedSince: moment, limit })
  const earlier = (moment: Date) => new Date(moment.getTime() - OVERLAP_MS)
  const seen = new Map<string, Date>()
  for (const row of await since(earlier(now), KNOWN_MAX)) seen.set(row.id, row.recorded_at)

  return {
    async *next(shown, stop) {
      for (const row of shown) seen.set(row.id, row.recorded_at)
      let newest = now
      let from = earlier(now)
      while (!stop.aborted) {
        const rows = await since(from, PAGE)
        const fresh = rows.filter((row) => !seen.has(row.id))
        for (const row of fresh) seen.set(row.id, row.recorded_at)
        if (fresh.length > 0) yield fresh
        const last = rows.at(-1)?.recorded_at
        if (last && last > newest) newest = last
        if (rows.length === PAGE && last && last > from) {
          // There is more than a page: go on where it ended.
          from = last
          continue
        }
        from = earlier(newest)
        for (const [id, recordedAt] of seen) if (recordedAt < from) seen.delete(id)
        await sleep(POLL_MS, undefined, { signal: stop }).catch(() => {})
      }
    },
  }
}
