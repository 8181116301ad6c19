/** Lets each do so much at once, and no more: for what costs its doer nothing, and us something. */
export class AtOnce {
  readonly #max: number
  readonly #underWay = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Null, without acting, when as much as may be is under way. */
  async run<T>(who: string, act: () => Promise<T>): Promise<T | null> {
    const underWay = this.#underWay.get(who) ?? 0
    if (underWay >= this.#max) return null
    this.#underWay.set(who, underWay + 1)
    try {
      return await act()
    } finally {
      const left = this.#underWay.get(who)! - 1
      if (left === 0) this.#underWay.delete(who)
      else this.#underWay.set(who, left)
    }
  }
}
