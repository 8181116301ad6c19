/** How long a value is believed while changes are heard of: only a change that was never notified would be missed for so long. */
const BELIEVED_MS = 10 * 60_000
/** How long when they aren't heard of: a revoked key must stop working within a second. */
const BELIEVED_UNHEARD_MS = 1_000
/** How long what doesn't exist is remembered as such. */
const UNKNOWN_MS = 1_000
/** How long a value is believed when the database can't be asked. Nothing is admitted beyond what the ledger holds, whatever is believed. */
const BELIEVED_UNREACHABLE_MS = 20 * 60_000
/** How long a value that is known, but old, is waited for. A database that hangs must not hang every request. */
const PATIENCE_MS = 300
const VALUES_MAX = 200_000

interface Known<V> {
  readonly value: V | null
  readonly loadedAt: number
  /** Until when it may serve without asking, if changes are heard of. */
  readonly believedUntil: number
}

interface Loading<V> {
  readonly value: Promise<V | null>
  readonly since: number
}

/**
 * What belongs to tenants, in memory, loaded when first asked for: virtual keys by their hash, limits by consumer. Many requests for one share one
 * look-up. What an organization changes is looked up again.
 */
export class TenantSnapshot<V extends { readonly organizationId: string }> {
  readonly #load: (name: string) => Promise<V | null>
  readonly #heard: () => boolean
  readonly #now: () => number
  readonly #known = new Map<string, Known<V>>()
  readonly #loading = new Map<string, Loading<V>>()
  /** Grows with every change; a look-up that was under way during a change isn't kept. */
  #changes = 0

  constructor(options: { load: (name: string) => Promise<V | null>; heard: () => boolean; now: () => number }) {
    this.#load = options.load
    this.#heard = options.heard
    this.#now = options.now
  }

  /** The value, at once when it is in memory. Rejects only when it isn't known and the database can't be asked. */
  find(name: string): V | null | Promise<V | null> {
    const now = this.#now()
    const known = this.#known.get(name)
    if (known) {
      const unheardUntil = known.loadedAt + BELIEVED_UNHEARD_MS
      if (now < (this.#heard() ? known.believedUntil : Math.min(known.believedUntil, unheardUntil))) return known.value
    }
    const serves = known?.value && now - known.loadedAt < BELIEVED_UNREACHABLE_MS ? known.value : null
    const underWay = this.#loading.get(name)
    if (serves && underWay && now - underWay.since >= PATIENCE_MS) return serves
    const asked = underWay?.value ?? this.#ask(name, now)
    return serves ? this.#notForLong(asked, serves) : asked
  }

  /** Looks again at the next use: for one organization's values, or for all. */
  forget(organizationId: string | null): void {
    this.#changes++
    for (const [name, known] of this.#known) {
      if (organizationId === null) this.#known.set(name, { ...known, believedUntil: 0 })
      else if (known.value?.organizationId === organizationId) this.#known.delete(name)
    }
  }

  #ask(name: string, now: number): Promise<V | null> {
    const changes = this.#changes
    const value = this.#load(name)
      .then((found) => {
        if (changes === this.#changes) this.#keep(name, found)
        return found
      })
      .finally(() => this.#loading.delete(name))
    this.#loading.set(name, { value, since: now })
    return value
  }

  /** What the database says, if it says so soon; else what was known. */
  #notForLong(asked: Promise<V | null>, known: V): Promise<V | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<V>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, known)
    })
    return Promise.race([asked.catch(() => known), late]).finally(() => clearTimeout(timer))
  }

  #keep(name: string, value: V | null): void {
    if (this.#known.size >= VALUES_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.delete(name)
    const loadedAt = this.#now()
    this.#known.set(name, { value, loadedAt, believedUntil: loadedAt + (value === null ? UNKNOWN_MS : BELIEVED_MS) })
  }
}
