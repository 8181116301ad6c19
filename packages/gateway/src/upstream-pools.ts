import { Pool } from 'undici'
import { DEFAULT_SETTINGS } from './settings.ts'
import type { Upstream } from './snapshot/upstream.ts'

const KEEP_ALIVE_MS = 30_000

/** Connections to providers, one pool per origin, shared by all credentials and tenants. */
export class UpstreamPools {
  readonly #pools = new Map<string, Pool>()
  readonly #connectTimeoutMs: number

  constructor(connectTimeoutMs = DEFAULT_SETTINGS.connectTimeoutMs) {
    this.#connectTimeoutMs = connectTimeoutMs
  }

  of({ origin }: Pick<Upstream, 'origin'>): Pool {
    let pool = this.#pools.get(origin)
    if (!pool) {
      pool = new Pool(origin, {
        connect: { timeout: this.#connectTimeoutMs },
        keepAliveTimeout: KEEP_ALIVE_MS,
        pipelining: 1,
        allowH2: false,
      })
      this.#pools.set(origin, pool)
    }
    return pool
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()))
  }
}
