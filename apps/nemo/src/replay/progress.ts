import type { Progress } from './replay-span.ts'

const EVERY_MS = 200

/** Shows on standard error how far a replay has come: one line that is written over on a terminal, and elsewhere a line for each tenth. */
export function showProgress(): { show(progress: Progress): void; end(): void } {
  const { stderr } = process
  let shownAt = 0
  let tenth = ''
  return {
    show(progress) {
      const text = lineOf(progress)
      if (stderr.isTTY) {
        const now = performance.now()
        if (now - shownAt < EVERY_MS && progress.part < 1) return
        shownAt = now
        stderr.write(`\r${text}\u001b[K`)
        return
      }
      const next = `${progress.step} ${Math.floor(progress.part * 10)}`
      if (next !== tenth) stderr.write(`${text}\n`)
      tenth = next
    },
    end() {
      if (stderr.isTTY) stderr.write('\r\u001b[K')
    },
  }
}

function lineOf({ step, calls, part }: Progress): string {
  return `${step}: ${calls} calls, ${Math.floor(part * 100)} %`
}
