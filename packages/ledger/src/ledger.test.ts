import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { postEntry } from '@nemo/postgres/organizations'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { proveLedger, SOUND } from '@nemo/testing/ledger-proof'
import { type Account, logRow, openAccount } from '@nemo/testing/ledger-world'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ledger } from './ledger.ts'
import type { Ask, Hold, Reservation } from './reserve.ts'

let database: TestDatabase
let ledger: Ledger
const warnings: string[] = []

beforeAll(async () => {
  database = await freshDatabase()
  ledger = new Ledger(database.app, { onWarning: (message) => warnings.push(message) })
  await ledger.start()
})

afterAll(async () => {
  await ledger?.close()
  await database?.close()
})

const ask = (limit: Limit, amount: bigint): Ask => ({ limit, amount })

function reserve(account: Account, asks: Ask[], by = ledger): Promise<Reservation> {
  return by.reserve({ id: uuidv7(), organizationId: account.organization.id, asks })
}

async function held(account: Account, asks: Ask[], by = ledger): Promise<Hold> {
  const reservation = await reserve(account, asks, by)
  if (reservation.kind !== 'held')
    throw new Error(
      `expected a hold, got ${JSON.stringify(reservation, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
    )
  return reservation.hold
}

function settle(account: Account, hold: Hold, costNanos: bigint, tokens = 2, by = ledger) {
  return by.settle({ holdId: hold.id, costNanos, tokens, requests: 1, log: logRow(account, hold.id) })
}

async function balance(account: Account): Promise<bigint> {
  return (await database.operator.query('select balance_of($1) as b', [account.organization.id])).rows[0].b
}

describe('reserve', () => {
  test('takes from every limit or from none, and names the one that refused', async () => {
    const account = await openAccount(database, 1_000n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const credits = account.limit('organization.cost.lifetime')
    const budget = account.limit('key.cost.total')
    await held(account, [ask(credits, 60n), ask(budget, 60n)])
    const refused = await reserve(account, [ask(credits, 60n), ask(budget, 60n)])
    expect(refused).toMatchObject({
      kind: 'refused',
      refusal: { limit: budget, bound: 100n, used: 0n, held: 60n, needed: 60n, freeAt: null },
    })
    const next = await held(account, [ask(credits, 40n), ask(budget, 40n)])
    expect(next.states.find((state) => state.limit.id === credits.id)).toMatchObject({
      used: 0n,
      held: 100n,
      bound: 1_000n,
    })
  })

  test('of a batch, each request sees what those before it took', async () => {
    const account = await openAccount(database, 100n)
    const credits = account.limit('organization.cost.lifetime')
    const kinds = await Promise.all([60n, 60n, 40n, 1n].map((amount) => reserve(account, [ask(credits, amount)])))
    expect(kinds.map((reservation) => reservation.kind)).toEqual(['held', 'refused', 'held', 'refused'])
  })

  test('a limit that was deleted, or that is another organization’s, is out of date and never a pass', async () => {
    const account = await openAccount(database, 100n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const other = await openAccount(database, 100n)
    expect((await reserve(account, [ask(other.limit('organization.cost.lifetime'), 1n)])).kind).toBe('stale')
    await database.operator.query('delete from limits where id = $1', [account.limit('key.cost.total').id])
    expect((await reserve(account, [ask(account.limit('key.cost.total'), 1n)])).kind).toBe('stale')
  })

  test('in any 60 seconds no more than the limit, and the refusal says when the oldest leaves', async () => {
    const account = await openAccount(database, 100n, [{ resource: 'requests', window: 'minute', bound: 2n }])
    const rpm = account.limit('key.requests.minute')
    const first = await held(account, [ask(rpm, 1n)])
    await held(account, [ask(rpm, 1n)])
    await ledger.settle({ holdId: first.id, costNanos: 0n, tokens: 0, requests: 1, log: null })
    const refused = await reserve(account, [ask(rpm, 1n)])
    if (refused.kind !== 'refused') throw new Error('expected a refusal')
    const wait = refused.refusal.freeAt!.getTime() - Date.now()
    expect(wait).toBeGreaterThan(55_000)
    expect(wait).toBeLessThanOrEqual(61_000)

    await age(rpm, 59)
    expect((await reserve(account, [ask(rpm, 1n)])).kind).toBe('refused')
    await age(rpm, 3)
    expect((await reserve(account, [ask(rpm, 1n)])).kind).toBe('held')
  })

  test('a request larger than a rate limit is refused without a time to come back at', async () => {
    const account = await openAccount(database, 100n, [{ resource: 'tokens', window: 'minute', bound: 10n }])
    expect(await reserve(account, [ask(account.limit('key.tokens.minute'), 11n)])).toMatchObject({
      kind: 'refused',
      refusal: { freeAt: null, needed: 11n },
    })
  })

  test('a daily budget says that it heals at midnight UTC', async () => {
    const account = await openAccount(database, 100n, [{ resource: 'cost', window: 'day', bound: 10n }])
    const budget = account.limit('key.cost.day')
    await held(account, [ask(budget, 10n)])
    const refused = await reserve(account, [ask(budget, 1n)])
    if (refused.kind !== 'refused') throw new Error('expected a refusal')
    const { rows } = await database.owner.query(`select date_trunc('day', now(), 'UTC') + interval '1 day' as midnight`)
    expect(refused.refusal.freeAt).toEqual(rows[0].midnight)
  })
})

/** Makes everything that was counted of the limit as much older. */
async function age(limit: Limit, seconds: number): Promise<void> {
  const interval = `${seconds} seconds`
  await database.owner.query('update counters set window_start = window_start - $1::interval where limit_id = $2', [
    interval,
    limit.id,
  ])
  await database.owner.query(
    'update holds set window_starts[1] = window_starts[1] - $1::interval where limit_ids[1] = $2',
    [interval, limit.id],
  )
}

describe('settle', () => {
  test('puts the actual in the place of the held, with one entry and one log row', async () => {
    const account = await openAccount(database, 1_000n, [
      { resource: 'tokens', window: 'minute', bound: 500n },
      { resource: 'parallel', window: 'now', bound: 1n },
    ])
    const asks = [
      ask(account.limit('organization.cost.lifetime'), 100n),
      ask(account.limit('key.tokens.minute'), 50n),
      ask(account.limit('key.parallel.now'), 1n),
    ]
    const hold = await held(account, asks)
    expect((await reserve(account, asks)).kind).toBe('refused')
    expect(await settle(account, hold, 30n, 70)).toEqual({ chargedNanos: 30n, lossNanos: 0n })
    expect(await balance(account)).toBe(970n)
    const again = await held(account, asks)
    expect(again.states.map(({ used, held }) => [used, held])).toEqual([
      [30n, 100n],
      [70n, 50n],
      [0n, 1n],
    ])
    await ledger.release(again)
    expect(await balance(account)).toBe(970n)
    const { rows } = await database.operator.query(
      'select cost_nanos, e.amount_nanos, e.balance_after_nanos from request_logs l join ledger_entries e on e.id = l.entry_id where l.id = $1',
      [hold.id],
    )
    expect(rows).toEqual([{ cost_nanos: 30n, amount_nanos: -30n, balance_after_nanos: 970n }])
  })

  test('twice has no effect twice: not in one batch, not in two, not from another process', async () => {
    const account = await openAccount(database, 1_000n)
    const hold = await held(account, [ask(account.limit('organization.cost.lifetime'), 100n)])
    const other = new Ledger(database.app)
    const charges = await Promise.all([
      settle(account, hold, 30n),
      settle(account, hold, 30n),
      settle(account, hold, 30n, 2, other),
    ])
    charges.push(await settle(account, hold, 30n))
    expect(charges.filter((charge) => charge !== null)).toEqual([{ chargedNanos: 30n, lossNanos: 0n }])
    expect(await balance(account)).toBe(970n)
    const { rows } = await database.operator.query('select 1 from request_logs where id = $1', [hold.id])
    expect(rows).toHaveLength(1)
  })

  test('a bill beyond the hold is charged as far as every limit has room; the rest is the platform’s', async () => {
    const account = await openAccount(database, 1_000n, [{ resource: 'cost', window: 'total', bound: 150n }])
    const asks = [ask(account.limit('organization.cost.lifetime'), 100n), ask(account.limit('key.cost.total'), 100n)]
    const hold = await held(account, asks)
    expect(await settle(account, hold, 400n)).toEqual({ chargedNanos: 150n, lossNanos: 250n })
    expect(await balance(account)).toBe(850n)
    const { rows } = await database.operator.query(
      `select amount_nanos from ledger_entries where organization_id = $1 and account = 'platform_loss'`,
      [account.organization.id],
    )
    expect(rows).toEqual([{ amount_nanos: 250n }])
  })

  test('a row that Postgres can’t read is charged without what it said, and nothing beside it is held up', async () => {
    const account = await openAccount(database, 1_000n)
    const credits = account.limit('organization.cost.lifetime')
    const [bad, good] = await Promise.all([held(account, [ask(credits, 10n)]), held(account, [ask(credits, 10n)])])
    const log = { ...logRow(account, bad.id), consumer: 'a\0b' }
    await Promise.all([
      ledger.settle({ holdId: bad.id, costNanos: 5n, tokens: 1, requests: 1, log }),
      settle(account, good, 5n),
    ])
    expect(await balance(account)).toBe(990n)
  })

  test('a call that was refused leaves a row and no charge', async () => {
    const account = await openAccount(database, 1_000n)
    const id = uuidv7()
    await ledger.record({ ...logRow(account, id), status: 402, price_version_id: null })
    const { rows } = await database.operator.query(
      'select status, cost_nanos, entry_id from request_logs where id = $1',
      [id],
    )
    expect(rows).toEqual([{ status: 402, cost_nanos: null, entry_id: null }])
  })
})

describe('post_entry', () => {
  test('is idempotent by its reference, under concurrency', async () => {
    const account = await openAccount(database, 0n)
    const entries = await Promise.all(
      Array.from({ length: 20 }, () =>
        postEntry(database.operator, {
          organizationId: account.organization.id,
          kind: 'purchase',
          amountNanos: 100n,
          reference: 'evt_1',
        }),
      ),
    )
    expect(entries.filter((entry) => entry.applied)).toHaveLength(1)
    expect(await balance(account)).toBe(100n)
  })

  test('can’t take out what is spent or held', async () => {
    const account = await openAccount(database, 100n)
    const hold = await held(account, [ask(account.limit('organization.cost.lifetime'), 60n)])
    const refund = (amountNanos: bigint) =>
      postEntry(database.operator, { organizationId: account.organization.id, kind: 'refund', amountNanos })
    await expect(refund(-41n)).rejects.toThrow('only 40 nanodollars are neither spent nor held')
    await refund(-40n)
    expect(await settle(account, hold, 60n)).toEqual({ chargedNanos: 60n, lossNanos: 0n })
    expect(await balance(account)).toBe(0n)
  })
})

describe('a process that died', () => {
  test('its holds are given back, and a charge that comes late is taken as far as the balance allows', async () => {
    const account = await openAccount(database, 100n)
    const credits = account.limit('organization.cost.lifetime')
    const dead = new Ledger(database.app)
    await database.app.query('select heartbeat($1)', [dead.processId])
    const hold = await held(account, [ask(credits, 80n)], dead)
    expect(await ledger.expire()).toBe(0)
    await database.owner.query(`update processes set heartbeat_at = now() - interval '1 minute' where id = $1`, [
      dead.processId,
    ])
    expect(await ledger.expire()).toBe(1)
    const next = await held(account, [ask(credits, 90n)])
    expect(await settle(account, hold, 80n, 2, dead)).toEqual({ chargedNanos: 10n, lossNanos: 70n })
    expect(await settle(account, next, 90n)).toEqual({ chargedNanos: 90n, lossNanos: 0n })
    expect(await balance(account)).toBe(0n)
  })

  test('the hold of a process that lives is never touched, however old', async () => {
    const account = await openAccount(database, 100n)
    const hold = await held(account, [ask(account.limit('organization.cost.lifetime'), 80n)])
    await database.owner.query(`update holds set created_at = now() - interval '2 hours' where id = $1`, [hold.id])
    expect(await ledger.expire()).toBe(0)
    expect(await settle(account, hold, 80n)).toEqual({ chargedNanos: 80n, lossNanos: 0n })
  })
})

describe('exactness', () => {
  test('racers of three processes on one balance: exactly as many are admitted as fit', async () => {
    const account = await openAccount(database, 1_000n, [
      { resource: 'cost', window: 'day', bound: 900n },
      { resource: 'requests', window: 'minute', bound: 70n },
    ])
    const asks = [
      ask(account.limit('organization.cost.lifetime'), 10n),
      ask(account.limit('key.cost.day'), 10n),
      ask(account.limit('key.requests.minute'), 1n),
    ]
    const processes = [ledger, new Ledger(database.app), new Ledger(database.app)]
    await Promise.all(processes.slice(1).map((process) => process.start()))
    const results = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const process = processes[i % 3]!
        const reservation = await reserve(account, asks, process)
        if (reservation.kind === 'held') await settle(account, reservation.hold, 10n, 2, process)
        return reservation.kind
      }),
    )
    expect(results.filter((kind) => kind === 'held')).toHaveLength(70)
    expect(await balance(account)).toBe(300n)
    await Promise.all(processes.slice(1).map((process) => process.close()))
  })

  test('after all of this the books are in order', async () => {
    await ledger.flush()
    expect(await proveLedger(database.operator)).toMatchObject(SOUND)
  })
})
