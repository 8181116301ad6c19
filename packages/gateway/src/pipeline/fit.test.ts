import type { Limit } from '@nemo/domain/limits'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Expectation } from './expect.ts'
import { holdWhatFits } from './fit.ts'

const limit: Limit = { id: 'l', subject: 'key', subjectId: 'k', resource: 'cost', window: 'total', bound: 0n }

/** A hundred for the prompt, and three for a token. */
function expectation(choices: number): Expectation {
  return {
    inputTokens: 10,
    tokensLikely: 10,
    outputMax: 1_000_000,
    choices,
    asked: {},
    isCapped: false,
    ceilingOf: (output) => 100n + 3n * BigInt(output),
  }
}

test('what is held is the most that there is room for, in whole tokens of each choice; or nothing, where that is of no use', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(50_000),
      fc.nat(20_000),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(10_000),
      fc.boolean(),
      async (room, elsewhere, choices, wanted, givesBack) => {
        const expected = expectation(choices)
        const output = { held: 0, more: wanted * choices }
        let tries = 0
        const free = BigInt(room + (givesBack ? elsewhere : 0))
        const answer = await holdWhatFits(expected, output, async (more) => {
          tries++
          const needed = expected.ceilingOf(more)
          if (needed <= free) return { held: more }
          const held = BigInt(elsewhere)
          const bound = BigInt(room) + held
          return { refusal: { limit, bound, used: 0n, held, needed, elsewhere: held, freeInMs: null } }
        })
        const most = Math.min(Math.floor((Number(free) - 100) / 3 / choices), wanted) * choices
        if ('held' in answer) {
          expect(answer.held).toBe(answer.more)
          expect(answer.more).toBe(most)
        } else expect(most < 16 * choices).toBe(true)
        expect(tries).toBeLessThanOrEqual(4)
      },
    ),
  )
})
