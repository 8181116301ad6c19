import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Breaker, type BreakerSettings, failed, isOpen, succeeded, WELL } from './breaker.ts'

const settings: BreakerSettings = { failuresMax: 3, failureWindowMs: 30_000, cooldownMs: 10_000 }

/** A breaker after calls that went as said, one a second from the first on: `x` failed, `.` succeeded. */
function after(calls: string, between = 1_000): Breaker {
  let breaker = WELL
  ;[...calls].forEach((call, i) => {
    const now = 1 + i * between
    breaker = call === 'x' ? failed(breaker, settings, null, now) : well(breaker, now)
  })
  return breaker
}

/** Of a deployment that is well nothing is kept, and so nothing counted. */
const well = (breaker: Breaker, now: number) => (breaker === WELL ? WELL : (succeeded(breaker, settings, now) ?? WELL))

test.each([
  ['xx', false],
  ['xxx', true],
  ['x.x.x', true],
  // Half of the calls or more: fewer are the odd failure of a busy deployment.
  ['x...x.x', false],
  ['x...x.xxx', true],
  // Counting begins with the first failure.
  ['.........xxx', true],
  ['', false],
])('%s: tripped is %s', (calls, tripped) => {
  expect(isOpen(after(calls))).toBe(tripped)
})

test('failures of another window don’t count', () => {
  expect(isOpen(after('xxx', 14_999))).toBe(true)
  expect(isOpen(after('xxx', 15_001))).toBe(false)
  expect(after('xxx', 15_001)).toMatchObject({ failures: 1, calls: 1 })
  expect(isOpen(after('xxxxx', 15_001))).toBe(false)
})

test('it cools for as long as the settings say, and anew when the probe fails', () => {
  const tripped = failed(after('xx'), settings, null, 5_000)
  expect(tripped.coolingUntil).toBe(15_000)
  // What was under way when it tripped says nothing new.
  expect(failed(tripped, settings, null, 14_999)).toBe(tripped)
  expect(failed(tripped, settings, null, 15_000)).toEqual({ ...WELL, coolingUntil: 25_000 })
})

test('a success closes it, whoever made it, and nothing is kept of what is well', () => {
  const tripped = failed(after('xx'), settings, null, 5_000)
  expect(succeeded(tripped, settings, 6_000)).toBeNull()
  expect(succeeded(after('x'), settings, 1_500)).toMatchObject({ failures: 1, calls: 2 })
  expect(succeeded(after('x'), settings, 31_000)).toBeNull()
})

test('a provider that says for how long is left alone at once, for no longer than five minutes', () => {
  expect(failed(WELL, settings, 20_000, 1)).toMatchObject({ coolingUntil: 20_001, asked: true })
  expect(failed(WELL, settings, 86_400_000, 1)).toMatchObject({ coolingUntil: 300_001, asked: true })
  expect(failed(WELL, settings, Number.POSITIVE_INFINITY, 1)).toMatchObject({ coolingUntil: 300_001 })
  expect(isOpen(failed(WELL, settings, 999, 1))).toBe(false)
  // Its word goes over what was reckoned here.
  expect(failed(after('xxx'), settings, 60_000, 5_000)).toMatchObject({ coolingUntil: 65_000, asked: true })
})

test('what was under way when a provider asked to be left alone doesn’t call it back by succeeding', () => {
  const asked = failed(WELL, settings, 20_000, 1_000)
  expect(succeeded(asked, settings, 1_100)).toBe(asked)
  expect(succeeded(asked, settings, 20_999)).toBe(asked)
  expect(succeeded(asked, settings, 21_000)).toBeNull()
})

test('whatever happens, it opens only after so many failures in the window or at the provider’s word, and a cooldown ends', () => {
  const call = fc.record({
    fails: fc.boolean(),
    after: fc.integer({ min: 0, max: 20_000 }),
    asks: fc.option(fc.integer({ min: 0, max: 9e5 })),
  })
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      let [breaker, now] = [WELL, 1]
      const failures: number[] = []
      for (const { fails, after, asks } of calls) {
        now += after
        const before = breaker
        breaker = fails ? failed(breaker, settings, asks, now) : well(breaker, now)
        if (fails) failures.push(now)
        if (!isOpen(breaker)) continue
        expect(fails || before === breaker).toBe(true)
        expect(breaker.coolingUntil - now).toBeLessThanOrEqual(300_000)
        if (!isOpen(before) && !breaker.asked) {
          expect(failures.filter((at) => now - at < settings.failureWindowMs).length).toBeGreaterThanOrEqual(3)
        }
      }
    }),
  )
})
