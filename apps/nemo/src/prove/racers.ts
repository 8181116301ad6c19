import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeCall } from './call.ts'
import { drawCall } from './call-plan.ts'
import { Chance, WHO } from './chance.ts'
import type { Fleet } from './fleet.ts'
import type { Witness } from './witness.ts'
import type { World } from './world.ts'

/** Under way at one process at a time; who finds no room comes again a moment later. */
const CALLS_PER_PROCESS = 64
const AGAIN_MS = 50

/** Runs so many callers at once, each on a key of its own choice and on any process, until told to stop. Resolves when the last has its answer. */
export async function race(
  options: { seed: number; racers: number },
  { fleet, world, witness, stop }: { fleet: Fleet; world: World; witness: Witness; stop: AbortSignal },
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CALLS_PER_PROCESS })
  const underWay = new Array<number>(fleet.size).fill(0)
  const racer = async (number: number) => {
    const chance = new Chance(options.seed, WHO.racer + number)
    const account = world.accounts[number % world.accounts.length]!
    while (!stop.aborted) {
      const slot = fleet.choose(chance)
      if (slot === null || underWay[slot]! >= CALLS_PER_PROCESS) {
        await sleep(AGAIN_MS, null, { signal: stop }).catch(() => {})
        continue
      }
      const plan = drawCall(chance)
      const secret = chance.of(account.secrets)
      const where = { slot, generation: fleet.generationOf(slot), beganAt: performance.now() }
      underWay[slot]!++
      const sight = await makeCall(fleet.portOf(slot), secret, plan, agent)
      underWay[slot]!--
      witness.see(sight, {
        ...where,
        generation: fleet.generationOf(slot) === where.generation ? where.generation : -1,
      })
      const pauseMs = sight.status === 200 ? chance.whole(0, 800) : chance.whole(200, 3_000)
      await sleep(pauseMs, null, { signal: stop }).catch(() => {})
    }
  }
  await Promise.all(Array.from({ length: options.racers }, (_, number) => racer(number)))
  agent.destroy()
}
