import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import {
  ask,
  balanceOf,
  held,
  type LedgerProcesses,
  ledgerProcesses,
  reserve,
  settle,
} from '@nemo/testing/ledger-processes'
import { type Account, logRow, openAccount } from '@nemo/testing/ledger-world'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Ledger } from './ledger.ts'
import { proveLedger, SOUND } from './proof.ts'

let processes: LedgerProcesses

beforeAll(async () => {
  processes = await ledgerProcesses()
})

afterAll(async () => {
  await processes?.close()
})

const open = (credits: bigint, limits: Parameters<typeof openAccount>[2] = []) =>
  openAccount(processes.database, credits, limits)
const credits = (account: Account) => account.limit('organization.cost.lifetime')
const owner = (sql: string, values: unknown[] = []) => processes.database.owner.query(sql, values)
const proof = (account: Account) => proveLedger(processes.database.operator, account.organization.id)
const rpm = [{ resource: 'requests', window: 'minute', bound: 10n }] as const

/** Settles so many at a nano each, without waiting for Postgres. */
async function settleSome(ledger: Ledger, account: Account, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await settle(ledger, account, await held(ledger, account, [ask(credits(account), 1n)]), 1n)
}

async function charges(account: Account): Promise<number> {
  const { rows } = await processes.database.operator.query(
    'select count(*)::integer as n, count(distinct id)::integer as ids from request_logs where organization_id = $1 and cost_nanos > 0',
    [account.organization.id],
  )
  expect(rows[0].ids).toBe(rows[0].n)
  return rows[0].n
}

async function declareDead(ledger: Ledger, by: Ledger): Promise<void> {
  await owner(`update processes set heartbeat_at = now() - interval '1 hour' where id = $1`, [ledger.processId])
  await by.buryTheDead()
}

describe('a process that was killed', () => {
  test('its charges count once each, whoever replays them and how often; its money is free at once', async () => {
    const account = await open(1_000n, rpm)
    const dead = await processes.start()
    await settleSome(dead, account, 30)
    await dead.flush()
    await settleSome(dead, account, 30)
    await held(dead, account, [ask(credits(account), 500n), ask(account.limit('key.requests.minute'), 8n)])
    const journal = join(processes.journalFolder, dead.processId)
    await processes.kill(dead)
    // Its death cut the last line short, and garbled one.
    const [file] = (await readdir(journal)).filter((name) => name.endsWith('.journal'))
    await appendFile(join(journal, file!), 'deadbeef {"sequence":61}\n0123abcd {"sequence":62,"spent":[{"limit')

    const successors = await Promise.all([processes.start(), processes.start(), processes.start()])
    expect(await charges(account)).toBe(60)
    expect(await balanceOf(processes, account)).toBe(940n)
    await processes.start()
    expect(await charges(account)).toBe(60)
    // What can't be read is told of, once, and kept for people.
    expect(await readdir(processes.journalFolder)).not.toContain(dead.processId)
    expect(await readdir(processes.journalFolder)).toContain(`${dead.processId}.unreadable`)
    expect(processes.warnings.filter((warning) => warning.startsWith('1 lines of the journal'))).toHaveLength(1)
    const all = await held(successors[0]!, account, [ask(credits(account), 940n)])
    successors[0]!.release(all)

    // What it admitted of a rate counts for its minute.
    const rate = [ask(account.limit('key.requests.minute'), 10n)]
    await successors[1]!.buryTheDead()
    expect((await reserve(successors[1]!, account, rate)).kind).toBe('refused')
    await owner(`update allotments set frees_at = now() - interval '1 second' where frees_at is not null`)
    await successors[1]!.buryTheDead()
    await new Promise((resolve) => setTimeout(resolve, 110))
    await held(successors[1]!, account, rate)
    expect(await proof(account)).toMatchObject(SOUND)
  })

  test('of its last batch, which arrives while its journal is replayed, nothing counts twice and nothing is lost', async () => {
    const account = await open(1_000n)
    const dead = await processes.start()
    await held(dead, account, [ask(credits(account), 100n)])
    const letGo = await block('select 1 from journals where process_id = $1', [dead.processId])
    await settleSome(dead, account, 5)
    void dead.flush()
    await until(async () => (await waitingFor('settle')) === 1)
    await settleSome(dead, account, 5)
    const killed = processes.kill(dead)
    const successor = processes.start()
    await until(async () => (await waitingFor('settle')) === 2)
    await letGo()
    await Promise.all([successor, killed])
    expect(await charges(account)).toBe(10)
    expect(await balanceOf(processes, account)).toBe(990n)
    expect(await proof(account)).toMatchObject(SOUND)
  })

  test('what it had told several callers at once is charged once each', async () => {
    const account = await open(1_000n)
    const dead = await processes.start()
    const holds = await Promise.all(Array.from({ length: 5 }, () => held(dead, account, [ask(credits(account), 1n)])))
    await Promise.all(holds.map((hold) => settle(dead, account, hold, 1n)))
    await processes.kill(dead)
    await processes.start()
    expect(await charges(account)).toBe(5)
    expect(await proof(account)).toMatchObject(SOUND)
  })

  test('a row that Postgres can’t read doesn’t keep its successor from starting', async () => {
    const account = await open(1_000n)
    const dead = await processes.start()
    const hold = await held(dead, account, [ask(credits(account), 5n)])
    await settle(dead, account, hold, 5n, { id: '01890000-0000-7000-8000-00000000000a' })
    const bad = await held(dead, account, [ask(credits(account), 5n)])
    await dead.settle(bad, {
      costNanos: 5n,
      tokens: 1,
      log: { ...logRow(account, '01890000-0000-7000-8000-00000000000b'), consumer: '\0' },
    })
    await processes.kill(dead)
    await processes.start()
    expect(await charges(account)).toBe(2)
  })
})

describe('a process that was taken for dead while it lived', () => {
  test('ends what it began, as far as there is room and never beyond a bound, and goes on under another id', async () => {
    const account = await open(100n, [{ resource: 'cost', window: 'total', bound: 100n }])
    const asks = (amount: bigint) => account.key.limits.map((limit) => ask(limit, amount))
    const [slow, other] = [await processes.start(), await processes.start()]
    const [one, two] = [await held(slow, account, asks(40n)), await held(slow, account, asks(40n))]
    const was = slow.processId
    await declareDead(slow, other)
    const taken = await held(other, account, asks(50n))
    // What it says of its charge is what it knew; what is charged is what there is room for.
    await settle(slow, account, one, 40n)
    slow.refuse({ ...logRow(account, '01890000-0000-7000-8000-00000000000c'), status: 429 }, null)
    await slow.flush()
    await until(async () => slow.processId !== was)
    await settle(slow, account, two, 40n)
    await slow.flush()
    expect(await settle(other, account, taken, 50n)).toEqual({ chargedNanos: 50n, lossNanos: 0n })
    await other.flush()
    await slow.flush()
    const { rows } = await processes.database.operator.query(
      'select status, cost_nanos, loss_nanos from request_logs where organization_id = $1 order by loss_nanos, status',
      [account.organization.id],
    )
    expect(rows.map((row) => `${row.status} ${row.cost_nanos} ${row.loss_nanos}`).sort()).toEqual([
      '200 10 30',
      '200 40 0',
      '200 50 0',
      '429 null 0',
    ])
    expect(await balanceOf(processes, account)).toBe(0n)
    expect(slow.open).toBe(0)
    expect(await proof(account)).toMatchObject(SOUND)
    const rich = await open(100n)
    await held(slow, rich, [ask(credits(rich), 100n)])
  })

  test('a process that lives is never touched, however old its holds', async () => {
    const account = await open(100n)
    const [ledger, other] = [await processes.start(), await processes.start()]
    const hold = await held(ledger, account, [ask(credits(account), 80n)])
    await owner(`update processes set started_at = now() - interval '2 hours' where id = $1`, [ledger.processId])
    await other.buryTheDead()
    expect((await reserve(other, account, [ask(credits(account), 21n)])).kind).toBe('refused')
    expect(await settle(ledger, account, hold, 80n)).toEqual({ chargedNanos: 80n, lossNanos: 0n })
  })
})

test('a process that ends gives everything back, so that the next is refused nothing', async () => {
  const account = await open(1_000n, [...rpm, { resource: 'parallel', window: 'now', bound: 3n }])
  const asks = (requests: bigint) => [
    ask(credits(account), 1_000n),
    ask(account.limit('key.requests.minute'), requests),
    ask(account.limit('key.parallel.now'), 3n),
  ]
  const first = await processes.start()
  first.release(await held(first, account, asks(10n)))
  await settle(first, account, await held(first, account, [ask(account.limit('key.requests.minute'), 1n)]), 0n)
  await held(first, account, [ask(account.limit('key.parallel.now'), 1n)])
  await processes.end(first)
  expect((await proof(account)).heldByProcesses).toBe(0)
  const { rows } = await owner('select dead_at is not null as ended from processes where id = $1', [first.processId])
  expect(rows).toEqual([{ ended: true }])
  const second = await processes.start()
  second.release(await held(second, account, asks(9n)))
  expect(await readdir(processes.journalFolder)).not.toContain(first.processId)
})

describe('when Postgres', () => {
  test('breaks off while it gives, nothing leaks and nothing is given twice', async () => {
    const account = await open(1_000n)
    const ledger = await processes.start()
    for (let i = 0; i < 10; i++) {
      const letGo = await block('select 1 from limits where id = $1', [credits(account).id])
      const asking = Promise.allSettled(
        [100n, 200n, 900n].map((amount) => reserve(ledger, account, [ask(credits(account), amount)])),
      )
      await until(async () => (await waitingFor('allot')) > 0)
      // Now it gives, or it breaks off: the process can't tell which.
      const kill = owner(
        `select pg_terminate_backend(pid) from pg_stat_activity where query like '%allot(%' and wait_event_type = 'Lock' and datname = current_database()`,
      )
      if (i % 2 === 0) await kill
      await letGo()
      await kill
      for (const outcome of await asking)
        if (outcome.status === 'fulfilled' && outcome.value.kind === 'held') ledger.release(outcome.value.hold)
      const all = await insist(() => held(ledger, account, [ask(credits(account), 1_000n)]))
      const more = await insist(() => reserve(ledger, account, [ask(credits(account), 1n)]))
      expect(more.kind).toBe('refused')
      ledger.release(all)
      await ledger.flush()
      expect(await proof(account)).toMatchObject(SOUND)
    }
    await ledger.close()
    expect((await proof(account)).heldByProcesses).toBe(0)
  })

  test.each(['allot', 'settle', 'begin_epoch', 'authenticate_keys'])(
    'has done what was asked, and the answer to %s is lost: nothing is stranded, given twice or charged twice',
    async (what) => {
      const account = await open(1_000n)
      const ledger = await processes.start()
      const { processId } = ledger
      for (let i = 0; i < 4; i++) {
        processes.loseAnswer(ledger, what === 'begin_epoch' ? 'allot' : what)
        // More ask while it is still being found out what the first was given.
        const asking = Promise.allSettled(
          [100n, 7n, 300n].map(async (amount, n) => {
            await new Promise((resolve) => setTimeout(resolve, n))
            return reserve(ledger, account, [ask(credits(account), amount)])
          }),
        )
        if (what === 'begin_epoch') {
          await until(async () => processes.queriesOf(ledger).some((text) => text.includes('allot')))
          processes.loseAnswer(ledger, 'begin_epoch')
        }
        const key = processes.database.operator.query('select hash from virtual_keys where id = $1', [account.key.id])
        if (what === 'authenticate_keys') await ledger.findKey((await key).rows[0].hash).catch(() => {})
        await key
        for (const outcome of await asking) {
          if (outcome.status !== 'fulfilled' || outcome.value.kind !== 'held') continue
          await settle(ledger, account, outcome.value.hold, 1n)
        }
        await ledger.flush()
        const left = await balanceOf(processes, account)
        const all = await insist(() => held(ledger, account, [ask(credits(account), left)]))
        const more = await insist(() => reserve(ledger, account, [ask(credits(account), 1n)]))
        expect(more.kind).toBe('refused')
        ledger.release(all)
        ledger.forget(account.organization.id)
        await ledger.flush()
        expect(await proof(account)).toMatchObject(SOUND)
      }
      // It was never taken for dead by that.
      expect(ledger.processId).toBe(processId)
      await processes.end(ledger)
      expect((await proof(account)).heldByProcesses).toBe(0)
    },
  )

  test('is restarted again and again under load: no charge is lost, none counts twice', async () => {
    const account = await open(100_000n)
    const ledgers = await Promise.all([processes.start(), processes.start()])
    let settled = 0
    let isOver = false
    const load = ledgers.map(async (ledger) => {
      while (!isOver) {
        const reservation = await reserve(ledger, account, [ask(credits(account), 3n)]).catch(() => null)
        if (reservation?.kind === 'held') {
          await settle(ledger, account, reservation.hold, 3n)
          settled++
        }
        await new Promise(setImmediate)
      }
    })
    for (let i = 0; i < 15; i++) {
      const before = settled
      await owner(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nemo_app' and datname = current_database()`,
      )
      await until(async () => settled > before + 20)
    }
    isOver = true
    await Promise.all(load)
    await Promise.all(ledgers.map((ledger) => ledger.flush()))
    expect(await charges(account)).toBe(settled)
    expect(await balanceOf(processes, account)).toBe(100_000n - 3n * BigInt(settled))
    expect(await proof(account)).toMatchObject(SOUND)
    const all = await insist(() => held(ledgers[0]!, account, [ask(credits(account), 100_000n - 3n * BigInt(settled))]))
    ledgers[0]!.release(all)
  })

  test('is away, many charges wait in the journal, and each that is written is whole', async () => {
    const account = await open(100_000n)
    const ledger = await processes.start()
    ledger.release(await held(ledger, account, [ask(credits(account), 10_000n)]))
    const letGo = await block('select 1 from journals where process_id = $1', [ledger.processId])
    await settleSome(ledger, account, 2_500)
    await letGo()
    const flushing = ledger.flush()
    let isFlushed = false
    void flushing.then(() => {
      isFlushed = true
    })
    while (!isFlushed) expect(await proof(account)).toMatchObject(SOUND)
    expect(await charges(account)).toBe(2_500)
  })
})

describe('rows of refused calls', () => {
  const rowsOf = async (account: Account) =>
    (
      await processes.database.operator.query(
        `select count(*)::integer as rows, coalesce(sum(repeats), 0)::integer as calls from request_logs where organization_id = $1`,
        [account.organization.id],
      )
    ).rows[0]

  test('of which an outage makes as many as there are calls share one a second', async () => {
    const account = await open(1n)
    const ledger = await processes.start()
    const log = { ...logRow(account, uuidv7()), status: 503, error_code: 'credit_check_failed' }
    for (let i = 0; i < 20_000; i++) ledger.refuse({ ...log, id: uuidv7() }, null)
    await ledger.flush()
    const { rows, calls } = await rowsOf(account)
    expect(calls).toBe(20_000)
    expect(rows).toBeLessThanOrEqual(10)
  })

  test('fill no memory while Postgres is away: what is too many is left out, and told of', async () => {
    const account = await open(1_000n)
    const ledger = await processes.start()
    const letGo = await block('select 1 from journals where process_id = $1', [ledger.processId])
    await settleSome(ledger, account, 1)
    for (let i = 0; i < 15_000; i++)
      ledger.refuse({ ...logRow(account, uuidv7()), status: 400, error_code: 'invalid_request' }, null)
    await letGo()
    await ledger.flush()
    expect((await rowsOf(account)).rows).toBeLessThanOrEqual(10_001)
    expect((await rowsOf(account)).rows).toBeGreaterThan(5_000)
    expect(await charges(account)).toBe(1)
    expect(processes.warnings.filter((warning) => /rows of refused calls/.test(warning))).toHaveLength(1)
  })
})

describe('when the journal', () => {
  test('is full, nothing is admitted until Postgres has what is in it', async () => {
    const account = await open(100_000n)
    const ledger = await processes.start({ journalBytesMax: 20_000 })
    ledger.release(await held(ledger, account, [ask(credits(account), 1_000n)]))
    const letGo = await block('select 1 from journals where process_id = $1', [ledger.processId])
    let admitted = 0
    await expect(
      (async () => {
        for (; admitted < 1_000; admitted++) await settleSome(ledger, account, 1)
      })(),
    ).rejects.toThrow('the journal is full')
    expect(ledger.journalBytes).toBeLessThan(22_000)
    await letGo()
    await ledger.flush()
    await settleSome(ledger, account, 1)
    await ledger.flush()
    expect(await charges(account)).toBe(admitted + 1)
  })

  test('can’t be written, a charge is in Postgres before it is said to be settled, and nothing is admitted meanwhile', async () => {
    const account = await open(100_000n)
    const ledger = await processes.start()
    const holds = [
      await held(ledger, account, [ask(credits(account), 10n)]),
      await held(ledger, account, [ask(credits(account), 10n)]),
    ]
    ledger.release(await held(ledger, account, [ask(credits(account), 10n)]))
    // Where the folder was there is a file now: not even root can write into it.
    const folder = join(processes.journalFolder, ledger.processId)
    await rm(folder, { recursive: true })
    await writeFile(folder, '')
    const settling = holds.map((hold) => settle(ledger, account, hold, 10n))
    // The journal is written at the end of this turn.
    await turn()
    await expect(reserve(ledger, account, [ask(credits(account), 1n)])).rejects.toThrow('can’t be written')
    await Promise.all(settling)
    expect(await charges(account)).toBe(2)
    await rm(folder)
    await mkdir(folder)
    await settleSome(ledger, account, 1)
    await ledger.flush()
    expect(await charges(account)).toBe(3)
  })
})

/** Holds a lock that the statement takes, until it is let go of or the test ends. */
async function block(sql: string, values: unknown[]): Promise<() => Promise<void>> {
  const client = await processes.database.owner.connect()
  await client.query('begin')
  await client.query(`${sql} for update`, values)
  let isOver = false
  const letGo = async () => {
    if (isOver) return
    isOver = true
    await client.query('commit')
    client.release()
  }
  onTestFinished(letGo)
  return letGo
}

async function waitingFor(what: string): Promise<number> {
  const { rows } = await owner(
    `select count(*)::integer as n from pg_stat_activity where query like $1 and wait_event_type = 'Lock' and datname = current_database()`,
    [`%select%${what}(%`],
  )
  return rows[0].n
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('it never came to that')
}

/** Tries again while it isn't known what Postgres gave. */
async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await act()
    } catch (error) {
      if (i === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
