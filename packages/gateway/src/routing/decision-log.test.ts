import { expect, test } from 'vitest'
import {
  type CarriedOut,
  type LoggedDecision,
  readDecision,
  type WrittenDecision,
  writeDecision,
} from './decision-log.ts'

const FACTS = {
  id: 'a',
  weight: 1,
  inFlight: 2,
  requests: 3,
  requestsMax: null,
  tokens: 4,
  tokensMax: 5,
  latencyMs: null,
  costNanos: 6,
  cooling: { by: 'platform', asked: false, ms: 7 },
} as const
const DECISION: LoggedDecision = {
  question: { seed: 1, sticky: 'a', links: [{ strategy: 'cost-based', facts: [FACTS] }] },
  expected: [10, 20],
  links: [{ group: 'g', excluded: [['b', 'tags:eu']] }],
}
const CARRIED_OUT: CarriedOut = { passedOver: [['c', 'logit_bias']], postponed: [['a', 1]] }
const written = () => JSON.parse(JSON.stringify(writeDecision(DECISION, CARRIED_OUT)))

test('a decision is read as it was written, with what became of it', () => {
  expect(readDecision(written())).toEqual({ ...DECISION, ...CARRIED_OUT })
})

test.each<[string, (decision: ReturnType<typeof written>) => unknown]>([
  ['nothing', () => null],
  ['no object', () => 'decided'],
  ['no version', ({ version, ...rest }) => rest],
  ['another version', (one) => ({ ...one, version: one.version + 1 })],
  ['no seed', ({ seed, ...rest }) => rest],
  ['an unknown strategy', (one) => ({ ...one, links: [{ ...one.links[0], strategy: 'by-moon' }] })],
  ['facts of another shape', (one) => ({ ...one, links: [{ ...one.links[0], facts: [{ id: 'a' }] }] })],
  ['more facts', (one) => ({ ...one, links: [{ ...one.links[0], facts: [[...one.links[0].facts[0], 1]] }] })],
  ['fewer facts', (one) => ({ ...one, links: [{ ...one.links[0], facts: [one.links[0].facts[0].slice(0, 8)] }] })],
  ['another way of cooling', (one) => withCooling(one, { by: 'moon', asked: false, ms: 1 })],
  ['other expectations', (one) => ({ ...one, expected: 30 })],
  ['other reasons', (one) => ({ ...one, links: [{ ...one.links[0], excluded: { b: 'tags' } }] })],
  ['something else postponed', (one) => ({ ...one, postponed: 1 })],
  ['something else passed over', (one) => ({ ...one, passedOver: ['c'] })],
])('a row with %s is said to be unreadable, and not guessed at', (_, change) => {
  expect(readDecision(change(written()))).toBeNull()
})

function withCooling(decision: WrittenDecision, cooling: object): object {
  const [link] = decision.links
  return { ...decision, links: [{ ...link, facts: [[...link!.facts[0]!.slice(0, 9), cooling]] }] }
}
