import { constants } from 'node:os'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * npm passes a Ctrl-C on to us, which the terminal has sent us already: a second signal counts only when a person could have
 * meant it.
 */
const ECHO_MS = 500

/** Calls back at the first signal to stop; at a second one the process exits at once, with 128 and the signal's number. */
export function onStopSignal(act: (signal: NodeJS.Signals) => void): void {
  let firstAt: number | null = null
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (firstAt === null) {
        firstAt = Date.now()
        act(signal)
      } else if (Date.now() - firstAt > ECHO_MS) {
        process.exit(128 + constants.signals[signal])
      }
    })
  }
}
