import { describe, expect, it } from 'vitest'
import { restartDelayMs } from './restart-policy.ts'

describe('the restart policy', () => {
  it('waits longer after each failure within a minute, and five seconds at most', () => {
    const delays = Array.from({ length: 9 }, (_, index) => restartDelayMs(Array(index + 1).fill(0), 0))
    expect(delays).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it('gives up after the tenth failure within a minute', () => {
    expect(restartDelayMs(Array(10).fill(1000), 60_000)).toBeNull()
  })

  it('forgets failures after a minute', () => {
    expect(restartDelayMs([...Array(10).fill(0), 60_000], 60_000)).toBe(50)
  })
})
