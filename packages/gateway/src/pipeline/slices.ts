import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiError } from '@nemo/domain/errors'
import type { Refusal } from '@nemo/ledger/ask'
import type { Hold } from '@nemo/ledger/hold'
import { type Ledger, LedgerUnavailable } from '@nemo/ledger/ledger'
import type { Admission } from './admit.ts'
import type { Expectation } from './expect.ts'
import { holdWhatFits } from './fit.ts'
import { creditCheckFailed, refused } from './refused.ts'
import type { ResolvedRequest } from './resolve.ts'

/** What a stream holds of its output at a time, of each choice. */
const SLICE_TOKENS = 2_048
/** What a model thinks is billed as output and seldom streamed, so that it can't be counted as it comes. */
const SLICE_TOKENS_REASONING = 16_384
/** How much of a slice may be left when the next is asked for. */
const LEFT = 0.3
/** For how long a stream waits for a database that doesn't answer. */
const PATIENCE_MS = 10_000
const RETRY_MS = 100

/** How many output tokens a stream holds at first: all that it may have, or a slice where that is much. */
export function firstSlice(request: ResolvedRequest): number {
  return Math.min(sliceOf(request), request.expectation.outputMax)
}

function sliceOf({ expectation, deployments }: ResolvedRequest): number {
  const reasons = deployments.some(({ model }) => model.capabilities.includes('reasoning'))
  return (reasons ? SLICE_TOKENS_REASONING : SLICE_TOKENS) * expectation.choices
}

/**
 * Pays for a stream as it grows: the next slice is held while the present one is given out. To hold all that a stream without a cap might come to would refuse honest
 * traffic.
 */
export class Slices {
  /** Why nothing more was held when it was asked for last. */
  refusal: ApiError | null = null
  readonly #ledger: Ledger
  readonly #hold: Hold
  readonly #expectation: Expectation
  readonly #slice: number
  #held: number
  /** At how many tokens more is asked for. */
  #askAt: number
  #asking: Promise<void> | null = null

  constructor(ledger: Ledger, { hold, output }: Admission, request: ResolvedRequest) {
    this.#ledger = ledger
    this.#hold = hold
    this.#expectation = request.expectation
    this.#slice = sliceOf(request)
    this.#held = output
    this.#askAt = output - output * LEFT
  }

  /** How many output tokens are held. */
  get held(): number {
    return this.#held
  }

  /** Whether so many tokens are held for. Asks for more in time. Called with every chunk. */
  cover(tokens: number): boolean {
    if (tokens >= this.#askAt) {
      this.#askAt = Number.POSITIVE_INFINITY
      this.#asking = this.#ask()
    }
    return tokens <= this.#held || this.#isWhole
  }

  /** Resolves when it is known whether more could be held; at once if nothing is being asked. */
  async answered(): Promise<void> {
    await this.#asking
  }

  /** All that the call may come to is held. A provider that exceeds even this has broken its word, which is for the settlement to deal with. */
  get #isWhole(): boolean {
    return this.#held >= this.#expectation.outputMax
  }

  async #ask(): Promise<void> {
    this.refusal = null
    const more = Math.min(this.#slice, this.#expectation.outputMax - this.#held)
    try {
      const answer = await holdWhatFits(this.#expectation, { held: this.#held, more }, (tokens) => this.#extend(tokens))
      if ('refusal' in answer) this.refusal = refused(answer.refusal, null)
      else this.#held += answer.more
      // What is refused now may be there by the time that it is needed.
      if (!this.#isWhole) this.#askAt = 'refusal' in answer ? this.#held : this.#held - answer.more * LEFT
    } catch (error) {
      this.refusal = creditCheckFailed(error)
      this.#askAt = this.#held
    }
  }

  async #extend(tokens: number): Promise<{ refusal: Refusal } | { held: true }> {
    const { ceilingOf } = this.#expectation
    const amount = ceilingOf(this.#held + tokens) - ceilingOf(this.#held)
    const limits = this.#hold.asks.filter(({ limit }) => limit.resource === 'cost').map(({ limit }) => limit)
    if (amount === 0n || limits.length === 0) return { held: true }
    const asks = limits.map((limit) => ({ limit, amount }))
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        const refusal = await this.#ledger.extend(this.#hold, asks)
        return refusal ? { refusal } : { held: true }
      } catch (error) {
        if (!(error instanceof LedgerUnavailable) || performance.now() > deadline) throw error
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }
}
