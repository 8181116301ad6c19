const WINDOW_MS = 60_000
const FAILURES_MAX = 10

/**
 * What to do after the failures at these times (ms, the latest last): wait so long and start again, or null, give up. A server that
 * dies ten times in a minute does not get well by starting it, and each start hides the reason further up in its log.
 */
export function restartDelayMs(failedAt: number[], nowMs: number): number | null {
  const recent = failedAt.filter((at) => nowMs - at < WINDOW_MS).length
  if (recent >= FAILURES_MAX) return null
  return Math.min(5000, 50 * 2 ** (recent - 1))
}
