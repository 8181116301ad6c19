import type { VirtualKey } from '@nemo/postgres/virtual-keys'

/** How long a key is believed while changes are heard of; a second look then costs one query a minute and key. */
const BELIEVED_MS = 60_000
/** How long when they aren't heard of: a revoked key must stop working within a second. */
const BELIEVED_UNHEARD_MS = 1_000
/** How long an unknown key is remembered as unknown. */
const UNKNOWN_MS = 1_000
/** How long a key is believed when the database can't be asked at all. Nothing is admitted without the database, whatever is believed. */
const BELIEVED_UNREACHABLE_MS = 300_000
const KEYS_MAX = 200_000

interface Known {
  readonly key: VirtualKey | null
  readonly loadedAt: number
}

/**
 * Virtual keys in memory, by hash, loaded when first seen. Many requests for one key share one look-up. What an organization
 * changes makes its keys be looked up again.
 */
export class KeySnapshot {
  readonly #load: (hash: Buffer) => Promise<VirtualKey | null>
  readonly #heard: () => boolean
  readonly #now: () => number
  readonly #known = new Map<string, Known>()
  readonly #loading = new Map<string, Promise<VirtualKey | null>>()
  /** Grows with every change; a look-up that was under way during a change isn't kept. */
  #changes = 0

  constructor(options: {
    load: (hash: Buffer) => Promise<VirtualKey | null>
    heard: () => boolean
    now: () => number
  }) {
    this.#load = options.load
    this.#heard = options.heard
    this.#now = options.now
  }

  /** The key of this hash, at once when it is in memory. Rejects only when the key isn't known and the database can't be asked. */
  find(hash: string): VirtualKey | null | Promise<VirtualKey | null> {
    const known = this.#known.get(hash)
    if (known) {
      const believed = known.key === null ? UNKNOWN_MS : this.#heard() ? BELIEVED_MS : BELIEVED_UNHEARD_MS
      if (this.#now() - known.loadedAt < believed) return known.key
    }
    return this.#ask(hash, known)
  }

  /** Looks again at the next use: for one organization's keys, or for all. */
  forget(organizationId: string | null): void {
    this.#changes++
    if (organizationId === null) {
      // Kept, but too old to be believed without asking: they serve only while the database can't be reached.
      for (const [hash, known] of this.#known)
        this.#known.set(hash, { key: known.key, loadedAt: this.#now() - BELIEVED_MS })
      return
    }
    for (const [hash, known] of this.#known) if (known.key?.organizationId === organizationId) this.#known.delete(hash)
  }

  #ask(hash: string, known: Known | undefined): Promise<VirtualKey | null> {
    const underWay = this.#loading.get(hash)
    if (underWay) return underWay
    const changes = this.#changes
    const asked = this.#load(Buffer.from(hash, 'latin1'))
      .then(
        (key) => {
          if (changes === this.#changes) this.#keep(hash, key)
          return key
        },
        (error) => {
          if (known?.key && this.#now() - known.loadedAt < BELIEVED_UNREACHABLE_MS) return known.key
          throw error
        },
      )
      .finally(() => this.#loading.delete(hash))
    this.#loading.set(hash, asked)
    return asked
  }

  #keep(hash: string, key: VirtualKey | null): void {
    if (this.#known.size >= KEYS_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.delete(hash)
    this.#known.set(hash, { key, loadedAt: this.#now() })
  }
}
