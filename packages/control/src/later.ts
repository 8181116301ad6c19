import type { ControlLog } from './control.ts'

/** Work that no answer waits for, so that how long one takes doesn't tell what was found. What fails is logged. */
export class Later {
  readonly #log: Pick<ControlLog, 'error'>
  readonly #underWay = new Set<Promise<void>>()

  constructor(log: Pick<ControlLog, 'error'>) {
    this.#log = log
  }

  run(what: string, act: () => Promise<unknown>): void {
    const done: Promise<void> = act()
      .catch((err) => this.#log.error({ err }, `${what} failed`))
      .then(() => void this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  /** Resolves when all of it has ended. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }
}
