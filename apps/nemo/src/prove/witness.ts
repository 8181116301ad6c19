import { parseUsd } from '@nemo/domain/money'
import type { RefusedLimit, Sight } from './call.ts'

/** An answer that began, and so must be in the log. Times are of `performance.now()`. */
export interface Answer {
  readonly requestId: string
  readonly slot: number
  readonly generation: number
  readonly beganAt: number
  readonly endedAt: number
  readonly complete: boolean
  /** What the client was told that it is charged. */
  readonly costNanos: bigint | null
}

/** What the clients saw, gathered while everything runs. */
export class Witness {
  readonly answers: Answer[] = []
  readonly statuses: Record<string, number> = {}
  /** Refusals whose own numbers say that the call would have fitted. */
  readonly unfoundedRefusals: object[] = []
  /** What no fault and no kill explains. */
  readonly surprises: object[] = []
  calls = 0
  hangUps = 0

  see(sight: Sight, where: { slot: number; generation: number; beganAt: number }): void {
    this.calls++
    if (sight.hungUp) this.hangUps++
    const { status, code, requestId } = sight
    const label =
      status === null ? (sight.hungUp ? 'hung up' : 'no answer') : code === null ? `${status}` : `${status} ${code}`
    this.statuses[label] = (this.statuses[label] ?? 0) + 1
    if (status === 200 && requestId !== null) {
      const { complete, costNanos } = sight
      this.answers.push({ requestId, ...where, endedAt: performance.now(), complete, costNanos })
    }
    if (sight.limit && isUnfounded(sight.limit)) this.unfoundedRefusals.push({ requestId, code, ...sight.limit })
    if (code !== null && SURPRISING.has(code)) this.surprises.push({ requestId, status, code })
  }
}

/** Each key is good, each request well-formed, and nothing may fail inside. */
const SURPRISING = new Set(['internal_error', 'invalid_api_key', 'model_not_found', 'not JSON'])

/** Whether a refusal's own numbers say that the call would have fitted. */
export function isUnfounded({ bound, used, held, needed }: RefusedLimit): boolean {
  return amountOf(used) + amountOf(held) + amountOf(needed) <= amountOf(bound)
}

/** `$0.25` is an amount of money, in nanodollars; anything else a count. */
function amountOf(text: string): bigint {
  return text.startsWith('$') ? parseUsd(text.slice(1)) : BigInt(text)
}
