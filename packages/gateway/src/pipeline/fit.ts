import type { Nanos } from '@nemo/domain/money'
import type { Refusal } from '@nemo/ledger/ask'
import type { Expectation } from './expect.ts'

/** A shorter answer than this is of no use to anyone: rather none. Tokens of one choice. */
export const OUTPUT_TOKENS_LEAST = 16
/** Each refusal may come of another limit, and says less than the one before. */
const TRIES = 4

/**
 * Holds the longest output that every limit has room for, up to so many tokens beyond those that are held already. `hold` tries to; it answers with a refusal, or with
 * what it holds. Where not even the least fits, the answer is the refusal.
 */
export async function holdWhatFits<T>(
  expectation: Expectation,
  output: { readonly held: number; readonly more: number },
  hold: (more: number) => Promise<{ readonly refusal: Refusal } | { readonly held: T }>,
): Promise<{ readonly refusal: Refusal } | { readonly held: T; readonly more: number }> {
  const { choices } = expectation
  const before = output.held === 0 ? 0n : expectation.ceilingOf(output.held)
  let { more } = output
  for (let tries = 1; ; tries++) {
    const answer = await hold(more)
    if ('held' in answer) return { ...answer, more }
    const { refusal } = answer
    if (refusal.limit.resource !== 'cost' || tries === TRIES) return answer
    const fits = (room: Nanos) => {
      const most = longest(more - 1, (tokens) => expectation.ceilingOf(output.held + tokens) - before <= room)
      return Math.floor(most / choices) * choices
    }
    // What others hold idle they give back when it is asked for; if they don't, it is known by the second try.
    const room = refusal.bound - refusal.used - refusal.held
    more = fits(tries === 1 ? room + refusal.elsewhere : room)
    if (more < OUTPUT_TOKENS_LEAST * choices) return answer
  }
}

/** The largest number up to `most` that passes, where all below one that passes do too; -1 if none does. */
export function longest(most: number, passes: (tokens: number) => boolean): number {
  let [low, high] = [-1, most]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (passes(middle)) low = middle
    else high = middle - 1
  }
  return low
}
