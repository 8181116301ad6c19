import { newVirtualKey } from '@nemo/domain/virtual-key'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningControl, runControl } from '@nemo/testing/running-control'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { memberWithToken } from '@nemo/testing/signed-in'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

let world: World
let control: RunningControl
let gateway: RunningGateway
let owner: { email: string; token: string }

beforeAll(async () => {
  world = await makeWorld()
  control = await runControl(world.database)
  gateway = await runGateway(world)
  owner = await memberWithToken(world.database, world.acme.id, 'owner')
  await memberWithToken(world.database, world.acme.id, 'viewer')
  await memberWithToken(world.database, world.rival.id, 'owner')
  await control.call('POST', '/api/webhooks', {
    key: owner.token,
    body: { url: 'https://93.184.215.14/hook', events: ['key.revoked'] },
  })
})
afterAll(async () => {
  await gateway?.close()
  await control?.close()
  await world?.close()
})

const report = (body: object) => control.call('POST', '/api/public/leaked-keys', { body })
const call = (key: string) =>
  httpCall(`${gateway.url}/chat/completions`, {
    key,
    body: { model: 'sandbox-chat', messages: [{ role: 'user', content: 'hi' }] },
  })
const becomes = (key: string, status: number) =>
  vi.waitFor(async () => expect((await call(key)).status).toBe(status), { timeout: 1_000, interval: 10 })

test('a key that is found works nowhere within a second, and its organization is told in every way', async () => {
  const { id, key } = await world.issueKey(world.acme, 'leaky')
  expect((await call(key)).status).toBe(200)
  const url = 'https://github.com/acme/app/blob/main/.env'
  const answer = await report([{ token: key, type: 'nemo_virtual_key', url, source: 'content' }])
  expect([answer.status, answer.json]).toEqual([202, { object: 'leak_report', status: 'received' }])
  await becomes(key, 401)
  expect(control.letters.map(({ to }) => to)).toEqual([owner.email])
  expect(control.letters[0]!.text).toContain('"leaky"')
  expect(control.letters[0]!.text).toContain('github.com')
  expect(JSON.stringify(control.letters)).not.toContain(key.slice(10, 30))
  const { rows } = await world.database.operator.query(
    `select a.actor_kind, a.after, e.body::json->'data' as event from audit_log a, webhook_events e where a.action = 'key.revoked' and a.subject_id = $1 and a.organization_id = $2`,
    [id, world.acme.id],
  )
  expect(rows).toEqual([
    {
      actor_kind: 'system',
      after: { reason: 'leaked', found_at: url, source: 'content' },
      event: {
        key_id: id,
        alias: 'leaky',
        hint: `sk-nemo-…${key.slice(-4)}`,
        team_id: world.acme.defaultTeamId,
        reason: 'leaked',
        found_at: url,
      },
    },
  ])
})

test('a key that there isn’t, a revoked one, and no key at all are answered as one that there is', async () => {
  const { key } = await world.issueKey(world.acme, 'plain')
  const first = await report({ key, url: 'https://paste.example' })
  const stable = ({
    status,
    body,
    headers: { date, 'x-nemo-request-id': id, 'x-request-id': other, ...rest },
  }: typeof first) => ({ status, body, rest })
  for (const body of [{ key }, { key: newVirtualKey() }, { key: 'not a key' }, [{ token: newVirtualKey() }]])
    expect(stable(await report(body))).toEqual(stable(first))
  expect(control.letters).toHaveLength(2)
})

test('of a key that was rotated, only the secret that was found ends', async () => {
  const api = (path: string, body: object) => control.call('POST', path, { key: owner.token, body })
  const made = (await api('/api/keys', { alias: 'turned' })).json
  const { key } = (await api(`/api/keys/${made.id}/rotate`, {})).json
  await becomes(made.key, 200)
  await report({ key: made.key })
  await becomes(made.key, 401)
  expect((await call(key)).status).toBe(200)
  expect(control.letters.at(-1)!.text).toContain('new one goes on working')
  await report({ key })
  await becomes(key, 401)
})

test('who reports too often is told to wait', async () => {
  const refused = await vi.waitFor(
    async () => {
      const answer = await report({ key: 'x' })
      expect(answer.status).toBe(429)
      return answer
    },
    { timeout: 8_000, interval: 0 },
  )
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
})
