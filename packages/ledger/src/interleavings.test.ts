import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { postEntry } from '@nemo/postgres/organizations'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { proveLedger, SOUND } from '@nemo/testing/ledger-proof'
import { type Account, logRow, openAccount } from '@nemo/testing/ledger-world'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from './ledger.ts'
import type { Hold } from './reserve.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})

afterAll(async () => {
  await database?.close()
})

type Step =
  | { readonly do: 'reserve'; readonly process: number; readonly cost: number; readonly tokens: number }
  | { readonly do: 'settle'; readonly process: number; readonly hold: number; readonly percent: number }
  | { readonly do: 'release'; readonly process: number; readonly hold: number }
  | { readonly do: 'kill'; readonly process: number }
  | { readonly do: 'grant' | 'refund' | 'lower'; readonly amount: number }

const process = fc.nat({ max: 2 })
const hold = fc.nat({ max: 30 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      process,
      cost: fc.integer({ min: 1, max: 400 }),
      tokens: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      process,
      hold,
      percent: fc.constantFrom(0, 30, 100, 100, 150, 1_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), process, hold }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), process }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('grant' as const, 'refund' as const, 'lower' as const),
      amount: fc.integer({ min: 1, max: 500 }),
    }),
  },
)
/** Each burst runs at once; the next begins when all of it is done. */
const bursts = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 })

test('whatever interleaves, limits hold, holds end once, and entries add up to the balance', {
  timeout: 120_000,
}, async () => {
  await fc.assert(fc.asyncProperty(bursts, play), { numRuns: Number(globalThis.process.env.NEMO_PROPERTY_RUNS ?? 40) })
})

async function play(script: Step[][]): Promise<void> {
  const account = await openAccount(database, 1_000n, [
    { resource: 'cost', window: 'day', bound: 800n },
    { resource: 'requests', window: 'minute', bound: 25n },
    { resource: 'tokens', window: 'minute', bound: 600n },
    { resource: 'parallel', window: 'now', bound: 6n },
  ])
  const ledgers = [new Ledger(database.app), new Ledger(database.app), new Ledger(database.app)]
  await Promise.all(ledgers.map((ledger) => database.app.query('select heartbeat($1)', [ledger.processId])))
  const taken: { hold: Hold; cost: bigint }[] = []
  const lowered = { is: false }
  let granted = 1_000n
  let charged = 0n

  async function act(step: Step): Promise<void> {
    switch (step.do) {
      case 'reserve': {
        const amounts: Record<Limit['resource'], bigint> = {
          cost: BigInt(step.cost),
          tokens: BigInt(step.tokens),
          requests: 1n,
          parallel: 1n,
        }
        const asks = account.key.limits.map((limit) => ({ limit, amount: amounts[limit.resource] }))
        const reservation = await ledgers[step.process]!.reserve({
          id: uuidv7(),
          organizationId: account.organization.id,
          asks,
        })
        if (reservation.kind === 'held') taken.push({ hold: reservation.hold, cost: amounts.cost })
        return
      }
      case 'settle': {
        const target = taken[step.hold % Math.max(taken.length, 1)]
        if (!target) return
        const costNanos = (target.cost * BigInt(step.percent)) / 100n
        const log = logRow(account, target.hold.id)
        const charge = await ledgers[step.process]!.settle({
          holdId: target.hold.id,
          costNanos,
          tokens: 10,
          requests: 1,
          log,
        })
        if (charge) {
          expect(charge.chargedNanos + charge.lossNanos).toBe(costNanos)
          settled.set(target.hold.id, charge.chargedNanos)
        }
        return
      }
      case 'release': {
        const target = taken[step.hold % Math.max(taken.length, 1)]
        if (target) await ledgers[step.process]!.release(target.hold)
        return
      }
      case 'kill':
        await database.owner.query('delete from processes where id = $1', [ledgers[step.process]!.processId])
        await ledgers[(step.process + 1) % 3]!.expire()
        await database.app.query('select heartbeat($1)', [ledgers[step.process]!.processId])
        return
      case 'grant':
      case 'refund': {
        const amountNanos = BigInt(step.do === 'grant' ? step.amount : -step.amount)
        const posted = await postEntry(database.operator, {
          organizationId: account.organization.id,
          kind: step.do,
          amountNanos,
        }).catch(() => null)
        if (posted) granted += amountNanos
        return
      }
      case 'lower':
        lowered.is = true
        await database.operator.query(`update limits set bound = $1 where id = $2`, [
          step.amount,
          account.limit('key.cost.day').id,
        ])
    }
  }

  const settled = new Map<string, bigint>()
  for (const burst of script) {
    await Promise.all(burst.map(act))
    await check(account, lowered.is)
  }
  for (const { hold } of taken) await ledgers[0]!.release(hold)
  await check(account, lowered.is)
  const open = await database.operator.query('select 1 from holds where organization_id = $1 and expired_at is null', [
    account.organization.id,
  ])
  expect(open.rows).toHaveLength(0)
  charged = [...settled.values()].reduce((sum, nanos) => sum + nanos, 0n)
  const { rows } = await database.operator.query('select balance_of($1) as balance', [account.organization.id])
  expect(rows[0].balance).toBe(granted - charged)
  await Promise.all(ledgers.map((ledger) => ledger.close()))
}

async function check(account: Account, lowered: boolean) {
  const proof = await proveLedger(database.operator, account.organization.id)
  // A bound that was lowered below what is used admits nothing more; until then nothing may exceed it.
  const overspent = lowered
    ? proof.overspent.filter((row) => (row as { window_name: string }).window_name !== 'day')
    : proof.overspent
  expect({ ...proof, overspent }).toMatchObject(SOUND)
  const rate = await database.operator.query(
    `select sum(c.used + c.held) as admitted from counters c where c.limit_id = $1 and c.window_start > now() - interval '60 seconds'`,
    [account.limit('key.requests.minute').id],
  )
  expect(Number(rate.rows[0].admitted ?? 0)).toBeLessThanOrEqual(25)
}
