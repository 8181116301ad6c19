import { uuidv7 } from '@nemo/domain/ids'
import { connect } from '@nemo/postgres/connect'
import { postEntry } from '@nemo/postgres/organizations'
import { findConsumerLimits } from '@nemo/postgres/virtual-keys'
import {
  ask,
  balanceOf,
  held,
  type LedgerProcesses,
  ledgerProcesses,
  reserve,
  settle,
  shortenDays,
} from '@nemo/testing/ledger-processes'
import { type Account, logRow, openAccount } from '@nemo/testing/ledger-world'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ledger } from './ledger.ts'
import { proveLedger, SOUND } from './proof.ts'

let processes: LedgerProcesses
let ledger: Ledger

beforeAll(async () => {
  processes = await ledgerProcesses()
  ledger = await processes.start()
})

afterAll(async () => {
  await processes?.close()
})

const open = (credits: bigint, limits: Parameters<typeof openAccount>[2] = []) =>
  openAccount(processes.database, credits, limits)
const credits = (account: Account) => account.limit('organization.cost.lifetime')

async function rowsOf(account: Account) {
  await ledger.flush()
  const { rows } = await processes.database.operator.query(
    'select * from request_logs where organization_id = $1 order by started_at, id',
    [account.organization.id],
  )
  return rows
}

describe('reserve', () => {
  test('takes from every limit or from none, and names the one that refused, with what is used, held and needed', async () => {
    const account = await open(1_000n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const budget = account.limit('key.cost.total')
    const asks = (amount: bigint) => [ask(credits(account), amount), ask(budget, amount)]
    const first = await held(ledger, account, asks(30n))
    await settle(ledger, account, first, 30n)
    await ledger.flush()
    await held(ledger, account, asks(40n))
    expect(await reserve(ledger, account, asks(31n))).toMatchObject({
      kind: 'refused',
      refusal: { limit: budget, bound: 100n, used: 30n, held: 40n, needed: 31n, freeInMs: null },
    })
    // Nothing was taken of the credits by what the budget refused.
    await held(ledger, account, [ask(credits(account), 930n)])
    expect((await reserve(ledger, account, [ask(credits(account), 1n)])).kind).toBe('refused')
    await held(ledger, account, [ask(budget, 30n)])
  })

  test('of a batch, each request sees what those before it took', async () => {
    const account = await open(100n)
    const kinds = await Promise.all(
      [60n, 60n, 40n, 1n].map((amount) => reserve(ledger, account, [ask(credits(account), amount)])),
    )
    expect(kinds.map(({ kind }) => kind)).toEqual(['held', 'refused', 'held', 'refused'])
  })

  test('what one of a batch puts back when another limit refuses it is there for the next', async () => {
    const account = await open(100n, [{ resource: 'cost', window: 'total', bound: 10n }])
    await ledger.release(await held(ledger, account, [ask(credits(account), 1n)]))
    const [refused, fits] = await Promise.all([
      reserve(ledger, account, [ask(credits(account), 60n), ask(account.limit('key.cost.total'), 60n)]),
      reserve(ledger, account, [ask(credits(account), 100n)]),
    ])
    expect([refused.kind, fits.kind]).toEqual(['refused', 'held'])
  })

  test('a limit that was deleted, or that is another organization’s, is out of date and never a pass', async () => {
    const account = await open(100n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const other = await open(100n)
    expect((await reserve(ledger, account, [ask(credits(other), 1n)])).kind).toBe('stale')
    const budget = account.limit('key.cost.total')
    await processes.database.operator.query('delete from limits where id = $1', [budget.id])
    expect((await reserve(ledger, account, [ask(budget, 1n)])).kind).toBe('stale')
  })

  test('of a rate as much as the limit, and the refusal says when enough leaves the minute', async () => {
    const account = await open(100n, [{ resource: 'requests', window: 'minute', bound: 2n }])
    const rpm = account.limit('key.requests.minute')
    await settle(ledger, account, await held(ledger, account, [ask(rpm, 1n), ask(credits(account), 1n)]), 1n)
    ledger.release(await held(ledger, account, [ask(rpm, 1n)]))
    await held(ledger, account, [ask(rpm, 1n)])
    for (const _ of ['asked', 'remembered']) {
      const refused = await reserve(ledger, account, [ask(rpm, 1n)])
      expect(refused).toMatchObject({ refusal: { limit: rpm, bound: 2n, used: 2n, held: 0n, needed: 1n } })
      if (refused.kind !== 'refused') return
      expect(refused.refusal.freeInMs).toBeGreaterThan(0)
      expect(refused.refusal.freeInMs).toBeLessThanOrEqual(61_000)
    }
  })

  test('a request larger than a rate limit is refused without a time to come back at', async () => {
    const account = await open(100n, [{ resource: 'tokens', window: 'minute', bound: 10n }])
    const tpm = account.limit('key.tokens.minute')
    ledger.release(await held(ledger, account, [ask(tpm, 4n)]))
    expect(await reserve(ledger, account, [ask(tpm, 11n)])).toMatchObject({
      kind: 'refused',
      refusal: { freeInMs: null, needed: 11n },
    })
  })

  test('a daily budget says that it heals at midnight UTC', async () => {
    const account = await open(100n, [{ resource: 'cost', window: 'day', bound: 10n }])
    const budget = account.limit('key.cost.day')
    await held(ledger, account, [ask(budget, 10n)])
    const { rows } = await processes.database.owner.query(
      `select extract(epoch from date_trunc('day', now(), 'UTC') + interval '1 day' - clock_timestamp()) * 1000 as ms`,
    )
    const refused = await reserve(ledger, account, [ask(budget, 1n)])
    if (refused.kind !== 'refused') throw new Error('expected a refusal')
    expect(Math.abs(refused.refusal.freeInMs! - Number(rows[0].ms))).toBeLessThan(10_000)
  })

  test('a consumer’s limit binds beside the key’s', async () => {
    const account = await open(1_000n)
    await processes.database.operator.query(
      `insert into limits (id, organization_id, subject, subject_id, consumer, resource, window_name, bound)
       values ($1, $2, 'consumer', $3, 'ann', 'cost', 'month', 50)`,
      [uuidv7(), account.organization.id, uuidv7()],
    )
    const [limit] = await findConsumerLimits(processes.database.app, account.organization.id, 'ann')
    expect(await findConsumerLimits(processes.database.app, account.organization.id, 'bob')).toEqual([])
    await held(ledger, account, [ask(credits(account), 40n), ask(limit!, 40n)])
    expect(await reserve(ledger, account, [ask(credits(account), 11n), ask(limit!, 11n)])).toMatchObject({
      refusal: { limit: { subject: 'consumer' } },
    })
  })
})

describe('settle', () => {
  test('puts the actual in the place of the held, with one usage entry per batch and one log row per request', async () => {
    const account = await open(1_000n, [{ resource: 'parallel', window: 'now', bound: 2n }])
    const asks = [ask(credits(account), 100n), ask(account.limit('key.parallel.now'), 1n)]
    const [one, two] = [await held(ledger, account, asks), await held(ledger, account, asks)]
    expect((await reserve(ledger, account, asks)).kind).toBe('refused')
    expect(await settle(ledger, account, one, 30n)).toEqual({ chargedNanos: 30n, lossNanos: 0n })
    expect(await settle(ledger, account, two, 20n)).toEqual({ chargedNanos: 20n, lossNanos: 0n })
    ledger.release(await held(ledger, account, asks))
    expect(new Set((await rowsOf(account)).map((row) => row.cost_nanos))).toEqual(new Set([30n, 20n]))
    expect(await balanceOf(processes, account)).toBe(950n)
    const { rows } = await processes.database.operator.query(
      `select amount_nanos, balance_after_nanos from ledger_entries where organization_id = $1 and kind = 'usage'`,
      [account.organization.id],
    )
    expect(rows).toEqual([{ amount_nanos: -50n, balance_after_nanos: 950n }])
  })

  test('tokens that were used count for a minute, and those that weren’t do not', async () => {
    const account = await open(1_000n, [{ resource: 'tokens', window: 'minute', bound: 100n }])
    const tpm = account.limit('key.tokens.minute')
    const hold = await held(ledger, account, [ask(credits(account), 1n), ask(tpm, 50n)])
    await settle(ledger, account, hold, 1n, { tokens: 70 })
    expect((await reserve(ledger, account, [ask(tpm, 31n)])).kind).toBe('refused')
    ledger.release(await held(ledger, account, [ask(tpm, 30n)]))
    await settle(ledger, account, await held(ledger, account, [ask(tpm, 30n)]), 0n, { tokens: 5 })
    await held(ledger, account, [ask(tpm, 25n)])
  })

  test('a hold ends once: settled twice, released after or before, also at once and beyond the hold', async () => {
    const account = await open(1_000n)
    const hold = await held(ledger, account, [ask(credits(account), 100n)])
    const charges = await Promise.all([1, 2, 3].map(() => settle(ledger, account, hold, 30n)))
    ledger.release(hold)
    charges.push(await settle(ledger, account, hold, 30n))
    expect(charges).toEqual([{ chargedNanos: 30n, lossNanos: 0n }, null, null, null])

    const beyond = await held(ledger, account, [ask(credits(account), 100n)])
    const settling = [settle(ledger, account, beyond, 500n), settle(ledger, account, beyond, 500n)]
    ledger.release(beyond)
    expect(await Promise.all(settling)).toEqual([{ chargedNanos: 500n, lossNanos: 0n }, null])

    const released = await held(ledger, account, [ask(credits(account), 100n)])
    const extending = ledger.extend(released, [ask(credits(account), 370n)])
    ledger.release(released)
    await extending
    expect(await settle(ledger, account, released, 30n)).toBeNull()
    expect(await rowsOf(account)).toHaveLength(2)
    expect(await balanceOf(processes, account)).toBe(470n)
    // Nothing of it is stranded.
    ledger.release(await held(ledger, account, [ask(credits(account), 470n)]))
  })

  test('a bill beyond the hold is charged as far as every limit has room; the rest is the platform’s', async () => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'total', bound: 150n },
      { resource: 'cost', window: 'month', bound: 150n },
      { resource: 'cost', window: 'day', bound: 130n },
    ])
    const asks = account.key.limits.map((limit) => ask(limit, 100n))
    expect(await settle(ledger, account, await held(ledger, account, asks), 400n)).toEqual({
      chargedNanos: 130n,
      lossNanos: 270n,
    })
    await ledger.flush()
    expect(await balanceOf(processes, account)).toBe(870n)
    const { rows } = await processes.database.operator.query(
      `select amount_nanos from ledger_entries where organization_id = $1 and account = 'platform_loss'`,
      [account.organization.id],
    )
    expect(rows).toEqual([{ amount_nanos: 270n }])
  })

  test('what was held of no limit on cost is charged to nobody', async () => {
    const account = await open(1_000n)
    const hold = await held(ledger, account, [])
    expect(await settle(ledger, account, hold, 5n)).toEqual({ chargedNanos: 0n, lossNanos: 5n })
  })

  test('an extension is all or none, and is settled with the hold', async () => {
    const account = await open(1_000n, [{ resource: 'cost', window: 'total', bound: 150n }])
    const asks = (amount: bigint) => account.key.limits.map((limit) => ask(limit, amount))
    const hold = await held(ledger, account, asks(100n))
    expect(await ledger.extend(hold, asks(51n))).toMatchObject({ limit: account.limit('key.cost.total') })
    expect(await ledger.extend(hold, asks(50n))).toBeNull()
    expect(await settle(ledger, account, hold, 149n)).toEqual({ chargedNanos: 149n, lossNanos: 0n })
    await held(ledger, account, [ask(credits(account), 851n)])
  })

  test('a row that Postgres can’t read is charged without what it said, and takes nothing from those beside it', async () => {
    const account = await open(1_000n)
    const holds = await Promise.all([1, 2, 3].map(() => held(ledger, account, [ask(credits(account), 10n)])))
    const said = ['fine', 'a\0b', 'also fine']
    holds.forEach((hold, i) => {
      const log = { ...logRow(account, uuidv7()), consumer: said[i]! }
      void ledger.settle(hold, { costNanos: 5n, tokens: 1, log })
    })
    const refusal = { ...logRow(account, uuidv7()), status: 429, tags: ['\0'] }
    ledger.refuse(refusal, null)
    const rows = (await rowsOf(account)).map((row) => `${row.status} ${row.consumer}`)
    expect(rows.sort()).toEqual(['200 also fine', '200 fine', '200 null', '429 null'])
    expect(await balanceOf(processes, account)).toBe(985n)
  })

  test('nor does one whose times are beyond all measure, as of a machine that was asleep, keep others from being charged', async () => {
    const account = await open(1_000n)
    const holds = await Promise.all([1, 2].map(() => held(ledger, account, [ask(credits(account), 10n)])))
    const times = [{ latency_ms: 3_000_000_000, overhead_micros: 3_000_000_000, first_token_ms: 3_000_000_000 }, {}]
    for (const [i, hold] of holds.entries())
      await ledger.settle(hold, { costNanos: 10n, tokens: 1, log: { ...logRow(account, uuidv7()), ...times[i] } })
    expect(
      new Set((await rowsOf(account)).map((row) => [row.cost_nanos, row.latency_ms, row.overhead_micros].join())),
    ).toEqual(new Set(['10,2147483647,', '10,1,1']))
  })

  test('refused calls leave rows without a charge, those of one kind a single row with their number', async () => {
    const account = await open(1_000n)
    const refused = (status: number) => ({ ...logRow(account, uuidv7()), status, price_version_id: null })
    for (let i = 0; i < 5; i++) ledger.refuse(refused(429), credits(account).id)
    ledger.refuse(refused(404), null)
    ledger.refuse(refused(404), null)
    const rows = await rowsOf(account)
    expect(rows.map((row) => [row.status, row.repeats, row.cost_nanos, row.entry_id]).sort()).toEqual([
      [404, 1, null, null],
      [404, 1, null, null],
      [429, 5, null, null],
    ])
  })

  test('50, 80 and 100 percent of a limit are an event each, once in its window', async () => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'day', bound: 100n },
      { resource: 'requests', window: 'minute', bound: 2n },
    ])
    for (const cost of [40n, 20n, 5n, 20n, 15n]) {
      const hold = await held(ledger, account, [ask(credits(account), cost), ask(account.limit('key.cost.day'), cost)])
      await settle(ledger, account, hold, cost)
      await ledger.flush()
    }
    await held(ledger, account, [ask(account.limit('key.requests.minute'), 1n)])
    await held(ledger, account, [ask(account.limit('key.requests.minute'), 1n)])
    ledger.refuse(logRow(account, uuidv7()), null)
    await ledger.flush()
    const { rows } = await processes.database.operator.query(
      `select resource, array_agg(percent::integer order by percent) as percents
         from limit_events e join limits l on l.id = e.limit_id
        where e.organization_id = $1 group by resource order by resource`,
      [account.organization.id],
    )
    expect(rows).toEqual([
      { resource: 'cost', percents: [50, 80, 100] },
      { resource: 'requests', percents: [50, 100] },
    ])
  })
})

describe('a limit that changes', () => {
  test('lowered: neither what is idle nor what requests under way bring back is admitted from any more', async () => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'total', bound: 1_000n },
      { resource: 'parallel', window: 'now', bound: 10n },
    ])
    const [budget, parallel] = [account.limit('key.cost.total'), account.limit('key.parallel.now')]
    const asks = [ask(credits(account), 50n), ask(budget, 50n), ask(parallel, 1n)]
    const holds = await Promise.all(Array.from({ length: 4 }, () => held(ledger, account, asks)))
    await processes.database.operator.query('update limits set bound = 20 where id = $1', [budget.id])
    await processes.database.operator.query('update limits set bound = 1 where id = $1', [parallel.id])
    ledger.forget(account.organization.id)
    for (const hold of holds) await settle(ledger, account, hold, 1n)
    await ledger.flush()
    expect(await reserve(ledger, account, [ask(budget, 20n)])).toMatchObject({
      kind: 'refused',
      refusal: { bound: 20n },
    })
    await held(ledger, account, [ask(budget, 10n), ask(parallel, 1n)])
    expect(await reserve(ledger, account, [ask(parallel, 1n)])).toMatchObject({
      kind: 'refused',
      refusal: { bound: 1n },
    })
  })

  test('raised: what was refused a moment ago is admitted', async () => {
    const account = await open(100n, [{ resource: 'cost', window: 'total', bound: 10n }])
    const budget = account.limit('key.cost.total')
    expect((await reserve(ledger, account, [ask(budget, 11n)])).kind).toBe('refused')
    await processes.database.operator.query('update limits set bound = 11 where id = $1', [budget.id])
    ledger.forget(account.organization.id)
    expect((await reserve(ledger, account, [ask(budget, 11n)])).kind).toBe('held')
  })

  test('a child’s limit never exceeds its parent’s, whichever is changed', async () => {
    const account = await open(0n, [{ resource: 'cost', window: 'day', bound: 100n }])
    const { operator } = processes.database
    const insert = (subject: string, subjectId: string, bound: number) =>
      operator.query(
        `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound)
         values ($1, $2, $3, $4, 'cost', 'day', $5)`,
        [uuidv7(), account.organization.id, subject, subjectId, bound],
      )
    const { id, defaultTeamId } = account.organization
    await expect(insert('organization', id, 99)).rejects.toThrow('lower that first')
    await insert('organization', id, 150)
    await expect(insert('team', defaultTeamId, 151)).rejects.toThrow('exceeds the one of its organization')
    await insert('team', defaultTeamId, 120)
    const budget = account.limit('key.cost.day').id
    await expect(operator.query('update limits set bound = 121 where id = $1', [budget])).rejects.toThrow('exceeds')
    await operator.query('update limits set bound = 120 where id = $1', [budget])
    await expect(
      operator.query(`update limits set bound = 119 where subject_id = $1`, [defaultTeamId]),
    ).rejects.toThrow('lower that first')
  })
})

describe('post_entry', () => {
  test('is idempotent by its reference, under concurrency', async () => {
    const account = await open(0n)
    const entries = await Promise.all(
      Array.from({ length: 20 }, () =>
        postEntry(processes.database.operator, {
          organizationId: account.organization.id,
          kind: 'purchase',
          amountNanos: 100n,
          reference: 'evt_1',
        }),
      ),
    )
    expect(entries.filter((entry) => entry.applied)).toHaveLength(1)
    expect(new Set(entries.map((entry) => entry.id)).size).toBe(1)
    expect(await balanceOf(processes, account)).toBe(100n)
  })

  test('takes out what processes only hold idle, and never what is spent or held by requests', async () => {
    const account = await open(100n)
    const hold = await held(ledger, account, [ask(credits(account), 60n)])
    const refund = (amountNanos: bigint) =>
      postEntry(processes.database.operator, { organizationId: account.organization.id, kind: 'refund', amountNanos })
    await expect(refund(-41n)).rejects.toThrow('only 40 nanodollars are neither spent nor held')
    await refund(-40n)
    expect(await settle(ledger, account, hold, 60n)).toEqual({ chargedNanos: 60n, lossNanos: 0n })
    await ledger.flush()
    expect(await balanceOf(processes, account)).toBe(0n)
  })
})

test('a request from before midnight is settled in its day, and the next one counts in the new', async () => {
  const account = await open(1_000n, [{ resource: 'cost', window: 'day', bound: 100n }])
  const budget = account.limit('key.cost.day')
  const asks = [ask(credits(account), 60n), ask(budget, 60n)]
  await shortenDays(processes, 300)
  const early = await held(ledger, account, asks)
  let late = await reserve(ledger, account, asks)
  // Nothing heals it but midnight.
  while (late.kind === 'refused') {
    expect(late.refusal.freeInMs).toBeLessThanOrEqual(300)
    late = await reserve(ledger, account, asks)
  }
  if (late.kind !== 'held') throw new Error('expected a hold')
  await settle(ledger, account, early, 50n)
  await settle(ledger, account, late.hold, 40n)
  await ledger.flush()
  const { rows } = await processes.database.operator.query(
    'select used from counters where limit_id = $1 and used > 0 order by window_start',
    [budget.id],
  )
  // Where midnight falls while the second is asked for, it holds something of both days.
  expect(rows).toHaveLength(2)
  expect(rows[0].used).toBeGreaterThanOrEqual(50n)
  expect(rows[0].used + rows[1].used).toBe(90n)
  expect(await proveLedger(processes.database.operator, account.organization.id)).toMatchObject(SOUND)
})

test('the proof takes the time that it needs: of many calls longer than a statement may', async () => {
  const operator = connect(processes.database.url, 'nemo_operator', { max: 1, statementTimeoutMs: 100 })
  const locker = await processes.database.owner.connect()
  try {
    await locker.query('begin')
    await locker.query('lock table ledger_entries in access exclusive mode')
    const proving = proveLedger(operator)
    proving.catch(() => {})
    await locker.query('select pg_sleep(0.5)')
    await locker.query('commit')
    expect(await proving).toMatchObject(SOUND)
  } finally {
    locker.release()
    await operator.end()
  }
})

test('after all of this the books are in order', async () => {
  await ledger.flush()
  const proof = await proveLedger(processes.database.operator)
  // A limit was lowered below what was used of it.
  expect({
    ...proof,
    overspent: proof.overspent.filter((row) => (row as { bound: bigint }).bound !== 1n),
  }).toMatchObject(SOUND)
})
