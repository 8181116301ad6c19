import { ApiError } from '@nemo/domain/errors'

/** Of all organizations, in one process. */
const AT_ONCE = 3

/**
 * The exports under way. Each holds a connection for as long as its reader takes, of those that all tenants share: so there are few at once, and one of
 * an organization.
 */
export class Exports {
  readonly #of = new Set<string>()

  /** Throws 429 where there is no room for one more. */
  insistOnRoom(organizationId: string): void {
    if (this.#of.has(organizationId) || this.#of.size >= AT_ONCE)
      throw new ApiError(429, 'export_under_way', 'An export is under way: wait until it is done.', {
        headers: { 'retry-after': '30' },
      })
  }

  /** The same parts, from the first to the last of which it counts. Of several that found room at once, some may end here. */
  async *of<T>(organizationId: string, parts: AsyncIterable<T>): AsyncGenerator<T> {
    this.insistOnRoom(organizationId)
    this.#of.add(organizationId)
    try {
      yield* parts
    } finally {
      this.#of.delete(organizationId)
    }
  }
}
