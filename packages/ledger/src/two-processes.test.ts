import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@nemo/domain/ids'
import type { Limit } from '@nemo/domain/limits'
import { hashVirtualKey } from '@nemo/domain/virtual-key'
import { postEntry } from '@nemo/postgres/organizations'
import { createVirtualKey } from '@nemo/postgres/virtual-keys'
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
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ledger } from './ledger.ts'
import { proveLedger, SOUND } from './proof.ts'

let processes: LedgerProcesses
let ledgers: [Ledger, Ledger, Ledger]

beforeAll(async () => {
  processes = await ledgerProcesses()
  ledgers = [await processes.start(), await processes.start(), await processes.start()]
})

afterAll(async () => {
  await processes?.close()
})

const open = (credits: bigint, limits: Parameters<typeof openAccount>[2] = []) =>
  openAccount(processes.database, credits, limits)
const credits = (account: Account) => account.limit('organization.cost.lifetime')

describe('what another process holds idle', () => {
  const LIMITS = [
    { resource: 'cost', window: 'day', bound: 1_000n },
    { resource: 'requests', window: 'minute', bound: 1_000n },
    { resource: 'tokens', window: 'minute', bound: 1_000n },
    { resource: 'parallel', window: 'now', bound: 1_000n },
  ] as const

  test.each(LIMITS)('never refuses what fits: $resource', async ({ resource, window }) => {
    const account = await open(1_000_000n, LIMITS)
    const limit = account.limit(`key.${resource}.${window}`)
    // It takes much in advance, and uses nothing of it.
    for (const amount of [10n, 100n, 400n]) ledgers[0].release(await held(ledgers[0], account, [ask(limit, amount)]))
    ledgers[1].release(await held(ledgers[1], account, [ask(limit, 1_000n)]))
    ledgers[2].release(await held(ledgers[2], account, [ask(limit, 1_000n)]))
    const inUse = await held(ledgers[0], account, [ask(limit, 1n)])
    expect((await reserve(ledgers[1], account, [ask(limit, 1_000n)])).kind).toBe('refused')
    await held(ledgers[2], account, [ask(limit, 999n)])
    ledgers[0].release(inUse)
  })

  test('is waited for while it is on its way there', async () => {
    const account = await open(1_000n)
    processes.delayAnswer(ledgers[0], 'allot', 400)
    const slow = held(ledgers[0], account, [ask(credits(account), 1n)])
    await sleep(50)
    await held(ledgers[1], account, [ask(credits(account), 999n)])
    await slow
  })

  test('is given back before a refund is refused', async () => {
    const account = await open(1_000n)
    for (const ledger of ledgers) ledger.release(await held(ledger, account, [ask(credits(account), 10n)]))
    await postEntry(processes.database.operator, {
      organizationId: account.organization.id,
      kind: 'refund',
      amountNanos: -1_000n,
    })
    expect((await reserve(ledgers[0], account, [ask(credits(account), 1n)])).kind).toBe('refused')
  })
})

describe('racers of three processes', () => {
  test.each([
    { limit: 'key.cost.day', fit: 90 },
    { limit: 'key.requests.minute', fit: 70 },
    { limit: 'key.tokens.minute', fit: 50 },
    { limit: 'organization.cost.lifetime', fit: 100 },
  ])('on $limit: as many are admitted as fit, and not one more', async ({ limit, fit }) => {
    const account = await open(1_000n, [
      { resource: 'cost', window: 'day', bound: 900n },
      { resource: 'requests', window: 'minute', bound: 70n },
      { resource: 'tokens', window: 'minute', bound: 500n },
    ])
    const asks = [ask(credits(account), limit.includes('cost') ? 10n : 1n)]
    if (!limit.startsWith('organization')) asks.push(ask(account.limit(limit), limit.includes('requests') ? 1n : 10n))
    const kinds = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const ledger = ledgers[i % 3]!
        const reservation = await reserve(ledger, account, asks)
        if (reservation.kind === 'held')
          await settle(ledger, account, reservation.hold, asks[0]!.amount, { tokens: 10 })
        return reservation.kind
      }),
    )
    expect(kinds.filter((kind) => kind === 'held').length).toBeLessThanOrEqual(fit)
    // Those that were refused while another's hold was still under way may come again; then nothing that fits is left over.
    let admitted = kinds.filter((kind) => kind === 'held').length
    for (let i = 0; i < 60 && admitted < fit; i++) {
      const reservation = await reserve(ledgers[i % 3]!, account, asks)
      if (reservation.kind !== 'held') continue
      admitted++
      await settle(ledgers[i % 3]!, account, reservation.hold, asks[0]!.amount, { tokens: 10 })
    }
    expect(admitted).toBe(fit)
    for (const ledger of ledgers) expect((await reserve(ledger, account, asks)).kind).toBe('refused')
    await Promise.all(ledgers.map((ledger) => ledger.flush()))
    expect(await balanceOf(processes, account)).toBe(1_000n - BigInt(fit) * asks[0]!.amount)
    expect(await proveLedger(processes.database.operator, account.organization.id)).toMatchObject(SOUND)
  })

  test('on parallel requests: never more at once than the limit, and each gets its turn', async () => {
    const account = await open(1_000n, [{ resource: 'parallel', window: 'now', bound: 4n }])
    const parallel = account.limit('key.parallel.now')
    let [now, most, done] = [0, 0, 0]
    await Promise.all(
      Array.from({ length: 90 }, async (_, i) => {
        for (;;) {
          const reservation = await reserve(ledgers[i % 3]!, account, [ask(parallel, 1n)])
          if (reservation.kind !== 'held') continue
          most = Math.max(most, ++now)
          await new Promise(setImmediate)
          now--
          done++
          ledgers[i % 3]!.release(reservation.hold)
          return
        }
      }),
    )
    expect(most).toBeLessThanOrEqual(4)
    expect(done).toBe(90)
  })
})

describe('a refusal that is remembered', () => {
  test('is forgotten when something frees elsewhere, is granted, or is put back here', async () => {
    const account = await open(100n)
    const all = [ask(credits(account), 100n)]
    const hold = await held(ledgers[0], account, all)
    expect((await reserve(ledgers[1], account, all)).kind).toBe('refused')
    expect((await reserve(ledgers[0], account, all)).kind).toBe('refused')
    await settle(ledgers[0], account, hold, 0n)
    const again = await held(ledgers[0], account, all)
    ledgers[0].release(again)
    // The word that it is free takes a moment to get there.
    let elsewhere = await reserve(ledgers[1], account, all)
    for (let i = 0; elsewhere.kind !== 'held' && i < 50; i++) {
      await sleep(10)
      elsewhere = await reserve(ledgers[1], account, all)
    }
    if (elsewhere.kind !== 'held') throw new Error('it is refused for good')

    expect((await reserve(ledgers[1], account, [ask(credits(account), 50n)])).kind).toBe('refused')
    await postEntry(processes.database.operator, {
      organizationId: account.organization.id,
      kind: 'grant',
      amountNanos: 50n,
    })
    ledgers[1].forget(account.organization.id)
    await held(ledgers[1], account, [ask(credits(account), 50n)])
    ledgers[1].release(elsewhere.hold)
  })

  test('costs a storm of ten thousand neither the database nor the log', async () => {
    const account = await open(100n, [{ resource: 'requests', window: 'minute', bound: 1n }])
    const rpm = account.limit('key.requests.minute')
    const ledger = await processes.start()
    const hold = await held(ledger, account, [ask(rpm, 1n)])
    const queries = processes.queriesOf(ledger)
    const before = queries.length
    const storm = async () => {
      const reservation = await reserve(ledger, account, [ask(rpm, 1n)])
      if (reservation.kind !== 'refused') throw new Error('expected a refusal')
      ledger.refuse({ ...logRow(account, uuidv7()), status: 429 }, rpm.id)
    }
    await Promise.all(Array.from({ length: 5_000 }, storm))
    for (let i = 0; i < 5_000; i++) await storm()
    const asked = queries.slice(before).filter((text) => text.includes('allot'))
    expect(asked.length).toBeLessThanOrEqual(20)
    await ledger.flush()
    const { rows } = await processes.database.operator.query(
      'select count(*)::integer as rows, sum(repeats)::integer as refused from request_logs where organization_id = $1',
      [account.organization.id],
    )
    expect(rows[0].refused).toBe(10_000)
    expect(rows[0].rows).toBeLessThanOrEqual(15)
    ledger.release(hold)
    await ledger.close()
  })
})

describe('the first request of a fresh key', () => {
  const bounds = [
    { resource: 'cost', window: 'day', bound: 10_000n },
    { resource: 'requests', window: 'minute', bound: 100n },
    { resource: 'parallel', window: 'now', bound: 50n },
  ] as const

  test('is like the second: its allotments come with it, and it asks nothing more', async () => {
    const account = await open(1_000_000n)
    const { key: secret } = await createVirtualKey(processes.database.operator, {
      organizationId: account.organization.id,
      teamId: account.organization.defaultTeamId,
      alias: 'fresh',
      limits: bounds,
    })
    const [ledger] = ledgers
    const key = (await ledger.findKey(hashVirtualKey(secret)))!
    for (let i = 0; i < 2; i++) {
      const reservation = ledger.reserve({ organizationId: account.organization.id, asks: asksOf(key.limits) })
      // At once: not a promise.
      expect(reservation).toMatchObject({ kind: 'held' })
    }
  })

  test('and so are fifty at once, in three processes: all that fit, and no more', async () => {
    const account = await open(1_000_000n)
    const { key: secret } = await createVirtualKey(processes.database.operator, {
      organizationId: account.organization.id,
      teamId: account.organization.defaultTeamId,
      alias: 'fresh',
      limits: [{ resource: 'parallel', window: 'now', bound: 50n }],
    })
    const requests = Array.from({ length: 60 }, async (_, i) => {
      const ledger = ledgers[i % 3]!
      const key = (await ledger.findKey(hashVirtualKey(secret)))!
      return reserve(ledger, account, asksOf(key.limits))
    })
    const kinds = (await Promise.all(requests)).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'held')).toHaveLength(50)
    expect(await proveLedger(processes.database.operator, account.organization.id)).toMatchObject(SOUND)
  })

  function asksOf(limits: readonly Limit[]) {
    return limits.map((limit) => ask(limit, limit.resource === 'cost' ? 10n : 1n))
  }
})
