import { setImmediate as turn } from 'node:timers/promises'
import type { Experiment, Options, Outcome } from './table.ts'
import {
  AMPLE,
  AMPLE_NANOS,
  type Caller,
  heldBy,
  isExact,
  type LimitOf,
  layOut,
  meet,
  openWorld,
  settlementOf,
  startProcess,
} from './world.ts'

const CALLERS = 32
const KEYS_PER_ORGANIZATION = 1_000
const PENDING_MAX = 20_000
const REQUESTS = 1_000_000
const ROWS = 10

const LIMITS: readonly LimitOf[] = [
  { subject: 'organization', resource: 'cost', window: 'day', bound: AMPLE_NANOS },
  { subject: 'key', resource: 'cost', window: 'day', bound: AMPLE_NANOS },
  { subject: 'key', resource: 'requests', window: 'minute', bound: AMPLE },
  { subject: 'key', resource: 'tokens', window: 'minute', bound: AMPLE },
]

/** One process, 100,000 keys, 1,000,000 requests: what stays in memory after rounds over all keys. */
export const memory: Experiment = async ({ quick, keys: wanted }: Options): Promise<Outcome> => {
  const keys = wanted ?? (quick ? 5_000 : 100_000)
  const rounds = quick ? ROWS : Math.max(ROWS, Math.ceil(REQUESTS / keys))
  const world = await openWorld()
  try {
    const organizations = Math.ceil(keys / KEYS_PER_ORGANIZATION)
    await layOut(world.owner, { organizations, keys, credits: AMPLE_NANOS, limits: LIMITS })
    const gateway = await startProcess(world)
    const callers: Caller[] = []
    const rows = [{ requests: 0, ...standing(), 'limits held': 0, 'round s': 0 }]
    for (let round = 1; round <= rounds; round++) {
      const from = performance.now()
      let next = 0
      const work = async () => {
        for (let number = next++; number < keys; number = next++) {
          callers[number] ??= await meet(gateway, number)
          const caller = callers[number]!
          const hold = heldBy(await gateway.ledger.reserve(caller))
          await turn()
          await gateway.ledger.settle(hold, settlementOf(caller))
          // A gateway is slower than its ledger: without providers and clients Postgres would fall behind.
          if (number % PENDING_MAX === 0) await gateway.ledger.flush()
        }
      }
      await Promise.all(Array.from({ length: CALLERS }, work))
      await gateway.ledger.flush()
      // The first round is looked at by itself: only in that may it grow.
      if (round > 1 && round % Math.ceil(rounds / ROWS) > 0) continue
      const row = {
        requests: round * keys,
        ...standing(),
        'limits held': gateway.ledger.allotments,
        'round s': (performance.now() - from) / 1000,
      }
      rows.push(row)
      console.error(JSON.stringify(row))
    }
    await gateway.close()
    const { exact, why } = await isExact(world, rounds * keys)
    return { title: `Memory: ${keys} keys, a request with each in every round`, rows, notes: why, exact }
  } finally {
    await world.stop()
  }
}

function standing() {
  if (!global.gc) throw new Error('run with --expose-gc')
  for (let i = 0; i < 3; i++) global.gc()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { 'heap MB after gc': heapUsed / 2 ** 20, 'external MB': external / 2 ** 20, 'resident MB': rss / 2 ** 20 }
}
