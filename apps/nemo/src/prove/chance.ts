import { randomFrom } from '@nemo/sandbox/random'

/** Chance that comes from the seed. Each who draws has a sequence of his own, so that one's pace doesn't change another's draws. */
export class Chance {
  readonly #next: () => number

  constructor(seed: number, who: number) {
    this.#next = randomFrom((seed + Math.imul(who + 1, 0x9e3779b9)) >>> 0)
  }

  /** A whole number from the least to the most, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1))
  }

  /** True once in so many times. */
  once(inTimes: number): boolean {
    return this.#next() * inTimes < 1
  }

  of<T>(some: readonly T[]): T {
    return some[Math.floor(this.#next() * some.length)]!
  }
}

/** Who draws. Racers come after these. */
export const WHO = { world: 0, killer: 1, payer: 2, administrator: 3, newcomer: 4, probe: 5, racer: 100 } as const
