import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { postEntry } from '@nemo/postgres/organizations'
import { type LedgerProcesses, ledgerProcesses, shortenDays } from '@nemo/testing/ledger-processes'
import { type Account, logRow, openAccount } from '@nemo/testing/ledger-world'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Hold } from './hold.ts'
import type { Ledger } from './ledger.ts'
import { proveLedger, SOUND } from './proof.ts'

let processes: LedgerProcesses

beforeAll(async () => {
  processes = await ledgerProcesses()
  // Windows end while requests are under way, several times in each run.
  await shortenDays(processes, 150)
})

afterAll(async () => {
  await processes?.close()
})

type Step =
  | { readonly do: 'reserve'; readonly process: number; readonly cost: number; readonly tokens: number }
  | { readonly do: 'extend'; readonly hold: number; readonly cost: number }
  | { readonly do: 'settle' | 'settle twice'; readonly hold: number; readonly percent: number }
  | { readonly do: 'release'; readonly hold: number }
  | { readonly do: 'kill' | 'declare dead' | 'recall all' | 'break connections' | 'flush'; readonly process: number }
  | { readonly do: 'grant' | 'refund' | 'lower'; readonly amount: number }
  | { readonly do: 'lift'; readonly which: number }

const process = fc.nat({ max: 2 })
const hold = fc.nat({ max: 30 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      process,
      cost: fc.integer({ min: 1, max: 400 }),
      tokens: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('extend' as const), hold, cost: fc.integer({ min: 1, max: 300 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('settle' as const, 'settle' as const, 'settle twice' as const),
      hold,
      percent: fc.constantFrom(0, 30, 100, 100, 150, 1_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), hold }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'kill' as const,
        'declare dead' as const,
        'recall all' as const,
        'break connections' as const,
        'flush' as const,
      ),
      process,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('grant' as const, 'refund' as const, 'lower' as const),
      amount: fc.integer({ min: 1, max: 500 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lift' as const), which: fc.nat({ max: 1 }) }) },
)
/** Each burst runs at once; the next begins when all of it is done. */
const bursts = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 10 })

test('whatever interleaves, limits hold, holds end once, each charge counts once, and entries add up to the balance', {
  timeout: 24 * 3_600_000,
}, async () => {
  await fc.assert(fc.asyncProperty(bursts, play), {
    numRuns: Number(globalThis.process.env.NEMO_PROPERTY_RUNS ?? 12),
    ...(globalThis.process.env.NEMO_PROPERTY_SEED ? { seed: Number(globalThis.process.env.NEMO_PROPERTY_SEED) } : {}),
    endOnFailure: true,
  })
})

interface Taken {
  readonly hold: Hold
  readonly by: Ledger
  readonly id: string
  cost: bigint
}

async function play(script: Step[][]): Promise<void> {
  const account = await openAccount(processes.database, 1_000n, [
    { resource: 'cost', window: 'day', bound: 800n },
    { resource: 'cost', window: 'total', bound: 5_000n },
    { resource: 'requests', window: 'minute', bound: 25n },
    { resource: 'tokens', window: 'minute', bound: 600n },
    { resource: 'parallel', window: 'now', bound: 6n },
  ])
  const ledgers = await Promise.all([processes.start(), processes.start(), processes.start()])
  const taken: Taken[] = []
  const killed = new Set<Ledger>()
  const settled = new Map<string, bigint>()
  const billed = new Map<string, bigint>()
  let granted = 1_000n
  let isLowered = false
  const lifted = new Set<string>()
  let [admitted, released] = [0, 0]

  async function act(step: Step): Promise<void> {
    switch (step.do) {
      case 'reserve':
        return reserve(ledgers[step.process]!, step.cost, step.tokens)
      case 'extend': {
        const target = open(step.hold)
        if (!target) return
        const amount = BigInt(step.cost)
        const asks = target.hold.asks.filter(({ limit }) => limit.resource === 'cost')
        await target.by
          .extend(
            target.hold,
            asks.map(({ limit }) => ({ limit, amount })),
          )
          .catch(() => null)
        return
      }
      case 'settle':
      case 'settle twice': {
        const target = open(step.hold)
        if (!target) return
        const times = step.do === 'settle' ? 1 : 2
        await Promise.all(Array.from({ length: times }, () => settle(target, step.percent)))
        return
      }
      case 'release': {
        const target = open(step.hold)
        if (!target) return
        target.by.release(target.hold)
        released++
        return
      }
      case 'kill': {
        const ledger = ledgers[step.process]!
        if (killed.has(ledger)) return
        killed.add(ledger)
        await processes.kill(ledger)
        ledgers[step.process] = await processes.start()
        return
      }
      case 'declare dead': {
        await processes.database.owner.query(
          `update processes set heartbeat_at = now() - interval '1 hour' where id = $1`,
          [ledgers[step.process]!.processId],
        )
        await ledgers[(step.process + 1) % 3]!.buryTheDead().catch(() => 0)
        return
      }
      case 'recall all':
        await processes.database.owner.query(
          `select pg_notify('ledger', 'recall ' || id || ' ' || $2) from limits where organization_id = $1`,
          [account.organization.id, ledgers[step.process]!.processId],
        )
        return
      case 'break connections':
        await processes.database.owner.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'nemo_app' and datname = current_database() and query ~ 'allot\\(|settle\\('`,
        )
        return
      case 'flush':
        await ledgers[step.process]!.flush()
        return
      case 'grant':
      case 'refund': {
        const amountNanos = BigInt(step.do === 'grant' ? step.amount : -step.amount)
        const entry = { organizationId: account.organization.id, kind: step.do, amountNanos }
        if (await postEntry(processes.database.operator, entry).catch(() => null)) granted += amountNanos
        for (const ledger of ledgers) ledger.forget(account.organization.id)
        return
      }
      case 'lower':
        isLowered = true
        await processes.database.operator.query(`update limits set bound = $1 where id = $2`, [
          step.amount,
          account.limit('key.cost.day').id,
        ])
        for (const ledger of ledgers) ledger.forget(account.organization.id)
        return
      case 'lift': {
        const { id } = account.limit(step.which === 0 ? 'key.cost.day' : 'key.cost.total')
        lifted.add(id)
        await processes.database.operator.query('delete from limits where id = $1', [id])
        for (const ledger of ledgers) ledger.forget(account.organization.id)
      }
    }
  }

  async function reserve(by: Ledger, cost: number, tokens: number): Promise<void> {
    const amounts: Record<Limit['resource'], bigint> = {
      cost: BigInt(cost),
      tokens: BigInt(tokens),
      requests: 1n,
      parallel: 1n,
    }
    const binding = account.key.limits.filter(({ id }) => !lifted.has(id))
    const asks = binding.map((limit) => ({ limit, amount: amounts[limit.resource] }))
    const reservation = await (async () => by.reserve({ organizationId: account.organization.id, asks }))().catch(
      () => null,
    )
    if (reservation?.kind !== 'held') return
    taken.push({ hold: reservation.hold, by, id: uuidv7(), cost: amounts.cost })
    admitted++
  }

  async function settle(target: Taken, percent: number): Promise<void> {
    const costNanos = (target.cost * BigInt(percent)) / 100n
    const charge = await target.by.settle(target.hold, { costNanos, tokens: 10, log: logRow(account, target.id) })
    // What a killed process was still asking for nobody hears of.
    if (!charge || killed.has(target.by)) return
    expect(charge.chargedNanos + charge.lossNanos).toBe(costNanos)
    expect(settled.has(target.id)).toBe(false)
    settled.set(target.id, charge.chargedNanos)
    billed.set(target.id, costNanos)
  }

  const open = (index: number): Taken | undefined => {
    const mine = taken.filter(({ by, hold }) => !hold.ended && !killed.has(by))
    return mine[index % Math.max(mine.length, 1)]
  }

  for (const burst of script) {
    await Promise.all(burst.map(act))
    await prove(account, isLowered)
    // All of this takes less than a minute: whatever wasn't taken back counts, killed and dead processes' too.
    expect(admitted - released).toBeLessThanOrEqual(25)
  }
  for (const { by, hold } of taken) if (!killed.has(by)) by.release(hold)
  await Promise.all(ledgers.map((ledger) => ledger.flush()))
  await prove(account, isLowered)
  await Promise.all(ledgers.map((ledger) => processes.end(ledger)))

  const { rows } = await processes.database.operator.query(
    'select id, cost_nanos, loss_nanos from request_logs where organization_id = $1',
    [account.organization.id],
  )
  expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length)
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const [id, charged] of settled) {
    // Of a process that was taken for dead less may have been charged than it thought; never more, and never nothing is written.
    expect(byId.get(id)).toBeDefined()
    expect(byId.get(id).cost_nanos).toBeLessThanOrEqual(charged)
    expect(byId.get(id).cost_nanos + byId.get(id).loss_nanos).toBe(billed.get(id))
  }
  const charged = rows.reduce((sum, row) => sum + (row.cost_nanos ?? 0n), 0n)
  const balance = await processes.database.operator.query('select balance_of($1) as balance', [account.organization.id])
  expect(balance.rows[0].balance).toBe(granted - charged)
  expect((await prove(account, isLowered)).heldByProcesses).toBe(0)
}

async function prove(account: Account, isLowered: boolean) {
  const proof = await proveLedger(processes.database.operator, account.organization.id)
  // A bound that was lowered below what is used admits nothing more; until then nothing may exceed it.
  const overspent = isLowered
    ? proof.overspent.filter((row) => (row as { window_name: string }).window_name !== 'day')
    : proof.overspent
  expect({ ...proof, overspent }).toMatchObject(SOUND)
  return proof
}
