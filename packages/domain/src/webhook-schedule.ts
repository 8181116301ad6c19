const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** What is waited after each try that failed: Standard Webhooks' example, 75½ hours in all. */
const WAITS_MS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]

export const TRIES_MAX = WAITS_MS.length + 1

/** An endpoint that nothing reached for so long is not tried any more. */
export const FAILING_MAX_MS = 3 * 24 * HOUR

/**
 * Milliseconds until the next try after `tries` failed ones; null when that was the last. A tenth more or less by chance (0 to 1), so that what failed together
 * doesn't come back together; at least what the receiver asked for, up to a day.
 */
export function waitBeforeNextTry(tries: number, chance: number, retryAfterMs = 0): number | null {
  const wait = WAITS_MS[tries - 1]
  if (wait === undefined) return null
  return Math.max(Math.round(wait * (0.9 + 0.2 * chance)), Math.min(retryAfterMs, 24 * HOUR))
}

/** Milliseconds that a `retry-after` header asks for: seconds or a date (RFC 9110, section 10.2.3). 0 when it says nothing. */
export function retryAfterMsOf(header: string | undefined, now: number): number {
  if (header === undefined) return 0
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * SECOND
  const date = Date.parse(header)
  return Number.isNaN(date) ? 0 : Math.max(0, date - now)
}
