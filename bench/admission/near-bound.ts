import { setImmediate as turn } from 'node:timers/promises'
import { isCredits } from '@nemo/domain/limits'
import type { Ledger } from '@nemo/ledger/ledger'
import pg from 'pg'
import { createNaive, reserveNaively, settleNaively } from './naive.ts'
import type { Experiment, Options, Outcome } from './table.ts'
import {
  AMPLE_NANOS,
  type Caller,
  CEILING_NANOS,
  CONNECTIONS,
  FIVE_COUNTERS,
  isExact,
  type LimitOf,
  layOut,
  meet,
  openWorld,
  type Process,
  readCallers,
  settlementOf,
  startProcess,
  TOKENS_LIKELY,
} from './world.ts'

const WORKERS = 64
/** Next to nothing, so that the balance stays as near to its bound as it is. */
const COST = 10n
/** The balance has room for each worker's hold, and not for one more. */
const CREDITS = BigInt(WORKERS) * CEILING_NANOS + 10_000n * COST

const FRESH_KEYS_A_SECOND = 6_000
const ONE_REQUEST: readonly LimitOf[] = [
  { subject: 'organization', resource: 'cost', window: 'day', bound: AMPLE_NANOS },
  { subject: 'key', resource: 'cost', window: 'total', bound: CEILING_NANOS },
  { subject: 'key', resource: 'requests', window: 'minute', bound: 1n },
  { subject: 'key', resource: 'tokens', window: 'minute', bound: TOKENS_LIKELY },
]

interface Count {
  pairs: number
  refused: number
}

/** Where little or nothing can be given in advance: pairs by second beside the naive way, with as many workers. */
export const nearBound: Experiment = async ({ quick }: Options): Promise<Outcome> => {
  const seconds = quick ? 2 : 8
  const naive = await naively(seconds)
  const two = await contend(2, seconds)
  const four = await contend(4, seconds)
  const fresh = await withFreshKeys(seconds)
  const compared = [
    { what: 'naive: a transaction for each reserve and for each settle', ...naive },
    { what: 'two ledgers contend for the last of the balance', ...two },
    { what: 'four ledgers contend for the last of the balance', ...four },
    { what: 'one ledger, each request with a key whose budget is that request', ...fresh },
  ]
  return {
    title: `Near the bound: ${WORKERS} workers, one organization, five counters`,
    rows: compared.map(({ what, pairs, refused, ms, asked }) => ({
      what,
      'pairs/s': (pairs / ms) * 1000,
      '× naive': pairs / ms / (naive.pairs / naive.ms),
      'asked Postgres, of 100 admitted': pairs === 0 ? 0 : (100 * asked) / pairs,
      'refused, of 100 admitted': pairs === 0 ? 0 : (100 * refused) / pairs,
    })),
    notes: [two, four, fresh].flatMap(({ why }) => why),
    exact: two.exact && four.exact && fresh.exact,
  }
}

async function naively(seconds: number) {
  const world = await openWorld()
  try {
    await layOut(world.owner, { organizations: 1, keys: 1, credits: AMPLE_NANOS, limits: FIVE_COUNTERS })
    const process = await startProcess(world)
    const caller = creditsFirst(await meet(process, 0))
    await process.close()
    await createNaive(world.owner, caller, (id) => (id === caller.asks[0]!.limit.id ? CREDITS : AMPLE_NANOS))
    const pool = new pg.Pool({ connectionString: world.url, options: '-c search_path=nemo', max: CONNECTIONS })
    pool.on('error', () => {})
    const count: Count = { pairs: 0, refused: 0 }
    const ms = await work(seconds, async () => {
      if (await reserveNaively(pool, caller)) {
        await settleNaively(pool, caller, COST)
        count.pairs++
      } else count.refused++
      return true
    })
    await pool.end()
    return { ...count, ms, asked: count.pairs }
  } finally {
    await world.stop()
  }
}

/** The balance has room for each worker's hold and not for one more, and the workers are spread over processes. */
async function contend(processCount: number, seconds: number) {
  const world = await openWorld()
  try {
    await layOut(world.owner, { organizations: 1, keys: 1, credits: CREDITS, limits: FIVE_COUNTERS })
    const processes: Process[] = []
    for (let i = 0; i < processCount; i++) processes.push(await startProcess(world))
    const callers = await Promise.all(processes.map((process) => meet(process, 0)))
    const count: Count = { pairs: 0, refused: 0 }
    const ms = await work(
      seconds,
      async (worker) => {
        const { ledger } = processes[worker % processCount]!
        await callOnce(ledger, callers[worker % processCount]!, COST, count)
        return true
      },
      () => Promise.all(processes.map(({ ledger }) => ledger.flush())),
    )
    const asked = askedBy(processes)
    await Promise.all(processes.map((process) => process.close()))
    return { ...count, ms, asked, ...(await isExact(world, count.pairs, COST)) }
  } finally {
    await world.stop()
  }
}

/** Every key may be used once, and nothing of it is given in advance: each request asks for three limits, and shares two with all others. */
async function withFreshKeys(seconds: number) {
  const world = await openWorld()
  try {
    const keys = seconds * FRESH_KEYS_A_SECOND
    await layOut(world.owner, { organizations: 1, keys, credits: AMPLE_NANOS, limits: ONE_REQUEST })
    const process = await startProcess(world)
    const callers = await readCallers(world)
    const count: Count = { pairs: 0, refused: 0 }
    let next = 0
    const ms = await work(
      seconds,
      async () => {
        const caller = callers[next++]
        if (caller) await callOnce(process.ledger, caller, CEILING_NANOS, count)
        return caller !== undefined
      },
      () => process.ledger.flush(),
    )
    const asked = askedBy([process])
    await process.close()
    return { ...count, ms, asked, ...(await isExact(world, count.pairs, CEILING_NANOS)) }
  } finally {
    await world.stop()
  }
}

async function callOnce(ledger: Ledger, caller: Caller, costNanos: bigint, count: Count): Promise<void> {
  const reservation = await ledger.reserve(caller)
  await turn()
  if (reservation.kind === 'held') {
    await ledger.settle(reservation.hold, settlementOf(caller, costNanos))
    count.pairs++
  } else count.refused++
}

/** All workers at once, each until the time is over or it has nothing more to do; and then what is left to be done. In milliseconds. */
async function work(
  seconds: number,
  act: (worker: number) => Promise<boolean>,
  finish: () => Promise<unknown> = async () => {},
): Promise<number> {
  const from = performance.now()
  const until = from + seconds * 1000
  const one = async (_: unknown, worker: number) => {
    while (performance.now() < until) if (!(await act(worker))) return
  }
  const done = await Promise.allSettled(Array.from({ length: WORKERS }, one))
  await finish()
  const ms = performance.now() - from
  for (const each of done) if (each.status === 'rejected') throw each.reason
  return ms
}

function askedBy(processes: readonly Process[]): number {
  return processes.reduce((sum, { statements }) => sum + (statements.get('requests in allot') ?? 0), 0)
}

function creditsFirst(caller: Caller): Caller {
  const isLater = ({ limit }: Caller['asks'][number]) => (isCredits(limit) ? 0 : 1)
  return { ...caller, asks: [...caller.asks].sort((a, b) => isLater(a) - isLater(b)) }
}
