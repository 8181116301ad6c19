import { postEntry } from '@nemo/postgres/organizations'
import {
  ask,
  balanceOf,
  held,
  type LedgerProcesses,
  ledgerProcesses,
  reserve,
  settle,
} from '@nemo/testing/ledger-processes'
import { type Account, openAccount } from '@nemo/testing/ledger-world'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Ledger } from './ledger.ts'
import { proveLedger, SOUND } from './proof.ts'

/** What becomes of calls under way when their limits are lifted, lowered, raised or paid into. */
let processes: LedgerProcesses
let ledgers: [Ledger, Ledger]

beforeAll(async () => {
  processes = await ledgerProcesses()
  ledgers = [await processes.start(), await processes.start()]
})

afterAll(async () => {
  await processes?.close()
})

const open = (credits: bigint, limits: Parameters<typeof openAccount>[2] = []) =>
  openAccount(processes.database, credits, limits)
const asksOf = (account: Account, amount: bigint) =>
  account.key.limits.map((limit) => ask(limit, limit.resource === 'cost' ? amount : 1n))

/** As whoever sets limits does it; both processes hear of it. */
async function change(account: Account, sql: string, values: unknown[]): Promise<void> {
  await processes.database.operator.query(sql, values)
  for (const ledger of ledgers) ledger.forget(account.organization.id)
}

const lift = (account: Account, name: string) =>
  change(account, 'delete from limits where id = $1', [account.limit(name).id])
const move = (account: Account, name: string, bound: bigint) =>
  change(account, 'update limits set bound = $2 where id = $1', [account.limit(name).id, bound])

async function eventsOf(account: Account): Promise<string[]> {
  await Promise.all(ledgers.map((ledger) => ledger.flush()))
  const { rows } = await processes.database.operator.query(
    `select l.subject || ' ' || e.percent as event from limit_events e join limits l on l.id = e.limit_id
      where e.organization_id = $1 order by l.subject, e.percent`,
    [account.organization.id],
  )
  return rows.map(({ event }) => event)
}

describe('a limit that is lifted while a call holds of it', () => {
  test('ends no stream: what it needs more is held of the others', async () => {
    const account = await open(1_000n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const hold = await held(ledgers[0], account, asksOf(account, 60n))
    await lift(account, 'key.cost.total')
    expect(await ledgers[0].extend(hold, asksOf(account, 300n))).toBeNull()
    expect(await settle(ledgers[0], account, hold, 350n)).toEqual({ chargedNanos: 350n, lossNanos: 0n })
    await ledgers[0].flush()
    expect(await balanceOf(processes, account)).toBe(650n)
  })

  test('leaves the platform no loss of a bill beyond the hold', async () => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'total', bound: 100n },
      { resource: 'cost', window: 'day', bound: 500n },
    ])
    const hold = await held(ledgers[0], account, asksOf(account, 60n))
    await lift(account, 'key.cost.total')
    expect(await settle(ledgers[0], account, hold, 600n)).toEqual({ chargedNanos: 500n, lossNanos: 100n })
    await ledgers[0].flush()
    expect(await balanceOf(processes, account)).toBe(500n)
  })

  test('still has its calls charged and logged, in either process, also by who settles late', async () => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'total', bound: 500n },
      { resource: 'requests', window: 'minute', bound: 10n },
      { resource: 'tokens', window: 'minute', bound: 1_000n },
      { resource: 'parallel', window: 'now', bound: 10n },
    ])
    const late = await processes.start()
    const holds = await Promise.all([...ledgers, late].map((ledger) => held(ledger, account, asksOf(account, 50n))))
    await processes.database.owner.query(
      `update processes set heartbeat_at = now() - interval '1 hour' where id = $1`,
      [late.processId],
    )
    await ledgers[0].buryTheDead()
    await change(account, `delete from limits where organization_id = $1 and window_name <> 'lifetime'`, [
      account.organization.id,
    ])
    await Promise.all([...ledgers, late].map((ledger, i) => settle(ledger, account, holds[i]!, 40n)))
    await Promise.all([...ledgers, late].map((ledger) => ledger.flush()))
    expect(await balanceOf(processes, account)).toBe(880n)
    const { rows } = await processes.database.operator.query(
      'select sum(cost_nanos)::bigint as charged, count(*)::integer as calls from request_logs where organization_id = $1',
      [account.organization.id],
    )
    expect(rows).toEqual([{ charged: 120n, calls: 3 }])
    await processes.end(late)
    expect(await proveLedger(processes.database.operator, account.organization.id)).toMatchObject(SOUND)
  })
})

describe('a refusal after limits were changed', () => {
  test('says truly what is held, though calls were under way meanwhile', async () => {
    const account = await open(1_000n)
    const under = await held(ledgers[0], account, asksOf(account, 50n))
    const hold = await held(ledgers[0], account, asksOf(account, 800n))
    ledgers[0].forget(account.organization.id)
    await settle(ledgers[0], account, hold, 100n)
    await ledgers[0].flush()
    expect(await reserve(ledgers[0], account, asksOf(account, 851n))).toMatchObject({
      kind: 'refused',
      refusal: { bound: 1_000n, used: 100n, held: 50n, needed: 851n },
    })
    ledgers[0].release(under)
  })
})

describe('an event of a limit', () => {
  test('comes also where the bound was lowered to what had been used', async () => {
    const account = await open(1_000n, [{ resource: 'cost', window: 'total', bound: 1_000n }])
    await settle(ledgers[0], account, await held(ledgers[0], account, asksOf(account, 80n)), 80n)
    expect(await eventsOf(account)).toEqual([])
    await move(account, 'key.cost.total', 100n)
    await settle(ledgers[1], account, await held(ledgers[1], account, asksOf(account, 1n)), 1n)
    expect(await eventsOf(account)).toEqual(['key 50', 'key 80'])
  })

  test('comes again where a bound that had been reached was raised, credits that were bought included', async () => {
    const account = await open(100n)
    const spend = async (amount: bigint) => {
      await vi.waitFor(async () =>
        expect(
          (await settle(ledgers[0], account, await held(ledgers[0], account, asksOf(account, amount)), amount))
            ?.chargedNanos,
        ).toBe(amount),
      )
    }
    await spend(100n)
    expect(await eventsOf(account)).toEqual(['organization 50', 'organization 80', 'organization 100'])
    await processes.database.operator.query('update limit_events set announced = true')
    await postEntry(processes.database.operator, {
      organizationId: account.organization.id,
      kind: 'purchase',
      amountNanos: 100n,
    })
    // Half is still used.
    expect(await eventsOf(account)).toEqual(['organization 50'])
    await spend(60n)
    expect(await eventsOf(account)).toEqual(['organization 50', 'organization 80'])
  })
})

test('what one asks for beyond 64 bits is no trouble of those who ask with him', async () => {
  const rich = await open(9_000_000_000_000_000_000n)
  const other = await open(100n)
  for (let i = 0; i < 20; i++) {
    const [much, little, absurd] = await Promise.all([
      held(ledgers[0], rich, asksOf(rich, 400_000_000_000_000_000n)),
      held(ledgers[0], other, asksOf(other, 1n)),
      reserve(ledgers[0], rich, asksOf(rich, 9_300_000_000_000_000_000n)),
    ])
    expect(absurd.kind).toBe('refused')
    await settle(ledgers[0], rich, much, 100_000_000_000_000_000n)
    ledgers[0].release(little)
  }
})
