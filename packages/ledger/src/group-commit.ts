interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * One call in flight; whatever arrives meanwhile joins the next. A lone item goes out at once, and under load a round trip is
 * shared by all that wait for it.
 */
export class GroupCommit<Item, Result> {
  readonly #act: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #batchMax: number
  #waiting: Waiting<Item, Result>[] = []
  #running = false
  #inFlight: Promise<unknown> = Promise.resolve()
  #whenIdle: (() => void)[] = []

  /** `act` answers with one result per item, in order. If it throws, every item of the batch is rejected with that error. */
  constructor(act: (items: readonly Item[]) => Promise<readonly Result[]>, batchMax: number) {
    this.#act = act
    this.#batchMax = batchMax
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  get pending(): number {
    return this.#waiting.length
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  /** Resolves when the call that is in flight now, if one is, has been answered and its results acted upon. */
  async arrived(): Promise<void> {
    await this.#inFlight
  }

  async #run(): Promise<void> {
    this.#running = true
    // What arrives in the same turn of the event loop shares the first round trip already.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#batchMax)
      const acting = this.#act(batch.map((waiting) => waiting.item))
      this.#inFlight = acting.catch(() => {})
      try {
        const results = await acting
        for (let i = 0; i < batch.length; i++) batch[i]!.resolve(results[i]!)
      } catch (error) {
        for (const waiting of batch) waiting.reject(error)
      }
    }
    this.#running = false
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
