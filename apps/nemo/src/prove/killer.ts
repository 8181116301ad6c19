import { setTimeout as sleep } from 'node:timers/promises'
import { Chance, WHO } from './chance.ts'
import type { Fleet } from './fleet.ts'
import type { Ground } from './ground.ts'
import type { ProveOptions } from './options.ts'

/** Kills a process of chance's choice every now and then, until told to stop. Its successor takes its place at once. */
export async function killProcesses(options: ProveOptions, fleet: Fleet, stop: AbortSignal): Promise<void> {
  if (options.killEveryMs === 0) return
  const chance = new Chance(options.seed, WHO.killer)
  for (;;) {
    await sleep(options.killEveryMs, null, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    // Not waited for: the next is killed on time, and may be one that has only just begun.
    void fleet.kill(chance.whole(0, fleet.size - 1)).catch(() => {})
  }
}

/** Ends Postgres so many times, spread over the run: by turns like a power failure and like an administrator. Answers with how often it did. */
export async function restartPostgres(options: ProveOptions, ground: Ground, stop: AbortSignal): Promise<number> {
  const { postgresRestarts, durationMs } = options
  for (let done = 0; done < postgresRestarts; done++) {
    await sleep(durationMs / (postgresRestarts + 1), null, { signal: stop }).catch(() => {})
    if (stop.aborted) return done
    await ground.disturb(done % 2 === 0 ? 'SIGKILL' : 'SIGINT')
  }
  return postgresRestarts
}
