import { hash } from 'node:crypto'
import type { Transaction } from './tenancy.ts'

export interface RateLimit {
  /** What is limited, and of whom. Kept as a hash. */
  readonly bucket: string
  readonly max: number
  readonly seconds: number
}

/**
 * Counts one more against each limit, over all processes: null when all of them have room, else the seconds until the fullest one has. `max` may come at
 * once, and one more every `seconds / max` after that (the generic cell rate algorithm). As nemo_identity.
 */
export async function countAgainst(identity: Transaction, limits: readonly RateLimit[]): Promise<number | null> {
  if (limits.length === 0) return null
  // In one order, so that two callers with the same buckets can't wait for each other.
  const sorted = [...limits].sort((a, b) => (a.bucket < b.bucket ? -1 : 1))
  const { rows } = await identity.query(
    `with wanted as (
       select bucket, seconds, make_interval(secs => seconds::float8 / max) as step
         from unnest($1::bytea[], $2::integer[], $3::integer[]) as t (bucket, max, seconds)),
     counted as (
       insert into rate_limits as r (bucket, empty_at)
       select bucket, clock_timestamp() + step from wanted
       on conflict (bucket) do update
          set empty_at = greatest(r.empty_at, clock_timestamp()) + (select step from wanted w where w.bucket = r.bucket)
        where greatest(r.empty_at, clock_timestamp()) + (select step from wanted w where w.bucket = r.bucket)
              <= clock_timestamp() + (select make_interval(secs => seconds) from wanted w where w.bucket = r.bucket)
       returning bucket)
     select ceil(max(coalesce(extract(epoch from r.empty_at + w.step - clock_timestamp()) - w.seconds, 1)))::integer as wait
       from wanted w left join rate_limits r using (bucket) where w.bucket not in (select bucket from counted)`,
    [
      sorted.map(({ bucket }) => Buffer.from(hash('sha256', bucket, 'hex'), 'hex')),
      sorted.map(({ max }) => max),
      sorted.map(({ seconds }) => seconds),
    ],
  )
  return rows[0].wait === null ? null : Math.max(1, rows[0].wait)
}
