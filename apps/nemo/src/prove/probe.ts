import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { postEntry } from '@nemo/postgres/organizations'
import type pg from 'pg'
import { makeCall } from './call.ts'
import { modestCall } from './call-plan.ts'
import { Chance, WHO } from './chance.ts'
import type { Fleet } from './fleet.ts'
import type { Witness } from './witness.ts'
import { type Account, CALL_NANOS, PRICE, type World } from './world.ts'

/** The most that a modest call can be held for, generously. */
const CALL_MAX_NANOS = 100n * PRICE.input + 8n * PRICE.output

export interface Probes {
  made: number
  /** Accounts that had no room, or whose rates are still held by the dead. */
  passedOver: number
  /** Refused, though there was room. */
  readonly refused: object[]
}

/**
 * When all is quiet: whether each account that has room is admitted, on a process of chance's choice, while what it needs may lie idle with
 * the others. First with what the run has left, then with a little more of credits and budgets.
 */
export async function probeAccounts(
  seed: number,
  operator: pg.Pool,
  { fleet, world, witness }: { fleet: Fleet; world: World; witness: Witness },
  stop: AbortSignal,
): Promise<Probes> {
  const chance = new Chance(seed, WHO.probe)
  const probes: Probes = { made: 0, passedOver: 0, refused: [] }
  const agent = new Agent({ keepAlive: true })
  for (const round of ['left', 'granted'] as const) {
    if (round === 'granted') await grantMore(operator, world)
    for (const account of world.accounts) {
      if (stop.aborted) break
      if (!(await hasRoom(operator, account))) {
        probes.passedOver++
        continue
      }
      const slot = chance.whole(0, fleet.size - 1)
      const where = { slot, generation: fleet.generationOf(slot), beganAt: performance.now() }
      const sight = await makeCall(fleet.portOf(slot), chance.of(account.secrets), modestCall(), agent)
      witness.see(sight, where)
      probes.made++
      if (sight.status !== 200)
        probes.refused.push({ round, key: account.keyId, status: sight.status, code: sight.code, limit: sight.limit })
    }
  }
  agent.destroy()
  return probes
}

async function grantMore(operator: pg.Pool, world: World): Promise<void> {
  for (const { id } of world.organizations) {
    await postEntry(operator, { organizationId: id, kind: 'grant', amountNanos: CALL_NANOS * 20n, reference: 'first' })
  }
  await operator.query(
    `update limits l set bound = l.bound + $1 where l.resource = 'cost' and l.window_name <> 'lifetime' and l.id = any ($2)`,
    [CALL_NANOS * 20n, world.budgets],
  )
  // Told to every process within a second.
  await sleep(1_000)
}

/**
 * Whether the counters say that one more call fits, however what isn't used is spread among the living. Of a rate only the processes know;
 * where a minute ago nobody called, and nobody died, there is room.
 */
async function hasRoom(operator: pg.Pool, { organizationId, teamId, keyId }: Account): Promise<boolean> {
  const { rows } = await operator.query(
    `select bool_and(case l.resource
         when 'cost' then l.bound - coalesce(c.used, 0) >= $4
         when 'parallel' then l.bound > 0
         else not exists (select 1 from allotments a where a.limit_id = l.id and a.frees_at is not null)
          and not exists (select 1 from request_logs r where r.started_at > clock_timestamp() - interval '65 seconds'
                             and l.subject_id in (r.organization_id, r.team_id, r.key_id)) end) as room
       from limits l left join counters c on c.limit_id = l.id and c.window_start = window_start(l.window_name, clock_timestamp())
      where l.subject_id in ($1, $2, $3)`,
    [organizationId, teamId, keyId, CALL_MAX_NANOS],
  )
  return rows[0].room ?? true
}
