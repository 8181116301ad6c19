import type { Limit } from '@nemo/domain/limits'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Share, Sum } from './allotment.ts'

const RUNS = Number(process.env.NEMO_PROPERTY_RUNS ?? 300)
const limit = (resource: Limit['resource'], window: Limit['window']): Limit => ({
  id: 'l',
  subject: 'key',
  subjectId: 'k',
  resource,
  window,
  bound: 1_000n,
})
const EPOCH = '1970-01-01T00:00:00.000Z'

/** One step of a share's or a sum's life, and how many milliseconds pass before it. */
interface Step {
  readonly do: 'take' | 'end' | 'grow' | 'release' | 'drain' | 'collect'
  readonly after: number
  readonly amount: number
  readonly which: number
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('take', 'take', 'take', 'end', 'end', 'grow', 'release', 'drain', 'collect'),
  after: fc.oneof(fc.nat({ max: 900 }), fc.nat({ max: 30_000 }), fc.constantFrom(59_999, 60_000, 60_001, 61_000)),
  amount: fc.integer({ min: 1, max: 40 }),
  which: fc.nat(),
})
const steps = fc.array(step, { minLength: 1, maxLength: 60 })

describe('a share of a rate', () => {
  test('is room once, and again when its minute has passed', () => {
    const share = new Share(limit('requests', 'minute'), 'o', EPOCH, 0)
    share.grow(2n)
    share.take(2n, 500)
    expect([share.room(500), share.room(60_499), share.room(60_999), share.room(61_000)]).toEqual([0n, 0n, 0n, 2n])
  })

  test('says when so much of it is free again, and never of more than it is', () => {
    const share = new Share(limit('requests', 'minute'), 'o', EPOCH, 0)
    share.grow(3n)
    share.take(1n, 0)
    share.take(2n, 5_000)
    expect([share.freeInMs(1n, 5_000), share.freeInMs(2n, 5_000), share.freeInMs(4n, 5_000)]).toEqual([
      56_000,
      61_000,
      null,
    ])
  })

  test('in no 60 seconds admits more than it is, whatever happens in between', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const share = new Share(limit('tokens', 'minute'), 'o', EPOCH, 0)
        const admitted: { at: number; amount: number; share: bigint }[] = []
        const taken: { amount: bigint; mark: number; entry: { at: number; amount: number } }[] = []
        let now = 0
        let size = 0n
        let told = 0n
        for (const { do: what, after, amount, which } of script) {
          now += after
          switch (what) {
            case 'take': {
              if (share.room(now) < BigInt(amount)) break
              const entry = { at: now, amount, share: size }
              admitted.push(entry)
              taken.push({ amount: BigInt(amount), mark: share.take(BigInt(amount), now), entry })
              break
            }
            case 'end': {
              const [part] = taken.splice(which % Math.max(taken.length, 1), 1)
              if (!part) break
              // What is used counts; less than was expected is less than was admitted.
              const actual = BigInt(which % (Number(part.amount) + 1))
              share.end(part.amount, actual, part.mark, now)
              part.entry.amount = Number(actual)
              break
            }
            case 'grow':
              share.grow(BigInt(amount))
              size += BigInt(amount)
              break
            case 'release':
            case 'drain':
              share[what](now)
              break
            case 'collect': {
              const returned = share.collect()
              size -= returned
              told += returned
            }
          }
          // Another process may have the rest as soon as it is given back: what counts in the last minute must fit in what is left.
          const counted = admitted.filter(({ at }) => at > now - 60_000).reduce((sum, one) => sum + one.amount, 0)
          const returned = share.collect()
          size -= returned
          told += returned
          expect(counted).toBeLessThanOrEqual(Number(size))
          expect(share.booked).toBe(size + told)
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('drained, is left with nothing of what it was once its minute has passed', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const share = new Share(limit('tokens', 'minute'), 'o', EPOCH, 0)
        share.grow(100n)
        let now = 0
        for (const { after, amount } of script) {
          now += after
          if (share.room(now) >= BigInt(amount)) share.take(BigInt(amount), now)
        }
        share.drain(now)
        share.grow(7n)
        expect(share.room(now)).toBe(7n)
        expect(share.room(now + 62_000)).toBe(7n)
        expect(share.collect()).toBe(100n)
      }),
      { numRuns: RUNS },
    )
  })

  test('of parallel requests is free when one ends, and drained it leaves with those under way', () => {
    const share = new Share(limit('parallel', 'now'), 'o', EPOCH, 0)
    share.grow(2n)
    const mark = share.take(1n, 0)
    share.take(1n, 0)
    expect(share.room(120_000)).toBe(0n)
    share.end(1n, 0n, mark, 120_000)
    expect(share.room(120_000)).toBe(1n)
    share.drain(120_000)
    share.grow(1n)
    expect(share.room(120_000)).toBe(1n)
    share.end(1n, 0n, mark, 120_001)
    expect([share.room(120_001), share.collect()]).toEqual([1n, 2n])
  })

  test('of which little is used asks for no more', () => {
    const share = new Share(limit('requests', 'minute'), 'o', EPOCH, 0)
    share.grow(100n)
    share.take(40n, 0)
    expect(share.refillWant(0)).toBe(0n)
    share.take(20n, 0)
    expect(share.refillWant(0)).toBe(1n)
  })
})

describe('a sum of money', () => {
  test('is conserved: what was given is there, taken, spent or given back', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const sum = new Sum(limit('cost', 'day'), 'o', EPOCH, null, 0)
        const taken: bigint[] = []
        let [now, given, inUse, spent, returned] = [0, 0n, 0n, 0n, 0n]
        for (const { do: what, after, amount, which } of script) {
          now += after
          const nanos = BigInt(amount)
          switch (what) {
            case 'take':
              if (sum.room() < nanos) break
              sum.take(nanos, now)
              taken.push(nanos)
              inUse += nanos
              break
            case 'end': {
              const [part] = taken.splice(which % Math.max(taken.length, 1), 1)
              if (part === undefined) break
              const actual = BigInt(which % (Number(part) + 1))
              sum.end(part, actual)
              inUse -= part
              spent += actual
              break
            }
            case 'grow':
              sum.grow(nanos)
              given += nanos
              break
            case 'release':
            case 'drain':
              sum[what]()
              expect(sum.room()).toBe(0n)
              break
            case 'collect':
              returned += sum.collect()
          }
          const back = sum.collect()
          returned += back
          expect(sum.room()).toBe(given - inUse - spent - returned)
          expect(sum.booked).toBe(given)
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('drained, takes nothing back from the requests that were under way', () => {
    const sum = new Sum(limit('cost', 'day'), 'o', EPOCH, null, 0)
    sum.grow(100n)
    sum.take(60n, 0)
    sum.drain()
    sum.grow(10n)
    sum.end(60n, 20n)
    expect([sum.room(), sum.collect()]).toEqual([10n, 80n])
  })
})
