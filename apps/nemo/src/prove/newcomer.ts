import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createVirtualKey } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'
import { makeCall } from './call.ts'
import { modestCall } from './call-plan.ts'
import { Chance, WHO } from './chance.ts'
import type { Fleet } from './fleet.ts'
import { insist } from './insist.ts'
import type { Witness } from './witness.ts'
import { CALL_NANOS, type World } from './world.ts'

const EVERY_MS = 500

export interface Newcomers {
  keys: number
  /** A first call that was refused, though there was room for it. */
  readonly refused: object[]
}

/** Makes a key, and calls with it at once from two processes: its first call must be as good as its second. */
export async function comeAnew(
  seed: number,
  operator: pg.Pool,
  { fleet, world, witness }: { fleet: Fleet; world: World; witness: Witness },
  newcomers: Newcomers,
  stop: AbortSignal,
): Promise<void> {
  const chance = new Chance(seed, WHO.newcomer)
  const agent = new Agent({ keepAlive: false })
  for (let i = 0; ; i++) {
    await sleep(EVERY_MS, null, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    const { key } = await insist(() =>
      createVirtualKey(operator, {
        organizationId: world.ample.id,
        teamId: world.ample.defaultTeamId,
        alias: `newcomer-${i}-${Math.random()}`,
        limits: [
          { resource: 'requests', window: 'minute', bound: 40n },
          { resource: 'parallel', window: 'now', bound: 20n },
          { resource: 'cost', window: 'total', bound: CALL_NANOS * 40n },
        ],
      }),
    )
    newcomers.keys++
    const slots = [fleet.choose(chance), fleet.choose(chance)].filter((slot) => slot !== null)
    await Promise.all(
      slots.map(async (slot) => {
        const where = { slot, generation: fleet.generationOf(slot), beganAt: performance.now() }
        const sight = await makeCall(fleet.portOf(slot), key, modestCall(), agent)
        const isSame = fleet.generationOf(slot) === where.generation
        witness.see(sight, { ...where, generation: isSame ? where.generation : -1 })
        if (sight.limit || sight.status === 401)
          newcomers.refused.push({ status: sight.status, code: sight.code, ...sight.limit })
      }),
    )
  }
}
