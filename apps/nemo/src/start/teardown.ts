import type { Log } from '../log.ts'

/** What was started, to be stopped in the reverse order. One part that fails to stop doesn't keep the others up. */
export class Teardown {
  readonly #parts: { name: string; stop: () => Promise<unknown> | undefined }[] = []
  readonly #log: Log
  #running: Promise<boolean> | null = null

  constructor(log: Log) {
    this.#log = log
  }

  add(name: string, stop: () => Promise<unknown> | undefined): void {
    this.#parts.push({ name, stop })
  }

  /** Stops everything, once. Answers whether all went well. */
  run(): Promise<boolean> {
    this.#running ??= this.#stopAll()
    return this.#running
  }

  async #stopAll(): Promise<boolean> {
    let clean = true
    for (let part = this.#parts.pop(); part; part = this.#parts.pop()) {
      try {
        await part.stop()
      } catch (err) {
        clean = false
        this.#log.error({ err }, `${part.name} did not stop cleanly`)
      }
    }
    return clean
  }
}
