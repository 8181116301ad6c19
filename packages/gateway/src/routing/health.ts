import { type Breaker, type BreakerSettings, failed, isOpen, succeeded, WELL } from './breaker.ts'
import type { Cooling } from './decide.ts'
import { blameOf, type Fault } from './fault.ts'

/** A deployment that is left out, or is well again: for one organization, or, without one, for everyone. */
export interface HealthState {
  readonly organizationId: string | null
  readonly deploymentId: string
  /** For how long from now; 0 when it is well again. */
  readonly coolingMs: number
  /** The provider itself said so. */
  readonly asked: boolean
}

export interface HealthChange extends HealthState {
  readonly fault: string
}

/** Who hears of changes, and who may probe. Neither is waited for by a request. */
export interface HealthSharing {
  /** Tells the other processes, and whoever starts later. */
  publish(change: HealthChange): void
  /** Asks to be the one process that probes; answers whether it is. */
  claimProbe(organizationId: string | null, deploymentId: string): Promise<boolean>
}

/** What is the platform's own fault is judged alike for all tenants. */
export const PLATFORM: BreakerSettings = { failuresMax: 3, failureWindowMs: 30_000, cooldownMs: 10_000 }

/** A claim that wasn't granted isn't repeated sooner: whoever has it needs time for the probe. */
const CLAIM_AGAIN_MS = 500
/** More than ever fail at once; what doesn't fit is the oldest, and forgotten. */
const BREAKERS_MAX = 20_000

interface Entry {
  breaker: Breaker
  /** Of one that is half open: whether this process may send a probe, or has, and when it may ask again. */
  probe: 'none' | 'granted' | 'sent'
  claimAgainAt: number
  /** Of what counts for all: an organization to which something happened that it may have brought about itself, since anyone's call last succeeded; null where it happened to none. */
  suspect: string | null
}

/**
 * How deployments fare, by organization: one tenant's failures never leave a deployment out for another. Beside it, for all tenants, what is the platform's own fault: our
 * credential is refused, a host can't be reached. What may be that or a tenant's own doing counts for all once it has happened to two. Failures are counted by each process; that a deployment is
 * left out, or well again, every process knows within a second.
 */
export class Health {
  /** By deployment, so that those of which nothing is known cost a decision one look; then by organization, or null for what counts for all. Both in the order of their last change. */
  readonly #entries = new Map<string, Map<string | null, Entry>>()
  #count = 0
  readonly #sharing: HealthSharing

  constructor(sharing: HealthSharing) {
    this.#sharing = sharing
  }

  /** Why the organization's calls are to leave the deployment alone for now; null when they needn't. `now` is of `performance.now()`. */
  coolingOf(organizationId: string, deploymentId: string, now: number): Cooling | null {
    if (!this.#entries.has(deploymentId)) return null
    const own = this.#cooling(organizationId, deploymentId, now)
    return own?.asked ? own : (this.#cooling(null, deploymentId, now) ?? own)
  }

  /** A call goes there: if it is a probe, no other does until it has come back. */
  begin(organizationId: string, deploymentId: string): void {
    if (!this.#entries.has(deploymentId)) return
    for (const of of [null, organizationId]) {
      const entry = this.#entryOf(of, deploymentId)
      if (entry?.probe === 'granted') entry.probe = 'sent'
    }
  }

  succeeded(organizationId: string, deploymentId: string, settings: BreakerSettings, now: number): void {
    if (!this.#entries.has(deploymentId)) return
    this.#succeed(null, deploymentId, PLATFORM, now)
    this.#succeed(organizationId, deploymentId, settings, now)
  }

  failed(organizationId: string, deploymentId: string, fault: Fault, settings: BreakerSettings, now: number): void {
    const blame = blameOf(fault)
    if (blame === 'platform') this.#fail(null, deploymentId, fault, PLATFORM, now)
    if (blame === 'provider' || blame === 'either') this.#fail(organizationId, deploymentId, fault, settings, now)
    if (blame === 'either') this.#suspect(organizationId, deploymentId, fault, now)
    this.ended(organizationId, deploymentId, now)
  }

  /** A call has ended without a word on what is still half open: if it was the probe, the next call is. Else who sends what can't succeed, or hangs up, would keep a deployment out. */
  ended(organizationId: string, deploymentId: string, now: number): void {
    if (!this.#entries.has(deploymentId)) return
    for (const of of [null, organizationId]) {
      const entry = this.#entryOf(of, deploymentId)
      if (entry?.probe === 'sent' && now >= entry.breaker.coolingUntil) entry.probe = 'granted'
    }
  }

  /** Another process has left a deployment out, or found it well. */
  heard({ organizationId, deploymentId, coolingMs, asked }: HealthState, now: number): void {
    if (coolingMs <= 0) this.#forget(organizationId, deploymentId)
    else this.#keep(organizationId, deploymentId, { ...WELL, coolingUntil: now + coolingMs, asked })
  }

  /** All that is left out now, as it is stored, in place of what was believed to be: something may have been missed. A cooldown that is over is half open. */
  restore(states: readonly HealthState[], now: number): void {
    for (const [deploymentId, entries] of this.#entries) {
      for (const [organizationId, { breaker }] of entries) {
        if (isOpen(breaker)) this.#forget(organizationId, deploymentId)
      }
    }
    for (const { organizationId, deploymentId, coolingMs, asked } of states)
      this.#keep(organizationId, deploymentId, { ...WELL, coolingUntil: Math.max(now + coolingMs, 1), asked })
  }

  #cooling(organizationId: string | null, deploymentId: string, now: number): Cooling | null {
    const entry = this.#entryOf(organizationId, deploymentId)
    if (!entry || !isOpen(entry.breaker)) return null
    const { coolingUntil, asked } = entry.breaker
    const by = organizationId === null ? 'platform' : 'organization'
    if (now < coolingUntil) return { by, asked, ms: Math.ceil(coolingUntil - now) }
    if (entry.probe === 'granted') return null
    if (now >= entry.claimAgainAt) void this.#claim(entry, organizationId, deploymentId, now)
    return { by, asked: false, ms: 0 }
  }

  /** What can't be asked may be tried: the database's failure is no reason to leave a provider out. */
  async #claim(entry: Entry, organizationId: string | null, deploymentId: string, now: number): Promise<void> {
    entry.claimAgainAt = now + CLAIM_AGAIN_MS
    if (await this.#sharing.claimProbe(organizationId, deploymentId).catch(() => true)) entry.probe = 'granted'
  }

  #succeed(organizationId: string | null, deploymentId: string, settings: BreakerSettings, now: number): void {
    const entry = this.#entryOf(organizationId, deploymentId)
    if (!entry) return
    entry.suspect = null
    const { breaker } = entry
    const next = succeeded(breaker, settings, now)
    if (next !== null) {
      entry.breaker = next
      return
    }
    this.#forget(organizationId, deploymentId)
    if (isOpen(breaker)) this.#sharing.publish({ organizationId, deploymentId, coolingMs: 0, asked: false, fault: '' })
  }

  /** A failure that may be the tenant's own doing: by itself none leaves a deployment out for others, however often it fails, nor keeps it out. */
  #suspect(organizationId: string, deploymentId: string, fault: Fault, now: number): void {
    const entry = this.#entryOf(null, deploymentId)
    const { breaker } = entry ?? { breaker: WELL }
    const isOld = !isOpen(breaker) && now - breaker.since >= PLATFORM.failureWindowMs
    const suspect = (isOld ? null : entry?.suspect) ?? organizationId
    if (suspect !== organizationId) this.#fail(null, deploymentId, fault, PLATFORM, now)
    else {
      const after = failed(breaker, PLATFORM, null, now)
      if (!isOpen(after)) this.#keep(null, deploymentId, after)
    }
    this.#entryOf(null, deploymentId)!.suspect = suspect
  }

  #fail(
    organizationId: string | null,
    deploymentId: string,
    fault: Fault,
    settings: BreakerSettings,
    now: number,
  ): void {
    const before = this.#entryOf(organizationId, deploymentId)?.breaker ?? WELL
    const after = failed(before, settings, fault.kind === 'status' ? fault.retryAfterMs : null, now)
    if (after === before) return
    this.#keep(organizationId, deploymentId, after)
    if (!isOpen(after)) return
    const { coolingUntil, asked } = after
    this.#sharing.publish({
      organizationId,
      deploymentId,
      coolingMs: Math.ceil(coolingUntil - now),
      asked,
      fault: fault.detail.slice(0, 200),
    })
  }

  #entryOf(organizationId: string | null, deploymentId: string): Entry | undefined {
    return this.#entries.get(deploymentId)?.get(organizationId)
  }

  #keep(organizationId: string | null, deploymentId: string, breaker: Breaker): void {
    this.#forget(organizationId, deploymentId)
    if (this.#count >= BREAKERS_MAX) this.#forgetOldest()
    const entries = this.#entries.get(deploymentId) ?? new Map<string | null, Entry>()
    this.#entries.delete(deploymentId)
    const entry: Entry = { breaker, probe: 'none', claimAgainAt: 0, suspect: null }
    this.#entries.set(deploymentId, entries.set(organizationId, entry))
    this.#count++
  }

  #forgetOldest(): void {
    const [deploymentId, entries] = this.#entries.entries().next().value!
    const [organizationId] = entries.keys()
    this.#forget(organizationId!, deploymentId)
  }

  #forget(organizationId: string | null, deploymentId: string): void {
    const entries = this.#entries.get(deploymentId)
    if (!entries?.delete(organizationId)) return
    this.#count--
    if (entries.size === 0) this.#entries.delete(deploymentId)
  }
}
