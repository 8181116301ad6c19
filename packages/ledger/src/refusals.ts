import type { Ask, Refusal } from './ask.ts'

/** How long a refusal is believed when nothing says that anything has changed. */
const BELIEVED_MS = 100

/**
 * Refusals of a moment ago. What asks for as much or more of the same limit is refused without asking Postgres, so that a runaway agent costs
 * nothing; whatever may have freed something makes it be asked again.
 */
export class RecentRefusals {
  readonly #byLimit = new Map<string, { refusal: Refusal; until: number }>()

  remember(refusal: Refusal, now: number): void {
    if (this.#byLimit.size > 10_000) this.#byLimit.clear()
    this.#byLimit.set(refusal.limit.id, { refusal, until: now + BELIEVED_MS })
  }

  /** The refusal that the asks would meet again, or null. `roomOf` says what of a limit is there without asking. */
  find(asks: readonly Ask[], now: number, roomOf: (limitId: string) => bigint): Refusal | null {
    if (this.#byLimit.size === 0) return null
    for (const { limit, amount } of asks) {
      const known = this.#byLimit.get(limit.id)
      if (!known) continue
      if (known.until <= now) this.#byLimit.delete(limit.id)
      else if (amount - roomOf(limit.id) >= known.refusal.needed) return known.refusal
    }
    return null
  }

  forget(limitId: string): void {
    this.#byLimit.delete(limitId)
  }

  forgetAll(): void {
    this.#byLimit.clear()
  }
}
