import type pg from 'pg'

const SECONDS = 60

export interface Load {
  readonly requests: number
  readonly tokens: number
}

/** What was sent in the last 60 seconds, by seconds. */
class Meter {
  readonly #seconds = new Float64Array(SECONDS)
  readonly #requests = new Float64Array(SECONDS)
  readonly #tokens = new Float64Array(SECONDS)
  /** The sum of them all, and of which second it is: routing asks for it with every call. */
  #sum: Load = { requests: 0, tokens: 0 }
  #summed = Number.NaN

  add(requests: number, tokens: number, second: number): void {
    const slot = second % SECONDS
    if (this.#seconds[slot] !== second) {
      this.#seconds[slot] = second
      this.#requests[slot] = 0
      this.#tokens[slot] = 0
    }
    this.#requests[slot]! += requests
    this.#tokens[slot]! += tokens
    if (this.#summed === second) {
      this.#sum = { requests: this.#sum.requests + requests, tokens: this.#sum.tokens + tokens }
    }
  }

  load(second: number): Load {
    if (this.#summed !== second) {
      this.#sum = this.#count(second)
      this.#summed = second
    }
    return this.#sum
  }

  #count(second: number): Load {
    let requests = 0
    let tokens = 0
    for (let slot = 0; slot < SECONDS; slot++) {
      if (second - this.#seconds[slot]! >= SECONDS) continue
      requests += this.#requests[slot]!
      tokens += this.#tokens[slot]!
    }
    return { requests, tokens }
  }
}

/**
 * How busy deployments are, by all processes: what this one sent it knows, what the others sent it hears every few seconds. For routing, which keeps
 * away from what has no headroom; advisory, since the provider has the last word anyway.
 */
export class DeploymentLoads {
  readonly #meters = new Map<string, Meter>()
  #others = new Map<string, Load>()

  /** Counts a request at its start, and its tokens at its end. */
  add(deploymentId: string, load: Load, now: number): void {
    let meter = this.#meters.get(deploymentId)
    if (!meter) {
      meter = new Meter()
      this.#meters.set(deploymentId, meter)
    }
    meter.add(load.requests, load.tokens, Math.floor(now / 1000))
  }

  /** What all processes sent there in the last 60 seconds, as far as it is known here. */
  of(deploymentId: string, now: number): Load {
    const own = this.#meters.get(deploymentId)?.load(Math.floor(now / 1000))
    const others = this.#others.get(deploymentId)
    return {
      requests: (own?.requests ?? 0) + (others?.requests ?? 0),
      tokens: (own?.tokens ?? 0) + (others?.tokens ?? 0),
    }
  }

  /** Tells the others, and hears of them. */
  async share(app: Pick<pg.Pool, 'query'>, processId: string, now: number): Promise<void> {
    const own = [...this.#meters].map(([id, meter]) => ({ id, ...meter.load(Math.floor(now / 1000)) }))
    const { rows } = await app.query('select * from share_deployment_loads($1, $2, $3, $4)', [
      processId,
      own.map(({ id }) => id),
      own.map(({ requests }) => requests),
      own.map(({ tokens }) => Math.round(tokens)),
    ])
    this.#others = new Map(
      rows.map((row) => [row.deployment_id, { requests: Number(row.requests), tokens: Number(row.tokens) }]),
    )
  }
}
