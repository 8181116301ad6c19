const MINUTE_MS = 60_000
/** So many callers are remembered; beyond that those who have been longest away are forgotten, so that memory is bounded whoever calls. */
const CALLERS_MAX = 20_000

/**
 * How often each caller calls this process: `perMinute` at once, and as many per minute after that. It keeps one caller from taking the
 * process, and is no bound over a fleet; what must be exact (guessing passwords) is counted in Postgres.
 */
export class CallRate {
  readonly #emptyAt = new Map<string, number>()
  readonly #stepMs: number

  constructor(perMinute: number) {
    this.#stepMs = MINUTE_MS / perMinute
  }

  /** Counts a call: 0 when it may pass, else the seconds until one may. */
  count(caller: string, now: number): number {
    const before = Math.max(this.#emptyAt.get(caller) ?? 0, now)
    const emptyAt = before + this.#stepMs
    const refused = emptyAt - now > MINUTE_MS
    // Who is refused stays among those who called last: else calling on would be how to be forgotten.
    this.#emptyAt.delete(caller)
    this.#emptyAt.set(caller, refused ? before : emptyAt)
    if (refused) return Math.ceil((emptyAt - now - MINUTE_MS) / 1000)
    if (this.#emptyAt.size > CALLERS_MAX) this.#emptyAt.delete(this.#emptyAt.keys().next().value!)
    return 0
  }
}

/** What an address is counted as: of IPv6 the network that one customer gets. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = '', tail = ''] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  const last = tail.split(':').filter(Boolean)
  while (groups.length + last.length < 8) groups.push('0')
  return `${[...groups, ...last].slice(0, 4).join(':')}::/64`
}
