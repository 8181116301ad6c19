import { expect, test } from 'vitest'
import { type Place, Tries } from './tries.ts'

/** `a b | c !d`: groups apart by bars; with an exclamation mark what is cooling. */
function places(text: string): Place<string>[] {
  const hops = text.split('|').flatMap((group, link) =>
    group
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map((name) => ({
        deployment: name.replace('!', ''),
        link,
        lastResort: name.startsWith('!'),
      })),
  )
  return [...hops.filter((hop) => !hop.lastResort), ...hops.filter((hop) => hop.lastResort)]
}

function run(tries: Tries<string>): string {
  const order: string[] = []
  for (let next = tries.next; next; next = tries.next) {
    order.push(next.deployment)
    tries.tried()
  }
  return order.join(' ')
}

test.each([
  ['a', 0, 'a'],
  ['a', 2, 'a a a'],
  ['a b c d', 2, 'a b c'],
  ['a b', 2, 'a b a'],
  ['a b | c', 1, 'a b c c'],
  ['a | b | c', 0, 'a b c'],
  ['a !b | c !d', 1, 'a a c c b d b d'],
  ['!a | !b', 2, 'a b a b a b'],
  ['!a | !b', 0, 'a b'],
  ['!a !b !c | !d', 0, 'a d'],
  ['!a !b | !c', 1, 'a c b a'],
  ['', 2, ''],
])('%s, with %i retries: %s', (given, retries, order) => {
  expect(run(new Tries(places(given), retries))).toBe(order)
})

test('what is no use is passed over, and takes nothing of what may be tried', () => {
  const tries = new Tries(places('a b c | d'), 1)
  tries.keep((name) => name !== 'b')
  expect(run(tries)).toBe('a c d d')
})

test('what is left out meanwhile is tried after all others, and not more often than it would have been', () => {
  const tries = new Tries(places('a b | c !d'), 1)
  tries.postpone()
  expect(run(tries)).toBe('b b c c d a d')
  const alone = new Tries(places('a'), 2)
  alone.tried()
  alone.postpone()
  expect(alone.next).toMatchObject({ deployment: 'a', lastResort: true })
  expect(run(alone)).toBe('a a')
})

test('a group may be given up, and it is known whether there is another place', () => {
  const tries = new Tries(places('a b | c'), 5)
  expect(tries.hasElsewhere).toBe(true)
  tries.tried()
  tries.moveOn()
  expect([tries.next?.deployment, tries.hasElsewhere]).toEqual(['c', false])
  tries.moveOn()
  expect([tries.next, tries.hasElsewhere]).toEqual([null, false])
})
