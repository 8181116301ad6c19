import { uuidv7 } from '@nemo/domain/ids'
import { coolingDeployments } from '@nemo/postgres/deployment-health'
import { makeWorld, type World } from '@nemo/testing/world'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { HealthBoard } from './health-board.ts'
import type { BreakerSettings } from './routing/breaker.ts'
import type { Fault } from './routing/fault.ts'

const settings: BreakerSettings = { failuresMax: 1, failureWindowMs: 30_000, cooldownMs: 60_000 }
let world: World
let id: string
let warnings: unknown[]
const boards: HealthBoard[] = []

beforeAll(async () => {
  world = await makeWorld()
})

beforeEach(async () => {
  id = await world.deploy(`group ${uuidv7()}`, world.sandbox.url)
  warnings = []
})

afterEach(async () => {
  await Promise.all(boards.splice(0).map((board) => board.close()))
})

afterAll(() => world?.close())

function boardOn(app: Pick<pg.Pool, 'query'>): HealthBoard {
  const processId = uuidv7()
  const board = new HealthBoard(
    app,
    () => processId,
    (_, error) => warnings.push(error),
  )
  boards.push(board)
  return board
}

const fail = ({ health }: HealthBoard, detail = 'silent', organizationId = world.acme.id) => {
  const fault: Fault = { kind: 'timeout', detail }
  health.failed(organizationId, id, fault, settings, performance.now())
}
const succeed = ({ health }: HealthBoard) => health.succeeded(world.acme.id, id, settings, performance.now())
/** For whom it is stored as left out. */
const stored = async () => {
  const all = await coolingDeployments(world.database.app)
  return all.filter(({ deploymentId }) => deploymentId === id).map(({ organizationId }) => organizationId)
}

test.each([
  ['NUL', 'the provider said \0'],
  // It is cut where it gets long, which may be within a character.
  ['half a character', `${'.'.repeat(199)}🔥`],
])('words that Postgres can’t keep (%s) don’t keep others from being told', async (_, detail) => {
  const board = boardOn(world.database.app)
  fail(board, detail)
  fail(board, 'silent', world.rival.id)
  await board.close()
  expect(warnings).toEqual([])
  expect((await stored()).sort()).toEqual([world.acme.id, world.rival.id].sort())
})

test('what is told last is what is kept, however long the database takes over what was told before', async () => {
  let answer = () => {}
  const held = new Promise<void>((resolve) => {
    answer = resolve
  })
  let asked = 0
  const slow = {
    query: async (text: string, values: unknown[]) => {
      if (asked++ === 0) await held
      return world.database.app.query(text, values)
    },
  } as Pick<pg.Pool, 'query'>
  const board = boardOn(slow)
  fail(board)
  await expect.poll(() => asked).toBe(1)
  succeed(board)
  // What came since waits for its turn.
  const closed = board.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(asked).toBe(1)
  answer()
  await closed
  expect([asked, await stored()]).toEqual([2, []])
})

test('what couldn’t be told is told once that can be, unless it is otherwise by then', async () => {
  let failures = 2
  const failing = {
    query: async (text: string, values: unknown[]) => {
      if (failures-- > 0) throw new Error('deadlock detected')
      return world.database.app.query(text, values)
    },
  } as Pick<pg.Pool, 'query'>
  const board = boardOn(failing)
  fail(board)
  fail(board, 'silent', world.rival.id)
  await expect.poll(() => warnings.length).toBe(1)
  succeed(board)
  await expect.poll(stored, { timeout: 5_000 }).toEqual([world.rival.id])
  expect(warnings.length).toBe(2)
})
