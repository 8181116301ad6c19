import { type Fault, verdictOf } from '@nemo/gateway/routing/fault'
import type { AttemptedCall } from '@nemo/postgres/replay-logs'

/** What a latency is of: a stream's first token, each output token of another answer, or the whole of an answer that has none. */
export type Pace = 'first-token' | 'output-token' | 'answer'

export interface Measured {
  readonly ms: number
  /** From how many calls. */
  readonly calls: number
}

/** The part of a span in which attempts are counted together, for all its length, is a thousandth, and not less than this. */
const BUCKET_MS_LEAST = 5 * 60_000
const BUCKETS_MAX = 1_000
/** So many attempts of the whole span count beside those around a call: a single failure is no rate. */
const PRIOR_ATTEMPTS = 5

interface Tally {
  attempts: number
  failures: number
}

interface Sum {
  ms: number
  units: number
  calls: number
}

/** How fast deployments were and how often they failed, from the log itself. What it holds grows with the deployments, not with the calls. */
export class Measures {
  readonly #since: number
  readonly bucketMs: number
  readonly #paces = new Map<string, Sum>()
  readonly #buckets = new Map<string, Tally>()
  readonly #totals = new Map<string, Tally>()
  readonly #all: Tally = { attempts: 0, failures: 0 }
  /** What attempts say that deployments are called: those that are gone have no other name. */
  readonly names = new Map<string, { readonly provider: string; readonly model: string }>()
  /** The latest price that a deployment's calls were charged at. */
  readonly priceVersions = new Map<string, string>()

  constructor(since: Date, until: Date) {
    this.#since = since.getTime()
    this.bucketMs = Math.max((until.getTime() - this.#since) / BUCKETS_MAX, BUCKET_MS_LEAST)
  }

  add({ startedAt, streamed, deploymentId, outputTokens, priceVersionId, attempts }: AttemptedCall): void {
    for (const { deployment_id: id, provider, model, outcome } of attempts) {
      if (!this.names.has(id)) this.names.set(id, { provider, model })
      if (!countsFor(outcome)) continue
      for (const tally of [this.#all, tallyOf(this.#totals, id), tallyOf(this.#buckets, this.#key(id, startedAt))]) {
        tally.attempts++
        if (outcome !== '200') tally.failures++
      }
    }
    const last = attempts.at(-1)
    if (deploymentId === null || last?.outcome !== '200') return
    if (priceVersionId !== null) this.priceVersions.set(deploymentId, priceVersionId)
    const pace = paceOf(streamed, outputTokens)
    const key = `${deploymentId} ${pace}`
    const sum = this.#paces.get(key) ?? { ms: 0, units: 0, calls: 0 }
    this.#paces.set(key, sum)
    sum.ms += last.took_ms
    sum.units += pace === 'output-token' ? outputTokens! : 1
    sum.calls++
  }

  /** Mean milliseconds: to the first token, for each output token, or for the whole answer. Null where no such call was answered there. */
  pace(deploymentId: string, pace: Pace): Measured | null {
    const sum = this.#paces.get(`${deploymentId} ${pace}`)
    return sum ? { ms: sum.ms / sum.units, calls: sum.calls } : null
  }

  /** How likely it is that an attempt there fails at that time. One that was never called in the span is taken to fail as attempts do in all. */
  failureRate(deploymentId: string, at: Date): number {
    const span = this.#totals.get(deploymentId) ?? this.#all
    const prior = span.attempts === 0 ? 0 : span.failures / span.attempts
    let { attempts, failures } = { attempts: PRIOR_ATTEMPTS, failures: PRIOR_ATTEMPTS * prior }
    for (const offset of [-1, 0, 1]) {
      const tally = this.#buckets.get(this.#key(deploymentId, at, offset))
      if (!tally) continue
      attempts += tally.attempts
      failures += tally.failures
    }
    return failures / attempts
  }

  /** Of how many attempts in the span the failure rate is. */
  attempts(deploymentId: string): number {
    return this.#totals.get(deploymentId)?.attempts ?? 0
  }

  #key(deploymentId: string, at: Date, offset = 0): string {
    return `${deploymentId} ${Math.floor((at.getTime() - this.#since) / this.bucketMs) + offset}`
  }
}

export function paceOf(streamed: boolean, outputTokens: number | null): Pace {
  if (streamed) return 'first-token'
  return outputTokens ? 'output-token' : 'answer'
}

/** Whether the outcome is the caller's own mistake, which every deployment would refuse. */
export function isCallersOwn(outcome: string): boolean {
  const status = Number(outcome)
  if (!Number.isInteger(status) || status === 200) return false
  const fault: Fault = { kind: 'status', status, detail: '', param: null, code: null, retryAfterMs: null }
  return verdictOf(fault) === 'tell'
}

/** Whether an outcome says anything of the deployment. */
function countsFor(outcome: string): boolean {
  return outcome !== 'hung-up' && !isCallersOwn(outcome)
}

function tallyOf(tallies: Map<string, Tally>, key: string): Tally {
  const known = tallies.get(key)
  if (known) return known
  const fresh = { attempts: 0, failures: 0 }
  tallies.set(key, fresh)
  return fresh
}
