/** Providers keep a prompt's cache for about so long after its last use. */
const KEPT_MS = 5 * 60_000
const CONVERSATIONS_MAX = 50_000

interface Stay {
  readonly deploymentId: string
  readonly until: number
}

/** Where conversations have been answered lately, so that the next turn finds its prompt in the provider's cache. Each process knows its own. */
export class Conversations {
  /** In the order of their last use. */
  readonly #stays = new Map<string, Stay>()

  /** The deployment that probably holds the conversation's cache, or null. `now` in milliseconds of any clock, always the same. */
  deploymentOf(conversation: string | null, now: number): string | null {
    if (conversation === null) return null
    const stay = this.#stays.get(conversation)
    return stay && now < stay.until ? stay.deploymentId : null
  }

  answeredBy(conversation: string, deploymentId: string, now: number): void {
    this.#stays.delete(conversation)
    if (this.#stays.size >= CONVERSATIONS_MAX) this.#stays.delete(this.#stays.keys().next().value!)
    this.#stays.set(conversation, { deploymentId, until: now + KEPT_MS })
  }
}
