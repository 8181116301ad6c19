import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from './connect.ts'
import { countAgainst } from './rate-limits.ts'

let database: TestDatabase
let pools: pg.Pool[]

beforeAll(async () => {
  database = await freshDatabase()
  // As of two processes.
  pools = [1, 2].map(() => connect(database.url, 'nemo_identity', { max: 5 }))
})
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
  await database?.close()
})

const many = (count: number, ...limits: Parameters<typeof countAgainst>[1]) =>
  Promise.all(Array.from({ length: count }, (_, i) => countAgainst(pools[i % 2]!, limits)))

test('so many come through as the limit says, over all processes, and the others hear when to come again', async () => {
  const waits = await many(30, { bucket: 'a', max: 7, seconds: 3600 })
  expect(waits.filter((wait) => wait === null)).toHaveLength(7)
  for (const wait of waits) if (wait !== null) expect(wait).toBeGreaterThanOrEqual(1)
  expect(await countAgainst(pools[0]!, [{ bucket: 'a', max: 7, seconds: 3600 }])).toBeCloseTo(3600 / 7, -1)
})

test('of several limits the tightest holds, in whatever order they are named, and other buckets are untouched', async () => {
  const wide = { bucket: 'wide', max: 100, seconds: 3600 }
  const tight = { bucket: 'tight', max: 3, seconds: 3600 }
  const waits = [...(await many(10, wide, tight)), ...(await many(10, tight, wide))]
  expect(waits.filter((wait) => wait === null)).toHaveLength(3)
  expect(await many(2, { bucket: 'b', max: 2, seconds: 3600 })).toEqual([null, null])
})

test('one more comes through each time that the share of one has passed', async () => {
  const limit = { bucket: 'c', max: 4, seconds: 3600 }
  await many(6, limit)
  await database.owner.query(`update rate_limits set empty_at = empty_at - interval '15 minutes'`)
  expect((await many(3, limit)).filter((wait) => wait === null)).toHaveLength(1)
})

test('nothing that could name anybody is kept', async () => {
  await many(1, { bucket: 'signIn 1 ada@example.com', max: 4, seconds: 3600 })
  const { rows } = await database.owner.query(
    `select string_agg(encode(bucket, 'escape'), '') as dump from rate_limits`,
  )
  expect(rows[0].dump).not.toContain('ada')
})
