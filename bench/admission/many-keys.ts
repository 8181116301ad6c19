import { spawn } from 'node:child_process'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { familyCpuMicros } from '../processes.mjs'
import type { Experiment, Options, Outcome } from './table.ts'
import {
  AMPLE_NANOS,
  type Caller,
  isExact,
  type LimitOf,
  layOut,
  meet,
  openWorld,
  settlementOf,
  startProcess,
} from './world.ts'

const PROCESSES = 2
const ROUNDS = 5
const CALLERS = 32
const KEYS_PER_ORGANIZATION = 1_000
const RETRY_MS = 50
/** By the clock a key is used once in so long. */
const ROUND_MS = 60_000
const TIMEOUT_MS = 20 * 60_000

/** What an ordinary key has: some dollars a day, some requests a minute. */
const LIMITS: readonly LimitOf[] = [
  { subject: 'key', resource: 'cost', window: 'day', bound: 10_000_000_000n },
  { subject: 'key', resource: 'cost', window: 'total', bound: 100_000_000_000n },
  { subject: 'key', resource: 'requests', window: 'minute', bound: 60n },
  { subject: 'key', resource: 'tokens', window: 'minute', bound: 100_000n },
  { subject: 'key', resource: 'parallel', window: 'now', bound: 8n },
]

interface GatewayReport {
  readonly statements: Record<string, number>
  readonly refused: number
  readonly reserveMs: readonly number[]
  readonly residentMb: number
  readonly closeMs: number
  readonly longestTurnMs: number
}

/** Two processes, every key in both, each with all limits set: what admission asks of Postgres in five minutes of a call a minute. */
export const manyKeys: Experiment = async ({ quick, keys: wanted, byTheClock }: Options): Promise<Outcome> => {
  const keys = wanted ?? (quick ? 1_000 : 10_000)
  const world = await openWorld()
  try {
    const organizations = Math.ceil(keys / KEYS_PER_ORGANIZATION)
    await layOut(world.owner, { organizations, keys, credits: AMPLE_NANOS, limits: LIMITS })
    const postgresBefore = familyCpuMicros(world.postgresPid)
    const from = performance.now()
    const start = () => startGateway(JSON.stringify({ url: world.url, folder: world.folder, keys, byTheClock }))
    const reports = await Promise.all(Array.from({ length: PROCESSES }, start))
    const ms = performance.now() - from
    const postgres = familyCpuMicros(world.postgresPid) - postgresBefore
    const rows = reports.map(({ statements, refused, reserveMs, residentMb, closeMs, longestTurnMs }, i) => {
      const of = (name: string) => statements[name] ?? 0
      return {
        process: String(i + 1),
        keys,
        'calls of authenticate_keys': of('authenticate_keys'),
        'calls of allot': of('allot'),
        'round trips per key': (of('authenticate_keys') + of('allot')) / keys,
        'requests that waited': of('requests in allot'),
        'refused wrongly': refused,
        'refills in the background': of('refills in allot'),
        'first round s': reserveMs[0]! / 1000,
        'later rounds s': reserveMs.slice(1).reduce((sum, one) => sum + one, 0) / 1000 / (ROUNDS - 1),
        'longest turn ms': longestTurnMs,
        'resident MB': residentMb,
        'close s': closeMs / 1000,
      }
    })
    const requests = PROCESSES * ROUNDS * keys
    const { exact, why } = await isExact(world, requests)
    const notes = [
      `${requests} requests in ${(ms / 1000).toFixed(1)} s, PostgreSQL's CPU ${(postgres / requests).toFixed(0)} µs each`,
      ...why,
    ]
    return {
      title: `${PROCESSES} processes, ${keys} keys with six limits, ${ROUNDS} rounds${byTheClock ? ' of a minute' : ''}`,
      rows,
      notes,
      exact,
    }
  } finally {
    await world.stop()
  }
}

/** One of the processes: calls with every key, round after round, and tells what it asked of Postgres. */
export async function runGatewayOfManyKeys(argument: string): Promise<void> {
  const { url, folder, keys, byTheClock } = JSON.parse(argument) as {
    url: string
    folder: string
    keys: number
    byTheClock: boolean
  }
  const gateway = await startProcess({ url, folder })
  const callers = new Map<number, Caller>()
  const reserveMs: number[] = []
  let refused = 0
  const turns = watchTurns()
  const began = performance.now()
  const itsTurn = async (round: number, number: number) => {
    const ahead = began + (round + number / keys) * ROUND_MS - performance.now()
    if (ahead > 1) await sleep(ahead)
  }
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now()
    let next = 0
    const work = async () => {
      for (let number = next++; number < keys; number = next++) {
        if (byTheClock) await itsTurn(round, number)
        const caller = callers.get(number) ?? (await meet(gateway, number))
        callers.set(number, caller)
        let reservation = await gateway.ledger.reserve(caller)
        while (reservation.kind !== 'held') {
          // There is room for all: whatever is refused is refused wrongly.
          refused++
          await sleep(RETRY_MS)
          reservation = await gateway.ledger.reserve(caller)
        }
        const { hold } = reservation
        await gateway.ledger.settle(hold, settlementOf(caller))
        // A real call has I/O between these; without it nothing else would get its turn.
        if (number % 64 === 0) await nextTurn()
      }
    }
    await Promise.all(Array.from({ length: CALLERS }, work))
    reserveMs.push(performance.now() - from)
    await gateway.ledger.flush()
  }
  const residentMb = process.memoryUsage().rss / 2 ** 20
  const longestTurnMs = turns()
  const from = performance.now()
  await gateway.close()
  const report: GatewayReport = {
    statements: Object.fromEntries(gateway.statements),
    refused,
    reserveMs,
    residentMb,
    closeMs: performance.now() - from,
    longestTurnMs,
  }
  process.stdout.write(JSON.stringify(report))
}

/** The longest time for which nothing else could happen. */
function watchTurns(): () => number {
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 5)
    last = now
  }, 5)
  return () => {
    clearInterval(timer)
    return longest
  }
}

function startGateway(argument: string): Promise<GatewayReport> {
  const script = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, [script, 'gateway-of-many-keys', argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`a gateway ended with ${signal ?? code}`)),
    )
  })
}
