import { setImmediate as turn } from 'node:timers/promises'
import { familyCpuMicros } from '../processes.mjs'
import type { Experiment, Options, Outcome } from './table.ts'
import {
  AMPLE_NANOS,
  type Caller,
  FIVE_COUNTERS,
  heldBy,
  isExact,
  layOut,
  meet,
  openWorld,
  type Process,
  settlementOf,
  startProcess,
  type World,
} from './world.ts'

const WORKERS = 64
/** Requests between two turns of the event loop, where there is nothing to wait for. */
const BURST = 50

/** One process, five counters with ample room: CPU by request, and pairs of reserve and settle by second of one hot organization. */
export const hotPath: Experiment = async (options: Options): Promise<Outcome> => {
  const world = await openWorld()
  try {
    await layOut(world.owner, { organizations: 1, keys: 1, credits: AMPLE_NANOS, limits: FIVE_COUNTERS })
    const process = await startProcess(world)
    const caller = await meet(process, 0)
    const requests = options.quick ? 20_000 : 100_000
    const rows = []
    // Allotments grow with the flow, and V8 compiles what is hot.
    await settleAll(process, caller, requests / 4)
    await process.ledger.flush()
    rows.push(await row('reserve, release', world, process, requests, () => releaseAll(process, caller, requests)))
    rows.push(
      await row('reserve, settle, journal, flush', world, process, requests, () =>
        settleAll(process, caller, requests),
      ),
    )
    await process.ledger.flush()
    rows.push(
      await row(`the same, ${WORKERS} at once`, world, process, requests, () =>
        settleByWorkers(process, caller, requests),
      ),
    )
    await process.close()
    const { exact, why } = await isExact(world, requests / 4 + 2 * requests)
    return { title: 'Hot path: five counters, one process, one organization', rows, notes: why, exact }
  } finally {
    await world.stop()
  }
}

async function row(
  what: string,
  world: World,
  { ledger, statements }: Process,
  requests: number,
  act: () => Promise<number>,
) {
  const allotted = statements.get('allot') ?? 0
  const postgresBefore = familyCpuMicros(world.postgresPid)
  const cpu = process.cpuUsage()
  const from = performance.now()
  const asked = await act()
  const answeredMs = performance.now() - from
  await ledger.flush()
  const ms = performance.now() - from
  const { user, system } = process.cpuUsage(cpu)
  const postgres = familyCpuMicros(world.postgresPid) - postgresBefore
  return {
    what,
    requests,
    'pairs/s': (requests / ms) * 1000,
    'pairs/s until the last is answered': (requests / answeredMs) * 1000,
    'CPU µs/request': (user + system) / requests,
    'Postgres µs/request': postgres / requests,
    'waited for Postgres': asked,
    'calls of allot': (statements.get('allot') ?? 0) - allotted,
  }
}

async function releaseAll({ ledger }: Process, caller: Caller, requests: number): Promise<number> {
  let asked = 0
  for (let i = 0; i < requests; i++) {
    const reservation = ledger.reserve(caller)
    if (reservation instanceof Promise) asked++
    ledger.release(heldBy(reservation instanceof Promise ? await reservation : reservation))
    if (i % BURST === 0) await turn()
  }
  return asked
}

async function settleAll({ ledger }: Process, caller: Caller, requests: number): Promise<number> {
  let asked = 0
  for (let i = 0; i < requests; i++) {
    const reservation = ledger.reserve(caller)
    if (reservation instanceof Promise) asked++
    ledger.settle(heldBy(reservation instanceof Promise ? await reservation : reservation), settlementOf(caller))
    if (i % BURST === 0) await turn()
  }
  return asked
}

async function settleByWorkers({ ledger }: Process, caller: Caller, requests: number): Promise<number> {
  let left = requests
  let asked = 0
  const work = async () => {
    while (left-- > 0) {
      const reservation = ledger.reserve(caller)
      if (reservation instanceof Promise) asked++
      const hold = heldBy(await reservation)
      // Where a provider would be at work.
      await turn()
      await ledger.settle(hold, settlementOf(caller))
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  return asked
}
