import { setTimeout as sleep } from 'node:timers/promises'
import type { Control } from '../control.ts'
import { leaveStripe } from './leave-stripe.ts'
import { tellOfLowBalances, tellOfPausedTopUps } from './letters.ts'
import { takeBackAllReleased } from './released.ts'
import { deskOf } from './routes.ts'
import { settleStale } from './settle-stale.ts'
import { topUp } from './top-up.ts'

const TOP_UP_MS = 2_000
const LETTERS_MS = 15_000
const STALE_MS = 30_000
/** How long Stripe's events may take before it is asked. */
const PENDING_MS = 60_000

/**
 * What billing does by itself, in every process: top up, ask Stripe about purchases that stay pending, have it forget who left, write to who runs low. All of it may be
 * done by several at once. Answers with what stops it, which resolves when nothing is under way.
 */
export function runBilling(control: Control): () => Promise<void> {
  const stop = new AbortController()
  const every = async (ms: number, name: string, act: () => Promise<void>) => {
    while (!stop.signal.aborted) {
      await act().catch((err) => control.log.warn({ err }, `${name} failed, and is tried again`))
      await sleep(ms, undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
  }
  const running = [
    every(LETTERS_MS, 'telling of low balances', () => tellOfLowBalances(control)),
    every(LETTERS_MS, 'telling of paused top-ups', () => tellOfPausedTopUps(control)),
  ]
  if (control.stripe)
    running.push(
      every(TOP_UP_MS, 'topping up', () => topUp(deskOf(control))),
      every(STALE_MS, 'asking about purchases', () => settleStale(deskOf(control), PENDING_MS, Date.now())),
      every(STALE_MS, 'having customers deleted', () => leaveStripe(deskOf(control))),
      every(STALE_MS, 'taking back what calls held', () => takeBackAllReleased(deskOf(control))),
    )
  return async () => {
    stop.abort()
    await Promise.all(running)
  }
}
