import { uuidv7 } from '@nemo/domain/ids'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { type IssuedKey, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** What becomes of a key while it is in use, in every process that knows it. */
let world: World
let gateways: RunningGateway[]

beforeAll(async () => {
  world = await makeWorld()
  gateways = [await runGateway(world), await runGateway(world)]
})

afterAll(async () => {
  await Promise.all((gateways ?? []).map((gateway) => gateway.close()))
  await world?.close()
})

const body = { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hello' }] }
const call = ({ url }: RunningGateway, { key }: IssuedKey, model = 'sandbox-chat') =>
  httpCall(`${url}/chat/completions`, { key, body: { ...body, model } })

/** What every process answers to the key, one after the other. */
async function statuses(key: IssuedKey): Promise<number[]> {
  const seen: number[] = []
  for (const gateway of gateways) seen.push((await call(gateway, key)).status)
  return seen
}

const within = (ms: number, key: IssuedKey, wanted: number[]) =>
  vi.waitFor(async () => expect(await statuses(key)).toEqual(wanted), { timeout: ms, interval: 10 })

const revoke = ({ id }: IssuedKey) =>
  world.database.operator.query('update virtual_keys set revoked_at = clock_timestamp() where id = $1', [id])

test('a revoked key stops working within a second, in every process', async () => {
  const key = await world.issueKey(world.acme, 'revoked')
  expect(await statuses(key)).toEqual([200, 200])
  await revoke(key)
  await within(1_000, key, [401, 401])
})

test('a key stops working when it expires, without anyone being told', async () => {
  const key = await world.issueKey(world.acme, 'brief', [], { expiresAt: new Date(Date.now() + 1_500) })
  expect(await statuses(key)).toEqual([200, 200])
  await within(3_000, key, [401, 401])
})

test('a model that a key isn’t allowed is the same 404 as one that doesn’t exist, and isn’t listed', async () => {
  const key = await world.issueKey(world.acme, 'narrow', [], { allowedModels: ['sandbox-chat'] })
  const [gateway] = gateways
  expect((await call(gateway!, key)).status).toBe(200)
  const forbidden = await call(gateway!, key, 'sandbox-flat')
  const absent = await call(gateway!, key, 'absent')
  expect([forbidden.status, absent.status]).toEqual([404, 404])
  expect(forbidden.body.replace('sandbox-flat', '…')).toBe(absent.body.replace('absent', '…'))
  const { json } = await httpCall(`${gateway!.url}/models`, { key: key.key })
  expect(json.data.map(({ id }: { id: string }) => id)).toEqual(['sandbox-chat'])
  expect((await httpCall(`${gateway!.url}/models/sandbox-flat`, { key: key.key })).body).toBe(forbidden.body)
})

test('a limit that is set on a key in use applies without a restart, and one that is lifted binds no more', async () => {
  const key = await world.issueKey(world.acme, 'limited-later')
  expect(await statuses(key)).toEqual([200, 200])
  const limit = uuidv7()
  await world.database.operator.query(
    `insert into limits (id, organization_id, subject, subject_id, resource, window_name, bound) values ($1, $2, 'key', $3, 'requests', 'minute', 0)`,
    [limit, world.acme.id, key.id],
  )
  await within(1_000, key, [429, 429])
  await world.database.operator.query('delete from limits where id = $1', [limit])
  // From this moment on: a process that hasn't heard yet asks for a limit that is gone, and looks the key up again.
  await within(1_000, key, [200, 200])
})

test('a key that is unknown today works from a second after it was made', async () => {
  const { newVirtualKey, hashVirtualKey, hintOfVirtualKey } = await import('@nemo/domain/virtual-key')
  const key = { id: uuidv7(), key: newVirtualKey() }
  expect(await statuses(key)).toEqual([401, 401])
  await world.database.operator.query(
    `insert into virtual_keys (id, organization_id, team_id, alias, hash, hint) values ($1, $2, $3, 'late', $4, $5)`,
    [key.id, world.acme.id, world.acme.defaultTeamId, hashVirtualKey(key.key), hintOfVirtualKey(key.key)],
  )
  await within(2_000, key, [200, 200])
})

test('a revocation is heard of within a second even while the listener’s connection is down, and after it is back', async () => {
  const [during, after] = [await world.issueKey(world.acme, 'during'), await world.issueKey(world.acme, 'after')]
  expect([...(await statuses(during)), ...(await statuses(after))]).toEqual([200, 200, 200, 200])
  const { rows } = await world.database.owner.query(
    `select pg_terminate_backend(pid) as killed from pg_stat_activity where datname = current_database() and query like 'listen config_changed%'`,
  )
  expect(rows).toHaveLength(2)
  await revoke(during)
  await within(1_000, during, [401, 401])
  await vi.waitFor(async () => {
    const { rows } = await world.database.owner.query(
      `select count(*)::int as listening from pg_stat_activity where datname = current_database() and query like 'listen config_changed%'`,
    )
    expect(rows[0].listening).toBe(2)
  }, 5_000)
  expect(await statuses(after)).toEqual([200, 200])
  await revoke(after)
  await within(1_000, after, [401, 401])
})
