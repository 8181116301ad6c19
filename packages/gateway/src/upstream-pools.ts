import { Pool } from 'undici'
import type { Upstream } from './snapshot/upstream.ts'

const CONNECT_TIMEOUT_MS = 5_000
const KEEP_ALIVE_MS = 30_000

/** Connections to providers, one pool per origin, shared by all credentials and tenants. */
export class UpstreamPools {
  readonly #pools = new Map<string, Pool>()

  of({ origin }: Pick<Upstream, 'origin'>): Pool {
    let pool = this.#pools.get(origin)
    if (!pool) {
      pool = new Pool(origin, {
        connect: { timeout: CONNECT_TIMEOUT_MS },
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
