import { setTimeout as sleep } from 'node:timers/promises'

const PAUSE_MS = 100
const PATIENCE_MS = 60_000

/** Tries until Postgres answers: it is ended and started again under our hands. What it answers, be it an error, is passed on. */
export async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(PAUSE_MS)) {
    try {
      return await act()
    } catch (error) {
      if (isAnswer(error) || Date.now() > deadline) throw error
    }
  }
}

/** Classes 08 and 57 say that the connection, or the server, is going away; anything else with a code of five is what Postgres answers. */
function isAnswer(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^(08|57|EPIPE)/.test(code) && code !== '25P02'
}
