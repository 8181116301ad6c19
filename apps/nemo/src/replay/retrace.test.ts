import { drawsFrom } from '@nemo/gateway/routing/draws'
import { Tries } from '@nemo/gateway/routing/tries'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Turn } from './order.ts'
import { retrace } from './retrace.ts'

const turn = (deploymentId: string, link = 0, lastResort = false): Turn => ({ deploymentId, link, lastResort })
const attempt = (deployment_id: string, outcome: string, kind: string) => ({ deployment_id, outcome, kind })

const anyOrder = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
  .chain((sizes) => fc.tuple(fc.constant(sizes), fc.array(fc.boolean(), { minLength: 16, maxLength: 16 })))
  .map(([sizes, cooling]) => {
    const turns = sizes.flatMap((size, link) => Array.from({ length: size }, (_, i) => turn(`${link}.${i}`, link)))
    const isCooling = (_: Turn, i: number) => cooling[i]!
    return [
      ...turns.filter((one, i) => !isCooling(one, i)),
      ...turns.filter(isCooling).map((one) => ({ ...one, lastResort: true })),
    ]
  })

/** Goes through an order as a call does, with faults and an impatience of its own. */
function goThrough(order: readonly Turn[], retriesMax: number, draw: () => number) {
  const tries = new Tries(
    order.map((one) => ({ deployment: one, link: one.link, lastResort: one.lastResort })),
    retriesMax,
  )
  const contexts = new Map(order.map((one) => [one, Math.floor(draw() * 4)]))
  const attempts: ReturnType<typeof attempt>[] = []
  const postponed: [string, number][] = []
  let last: Turn | null = null
  for (let next = tries.next; next; next = tries.next) {
    const { deployment, link } = next
    if (last && draw() < 0.1) {
      tries.moveOn()
      continue
    }
    if (!next.lastResort && draw() < 0.15) {
      postponed.push([deployment.deploymentId, attempts.length])
      tries.postpone()
      continue
    }
    tries.tried()
    const outcome = OUTCOMES[Math.floor(draw() * OUTCOMES.length)]!
    const kind = last === null ? 'first' : last.link === link ? 'retry' : 'fallback'
    attempts.push(attempt(deployment.deploymentId, outcome, kind))
    last = deployment
    if (outcome === '200' || outcome === 'hung-up') break
    if (outcome === '401') tries.keep((other) => other !== deployment)
    if (outcome === '400') tries.keep((other) => contexts.get(other)! > contexts.get(deployment)!)
  }
  return { attempts, postponed }
}

const OUTCOMES = ['200', '500', '503', 'timeout', 'connect', '401', '400', 'hung-up'] as const

test('whatever a call does with its order follows from it, and another first choice doesn’t', () => {
  fc.assert(
    fc.property(anyOrder, fc.nat(3), fc.nat(2 ** 31), (order, retriesMax, seed) => {
      const { attempts, postponed } = goThrough(order, retriesMax, drawsFrom(seed))
      expect(retrace(order, attempts, postponed)).toEqual([])
      if (attempts.length === 0 || postponed.length > 0) return
      const [first, ...rest] = attempts
      for (const other of order.slice(1))
        expect(retrace(order, [{ ...first!, deployment_id: other.deploymentId }, ...rest])).not.toEqual([])
    }),
    { numRuns: 3_000 },
  )
})

const PAIR = [turn('a'), turn('b'), turn('c', 1)]

test.each<[string, ReturnType<typeof attempt>[], RegExp]>([
  [
    'a turn that was skipped',
    [attempt('a', '500', 'first'), attempt('a', '200', 'retry')],
    /went to a, and b was next/,
  ],
  [
    'a group that was returned to',
    [attempt('a', '500', 'first'), attempt('c', '500', 'fallback'), attempt('b', '200', 'fallback')],
    /attempt 3 went to b/,
  ],
  ['a deployment that isn’t in the order', [attempt('z', '200', 'first')], /z, which isn't in the order/],
  ['an attempt after the answer', [attempt('a', '200', 'first'), attempt('b', '200', 'retry')], /had ended with 200/],
  [
    'a retry where the credential was refused',
    [attempt('a', '401', 'first'), attempt('b', '500', 'retry'), attempt('a', '200', 'retry')],
    /attempt 3 went to a/,
  ],
  [
    'a fallback that is logged as a retry',
    [attempt('a', '500', 'first'), attempt('c', '200', 'retry')],
    /is logged as a retry/,
  ],
])('%s doesn’t follow', (_, attempts, says) => {
  expect(retrace(PAIR, attempts).join()).toMatch(says)
})

test('after an input that was too long, what is too small is passed over, and not before', () => {
  const order = [turn('a'), turn('b'), turn('c')]
  expect(retrace(order, [attempt('a', '400', 'first'), attempt('c', '200', 'retry')])).toEqual([])
  expect(retrace(order, [attempt('a', '500', 'first'), attempt('c', '200', 'retry')])).not.toEqual([])
})
