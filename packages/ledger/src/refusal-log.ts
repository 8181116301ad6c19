import type { RequestLog } from '@nemo/postgres/request-logs'

const SPAN_MS = 1_000

/** Gathers refusals: those of one key for one limit, or for one failure of ours, within a second become one row that says how many there were. */
export class RefusalLog {
  readonly #write: (log: string) => void
  readonly #rows = new Map<string, { log: RequestLog; repeats: number }>()
  #timer: NodeJS.Timeout | null = null

  constructor(write: (log: string) => void) {
    this.#write = write
  }

  add(log: RequestLog, limitId: string | null): void {
    // Without a limit it was refused for something of its own, and has a row of its own; unless it was for want of something of ours, as all others are then.
    const reason = limitId ?? (log.status === 503 ? log.error_code : null)
    if (reason === null) {
      this.#write(JSON.stringify(log))
      return
    }
    const kind = `${log.key_id} ${reason}`
    const row = this.#rows.get(kind)
    if (row) {
      row.repeats++
      return
    }
    this.#rows.set(kind, { log, repeats: 1 })
    this.#timer ??= setTimeout(() => this.flush(), SPAN_MS)
  }

  flush(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    for (const { log, repeats } of this.#rows.values()) this.#write(JSON.stringify({ ...log, repeats }))
    this.#rows.clear()
  }

  close(): void {
    this.flush()
  }
}
