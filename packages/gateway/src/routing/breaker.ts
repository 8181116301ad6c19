/** When a deployment is left out, and for how long. Times in milliseconds. */
export interface BreakerSettings {
  readonly failuresMax: number
  readonly failureWindowMs: number
  readonly cooldownMs: number
}

/** What a circuit breaker knows of one deployment, for one organization or for all. Nothing is kept of one that is well. */
export interface Breaker {
  readonly failures: number
  readonly calls: number
  /** When the counting began; it begins anew when the window has passed. */
  readonly since: number
  /** Until when it is left out; 0 while it isn't. Afterwards it is half open: one probe may go there, and what comes of it decides. */
  readonly coolingUntil: number
  /** The provider itself said so, and isn't asked before. */
  readonly asked: boolean
}

/** No provider's word keeps a deployment out for longer. */
const ASKED_MAX_MS = 5 * 60_000
/** A provider that wants to be left alone for less is only waited for by the call that it told so. */
const ASKED_MIN_MS = 1_000

export const WELL: Breaker = { failures: 0, calls: 0, since: 0, coolingUntil: 0, asked: false }

export function isOpen({ coolingUntil }: Breaker): boolean {
  return coolingUntil > 0
}

/**
 * After a failure: it trips when there were as many as the settings allow in the window, and at least half of the calls failed; at once when a probe fails or the provider
 * says for how long it wants to be left alone.
 */
export function failed(breaker: Breaker, settings: BreakerSettings, retryAfterMs: number | null, now: number): Breaker {
  if (retryAfterMs !== null && retryAfterMs >= ASKED_MIN_MS) {
    return { ...WELL, coolingUntil: now + Math.min(retryAfterMs, ASKED_MAX_MS), asked: true }
  }
  if (isOpen(breaker)) {
    // What was under way when it tripped says nothing new; a probe, which comes when the time is up, does.
    return now < breaker.coolingUntil ? breaker : { ...WELL, coolingUntil: now + settings.cooldownMs }
  }
  const isFresh = breaker.calls > 0 && now - breaker.since < settings.failureWindowMs
  const failures = (isFresh ? breaker.failures : 0) + 1
  const calls = (isFresh ? breaker.calls : 0) + 1
  if (failures >= settings.failuresMax && failures * 2 >= calls)
    return { ...WELL, coolingUntil: now + settings.cooldownMs }
  return { failures, calls, since: isFresh ? breaker.since : now, coolingUntil: 0, asked: false }
}

/**
 * After a success: what was open closes, whoever tried it; what counts failures counts a call. While a provider wants to be left alone nobody goes there, so that what succeeds then was under way
 * before it said so. Null when nothing need be kept.
 */
export function succeeded(breaker: Breaker, settings: BreakerSettings, now: number): Breaker | null {
  if (breaker.asked && now < breaker.coolingUntil) return breaker
  if (isOpen(breaker) || now - breaker.since >= settings.failureWindowMs) return null
  return { ...breaker, calls: breaker.calls + 1 }
}
