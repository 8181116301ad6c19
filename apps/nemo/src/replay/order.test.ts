import { STRATEGIES } from '@nemo/domain/routing-settings'
import { decide, isFull, type Question } from '@nemo/gateway/routing/decide'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { courseOf, orderOf, scoresByLink } from './order.ts'

const anyFacts = fc.record({
  weight: fc.integer({ min: 1, max: 9 }),
  inFlight: fc.nat(9),
  requests: fc.nat(9),
  requestsMax: fc.option(fc.integer({ min: 1, max: 9 })),
  tokens: fc.constant(0),
  tokensMax: fc.constant(null),
  latencyMs: fc.option(fc.nat(9)),
  costNanos: fc.nat(9),
  cooling: fc.constant(null),
})
const anyQuestion = fc
  .tuple(
    fc.nat(2 ** 32 - 1),
    fc.array(
      fc.record({
        strategy: fc.constantFrom(...STRATEGIES),
        facts: fc.array(anyFacts, { minLength: 0, maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(
    ([seed, links]): Question => ({
      seed,
      sticky: null,
      links: links.map(({ strategy, facts }, link) => ({
        strategy,
        facts: facts.map((one, at) => ({ ...one, id: `${link}.${at}` })),
      })),
    }),
  )

test('scores are those that it was decided by: nobody with a worse one comes first', () => {
  let explored = 0
  fc.assert(
    fc.property(anyQuestion, (question) => {
      const scores = scoresByLink(question)
      const order = decide(question)
      for (const [i, { link, at }] of order.entries()) {
        const next = order[i + 1]
        if (next?.link !== link) continue
        const { facts, strategy } = question.links[link]!
        const [one, other] = [facts[at]!, facts[next.at]!]
        if (isFull(one) !== isFull(other)) continue
        expect(scores[link]![at]!).toBeLessThanOrEqual(scores[link]![next.at]!)
        if (strategy === 'latency-based' && (one.latencyMs ?? 0) > (other.latencyMs ?? 0)) explored++
      }
    }),
    { numRuns: 3_000 },
  )
  // One decision in twenty doesn't look at the latency, and its scores say so.
  expect(explored).toBeGreaterThan(0)
})

const PAIR: Question = {
  seed: 1,
  sticky: null,
  links: [1, 2].map((link) => ({
    strategy: 'cost-based',
    facts: [1, 2].map((at) => ({
      ...{ id: `${link}.${at}`, weight: 1, inFlight: 0, requests: 0, requestsMax: null, tokens: 0, tokensMax: null },
      ...{ latencyMs: null, costNanos: at, cooling: null },
    })),
  })),
}

test('what was passed over isn’t in the order, and what was put off comes last', () => {
  const order = orderOf(PAIR, [['1.2', 'logit_bias']])
  expect(order.map(({ deploymentId }) => deploymentId)).toEqual(['1.1', '2.1', '2.2'])
  const course = courseOf(order, [['1.1', 0]])
  expect(course.map(({ deploymentId }) => deploymentId)).toEqual(['2.1', '2.2', '1.1'])
  expect(courseOf(order, [])).toEqual(order)
})
