import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { proveLedger } from '@nemo/ledger/proof'
import { connect } from '@nemo/postgres/connect'
import type pg from 'pg'
import { administer, type Changes } from './administrator.ts'
import { Chance, WHO } from './chance.ts'
import { doubleCharges, exceededRates, freeCalls, lateCharges, lostCharges, wrongPayments } from './checks.ts'
import { deadShares, heldByTheDead, readAdmissions, readLog, readMoney } from './evidence.ts'
import { Fleet, startProvider } from './fleet.ts'
import { type Ground, prepareGround } from './ground.ts'
import { killProcesses, restartPostgres } from './killer.ts'
import { comeAnew, type Newcomers } from './newcomer.ts'
import type { ProveOptions } from './options.ts'
import { type Payments, payNowAndThen } from './payer.ts'
import { probeAccounts } from './probe.ts'
import { race } from './racers.ts'
import type { Report, Verdict } from './report.ts'
import { lookAtBooks, lookAtCounters, newSnapshots, takeSnapshots } from './snapshots.ts'
import { Witness } from './witness.ts'
import { makeWorld, type World } from './world.ts'

/** Money of the killed must be free again so long after the end. */
const FREE_WITHIN_MS = 35_000
/** Their shares of rates, so long. Only a longer run waits for them. */
const SHARES_FREE_WITHIN_MS = 70_000
const LONG_RUN_MS = 120_000

export type Progress = (state: {
  phase: string
  elapsedMs: number
  calls: number
  kills: number
  broken: number
}) => void

/** Runs the chaos proof. Answers with null when `stop` aborts first. Everything that it started is gone when it returns or throws. */
export async function prove(options: ProveOptions, progress: Progress, stop: AbortSignal): Promise<Report | null> {
  const ground = await prepareGround(options.seed, options.keep)
  const operator = connect(ground.url, 'nemo_operator', { max: 6, statementTimeoutMs: 60_000 })
  const cleanup: (() => Promise<unknown>)[] = [() => ground.close(), () => operator.end()]
  try {
    if (stop.aborted) return null
    const provider = await startProvider(ground.folder)
    cleanup.push(() => provider.stop())
    const masterKey = randomBytes(32)
    const world = await makeWorld(
      operator,
      new Chance(options.seed, WHO.world),
      { url: provider.url, masterKey },
      options.racers,
    )
    const fleet = await Fleet.start({
      processes: options.processes,
      databaseUrl: ground.url,
      masterKey,
      folder: ground.folder,
    })
    cleanup.push(async () => fleet.destroy())
    return await proveOn({ ground, operator, fleet, world }, options, progress, stop)
  } finally {
    for (const undo of cleanup.reverse()) await undo()
  }
}

interface Stage {
  readonly ground: Ground
  readonly operator: pg.Pool
  readonly fleet: Fleet
  readonly world: World
}

async function proveOn(
  stage: Stage,
  options: ProveOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<Report | null> {
  const { ground, operator, fleet, world } = stage
  const witness = new Witness()
  const snapshots = newSnapshots()
  const payments: Payments = { grants: 0, refunds: 0, reversals: 0, paid: new Map(), doubled: [] }
  const newcomers: Newcomers = { keys: 0, refused: [] }
  const changes: Changes = { moved: 0, lifted: 0, rotated: 0, keysMoved: 0, lowered: new Set() }
  const { lowered } = changes
  const began = performance.now()
  let phase = 'racing'
  const told = setInterval(() => {
    const broken = snapshots.overspent.count + snapshots.heldDrift.count + witness.unfoundedRefusals.length
    progress({ phase, elapsedMs: performance.now() - began, calls: witness.calls, kills: fleet.kills.length, broken })
  }, 1_000)
  const looking = new AbortController()
  const looks = takeSnapshots(operator, lowered, snapshots, looking.signal)
  try {
    const load = new AbortController()
    // Each racer that pauses listens.
    setMaxListeners(0, load.signal)
    const timer = setTimeout(() => load.abort(), options.durationMs)
    stop.addEventListener('abort', () => load.abort(), { once: true })
    const [, , restarts] = await Promise.all([
      race(options, { fleet, world, witness, stop: load.signal }),
      killProcesses(options, fleet, load.signal),
      restartPostgres(options, ground, load.signal),
      payNowAndThen(options.seed, operator, world, payments, load.signal),
      administer(options.seed, operator, world, changes, load.signal),
      comeAnew(options.seed, operator, { fleet, world, witness }, newcomers, load.signal),
    ]).finally(() => clearTimeout(timer))
    const seconds = (performance.now() - began) / 1000
    const raced = witness.calls
    if (stop.aborted) return null

    phase = 'settling'
    await fleet.complete()
    const free = await untilFree(operator, fleet.size, stop)
    if (options.durationMs >= LONG_RUN_MS) await untilSharesFree(operator, stop)
    phase = 'probing'
    const probes = await probeAccounts(options.seed, operator, { fleet, world, witness }, stop)
    phase = 'stopping'
    const unclean = await fleet.stop()
    if (stop.aborted) return null

    phase = 'checking'
    await lookAtCounters(operator, lowered, snapshots)
    await lookAtBooks(operator, snapshots)
    const { heldByProcesses } = await proveLedger(operator)
    const rows = await readLog(operator)
    const byId = new Map(rows.map((row) => [row.id, row]))
    const money = await readMoney(operator)
    const { answers } = witness
    const verdicts: Verdict[] = [
      {
        name: 'overspend: a counter above its bound',
        broken: snapshots.overspent.count,
        examples: snapshots.overspent.examples,
      },
      { name: 'balance drift', broken: snapshots.balanceDrift.count, examples: snapshots.balanceDrift.examples },
      { name: 'held drift', broken: snapshots.heldDrift.count, examples: snapshots.heldDrift.examples },
      { name: 'entry drift', broken: snapshots.entryDrift.count, examples: snapshots.entryDrift.examples },
      verdict('double charges', doubleCharges(rows)),
      verdict('lost charges', lostCharges(answers, byId)),
      verdict('free calls', freeCalls(answers, byId, rows, fleet.kills)),
      verdict('payments that counted twice, or not', [
        ...payments.doubled.map((reference) => ({ reference })),
        ...wrongPayments(payments.paid, money.paid),
      ]),
      verdict('rates exceeded within 60 seconds', exceededRates(await readAdmissions(operator))),
      { name: 'leaked: held by the dead 30 s after the load', broken: Number(free.left), examples: [] },
      { name: 'leaked: held when every process has ended', broken: heldByProcesses, examples: [] },
      verdict('spurious refusals, by their own numbers', witness.unfoundedRefusals),
      verdict('spurious refusals of accounts with room', probes.refused),
      verdict('first calls of a fresh key refused', newcomers.refused),
      verdict('failures inside the gateway', witness.surprises),
      // A proof in which nothing was at stake proves nothing.
      { name: 'nothing was charged at all', broken: money.spentNanos === 0n ? 1 : 0, examples: [] },
      { name: 'processes that did not end cleanly', broken: unclean, examples: [] },
    ]
    return {
      options,
      ground: ground.name,
      processes: fleet.size,
      seconds,
      calls: raced,
      callsPerSecond: raced / seconds,
      statuses: witness.statuses,
      hangUps: witness.hangUps,
      charged: rows.filter((row) => (row.costNanos ?? 0n) > 0n).length,
      boughtNanos: money.boughtNanos,
      spentNanos: money.spentNanos,
      lossNanos: money.lossNanos,
      lateCharges: lateCharges(answers, byId),
      kills: fleet.kills.length,
      restarts: { of: ground.restarts, count: restarts },
      payments: { grants: payments.grants, refunds: payments.refunds, reversals: payments.reversals },
      changes: {
        budgets: changes.moved,
        lifted: changes.lifted,
        secrets: changes.rotated,
        teams: changes.keysMoved,
      },
      newKeys: newcomers.keys,
      snapshots: { counters: snapshots.taken, books: snapshots.proofs },
      probes: { made: probes.made, passedOver: probes.passedOver },
      secondsUntilFree: free.afterMs / 1000,
      verdicts,
    }
  } finally {
    clearInterval(told)
    looking.abort()
    await looks
  }
}

function verdict(name: string, examples: readonly object[]): Verdict {
  return { name, broken: examples.length, examples: examples.slice(0, 5) }
}

/** Until the dead hold no money any more, or the time for that is over. */
async function untilFree(
  operator: pg.Pool,
  processes: number,
  stop: AbortSignal,
): Promise<{ left: bigint; afterMs: number }> {
  const began = performance.now()
  for (;;) {
    const { held: left, living } = await heldByTheDead(operator)
    const afterMs = performance.now() - began
    if ((left === 0n && living <= processes) || afterMs > FREE_WITHIN_MS || stop.aborted) return { left, afterMs }
    await sleep(250)
  }
}

async function untilSharesFree(operator: pg.Pool, stop: AbortSignal): Promise<void> {
  const deadline = performance.now() + SHARES_FREE_WITHIN_MS
  while (performance.now() < deadline && !stop.aborted && (await deadShares(operator)) > 0) await sleep(500)
}
