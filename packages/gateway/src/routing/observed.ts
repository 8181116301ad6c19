/** Latencies older than this say nothing of the present: the deployment is worth a try. */
const FRESH_MS = 30_000
/** What the latest call counts for beside those before it. */
const WEIGHT = 0.3

interface Latency {
  ms: number
  /** What the time was for: output tokens, or one first token. */
  tokens: number
  at: number
}

/** What this process sees of deployments: how many requests are under way, and how fast they have been. Each process has its own view. */
export class Observed {
  readonly #inFlight = new Map<string, number>()
  /** To the first token of streams, and for each output token of other answers: not to be compared with each other. */
  readonly #streams = new Map<string, Latency>()
  readonly #answers = new Map<string, Latency>()

  begin(id: string): void {
    this.#inFlight.set(id, this.inFlight(id) + 1)
  }

  end(id: string): void {
    const left = this.inFlight(id) - 1
    if (left > 0) this.#inFlight.set(id, left)
    else this.#inFlight.delete(id)
  }

  inFlight(id: string): number {
    return this.#inFlight.get(id) ?? 0
  }

  /**
   * Notes how long a call took, and for how many output tokens. Times and tokens are averaged by themselves: an answer of one token, which is all waiting, hardly counts beside long ones, so that
   * who asks for such doesn't make a deployment look slow to others. `now` and `ms` in milliseconds.
   */
  took(id: string, streamed: boolean, ms: number, now: number, tokens = 1): void {
    const latencies = streamed ? this.#streams : this.#answers
    const known = latencies.get(id)
    const before = known && now - known.at < FRESH_MS ? known : { ms, tokens }
    latencies.set(id, { ms: average(before.ms, ms), tokens: average(before.tokens, tokens), at: now })
  }

  /** Recent milliseconds, to the hundredth; null where there are none recent enough. */
  latencyMs(id: string, streamed: boolean, now: number): number | null {
    const known = (streamed ? this.#streams : this.#answers).get(id)
    return known && now - known.at < FRESH_MS ? Math.round((known.ms / known.tokens) * 100) / 100 : null
  }
}

function average(before: number, latest: number): number {
  return before + WEIGHT * (latest - before)
}
