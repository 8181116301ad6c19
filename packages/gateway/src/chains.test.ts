import { hash } from 'node:crypto'
import { parseUsd } from '@nemo/domain/money'
import { readRoutingSettings } from '@nemo/domain/routing-settings'
import { setChain } from '@nemo/postgres/catalogue'
import { setOrganization } from '@nemo/postgres/organizations'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

/** Where a call may go beyond the group that it asks for: chains, who sets them, what they may cost, and what keeps to one place. */
let world: World
let running: RunningGateway
let places: Record<'first' | 'second' | 'third', Sandbox>

beforeAll(async () => {
  world = await makeWorld()
  places = { first: await startSandbox(), second: await startSandbox(), third: await startSandbox() }
  for (const [group, { url }] of Object.entries(places)) await world.deploy(group, url)
  await world.deploy('theirs', places.second.url, { organization: world.rival })
  await setChain(world.database.operator, 'first', ['second', 'nowhere', 'first', 'third'])
  for (const { url } of [places.first, places.second]) await world.deploy('pair', url)
  await deployProvider(world, { provider: 'sandbox', group: 'dear', baseUrl: places.third.url, price: DEAR })
  running = await runGateway(world, { retriesMax: 0 })
})

afterEach(async () => {
  for (const place of Object.values(places)) place.reset()
  running.gateway.health.restore([], performance.now())
})

afterAll(async () => {
  await running?.close()
  await Promise.all(Object.values(places ?? {}).map((place) => place.close()))
  await world?.close()
})

/** A hundred times what `sandbox-chat` costs. */
const DEAR = { input: parseUsd('15'), output: parseUsd('60') }

const ask = (body: object, key = world.researcher.key, path = 'chat/completions') =>
  httpCall(`${running.url}/${path}`, {
    key,
    body: { model: 'first', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, ...body },
  })
const quote = (body: object, key?: string) => ask(body, key, 'quote')
const logOf = ({ headers }: Answer) => running.logOf(String(headers['x-nemo-request-id']))
const calls = () => Object.values(places).map((place) => place.stats().requests)
/** What an organization says takes effect within a second. */
async function wish(wanted: object): Promise<void> {
  const routing = readRoutingSettings(wanted)
  await setOrganization(world.database.operator, 'acme', { routing })
  await expect
    .poll(async () => (await running.gateway.keys.find(hash('sha256', world.researcher.key, 'binary')))?.routing)
    .toEqual(routing)
}

describe('a chain', () => {
  test.each([false, true])('is gone through in its order until a group answers (streamed: %s)', async (stream) => {
    places.first.configure({ status: 500 })
    places.second.configure({ status: 503 })
    const answer = await ask({ stream })
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'x-nemo-fallback-used': 'true', 'x-nemo-retries': '0' })
    expect(answer.headers['x-nemo-attempts']).toMatch(/=500, .*=503, .*=200$/)
    expect(calls()).toEqual([1, 1, 1])
    const { attempts } = await logOf(answer)
    expect(attempts).toMatchObject([{ kind: 'first' }, { kind: 'fallback' }, { kind: 'fallback' }])
  })

  test('that is exhausted is a 502 with every link in it', async () => {
    for (const place of Object.values(places)) place.configure({ status: 500 })
    const answer = await ask({})
    expect(answer.status).toBe(502)
    expect(String(answer.headers['x-nemo-attempts']).split(', ')).toHaveLength(3)
    expect(answer.headers['x-should-retry']).toBe('false')
  })

  test('isn’t taken for a mistake of the caller’s', async () => {
    places.first.configure({ status: 422 })
    expect((await ask({})).status).toBe(422)
    expect(calls()).toEqual([1, 0, 0])
  })

  test('passes over groups that the key may not call', async () => {
    const { key } = await world.issueKey(world.acme, 'narrow', [], { allowedModels: ['first', 'third'] })
    places.first.configure({ status: 500 })
    expect((await ask({}, key)).status).toBe(200)
    expect(calls()).toEqual([1, 0, 1])
  })

  test('of the request comes before that of the organization, and that before the group’s', async () => {
    places.first.configure({ status: 500 })
    await wish({ groups: { first: { chain: ['third'] } } })
    expect((await ask({})).status).toBe(200)
    expect(calls()).toEqual([1, 0, 1])
    expect((await ask({ nemo_fallbacks: ['second'] })).status).toBe(200)
    expect(calls()).toEqual([2, 1, 1])
    expect((await ask({ nemo_fallbacks: [] })).status).toBe(502)
    await wish({})
  })

  test('may name only groups that the caller may call: another tenant’s is as good as none', async () => {
    for (const name of ['nowhere', 'theirs']) {
      const { status, json } = await ask({ nemo_fallbacks: ['second', name] })
      expect([status, json.error.param, json.error.code]).toEqual([404, 'nemo_fallbacks[1]', 'model_not_found'])
      expect(json.error.message).toBe(`The model '${name}' does not exist or you do not have access to it.`)
    }
  })
})

describe('what an organization wishes', () => {
  test('drops deployments and weighs others, retries less, and has less patience, never more than the operator', async () => {
    const [id] = running.gateway.catalogue.find('first', world.acme.id)!.deployments.map((one) => one.id)
    await wish({ groups: { first: { drop: [id!], chain: ['second'] } }, total_timeout_ms: 80, retries_max: 5 })
    expect((await ask({})).status).toBe(200)
    expect(calls()).toEqual([0, 1, 0])
    expect((await ask({ nemo_fallbacks: [] })).json.error).toMatchObject({ code: 'invalid_request', param: 'model' })
    places.second.configure({ latency_ms: 5_000 })
    const slow = await ask({})
    expect([slow.status, slow.headers['x-nemo-attempts']]).toEqual([502, 'sandbox/sandbox-chat=timeout'])
    // Another organization's calls go where they always did.
    expect((await ask({}, world.rivalKey.key)).status).toBe(200)
    expect(calls()).toEqual([1, 2, 0])
    await wish({})
  })

  test.each([
    [{ retries_max: 11 }, 'routing.retries_max'],
    [{ retriesMax: 1 }, 'routing.retriesMax'],
    [{ cooldownMs: 1 }, 'routing.cooldownMs'],
    [{ sticky: 1 }, 'routing.sticky'],
    [{ groups: { first: { chain: ['a', 'b', 'c', 'd', 'e'] } } }, 'routing.groups.first.chain'],
    [{ groups: { first: { weights: { x: 0 } } } }, 'routing.groups.first.weights.x'],
    [{ groups: { first: { strategy: 'best' } } }, 'routing.groups.first.strategy'],
    [{ groups: { first: { color: 1 } } }, 'routing.groups.first.color'],
    [{ retires: 1 }, 'routing.retires'],
    [[], 'routing'],
  ])('%j is refused, and %s named', (settings, param) => {
    expect(() => readRoutingSettings(settings)).toThrow(expect.objectContaining({ param }))
  })
})

describe('tags', () => {
  test('of the key are needs of every call, and what lacks them is named', async () => {
    const { key } = await world.issueKey(world.acme, 'tagged', [], { defaultTags: ['vision'] })
    expect((await ask({}, key)).status).toBe(200)
    const { status, json } = await ask({ nemo_tags: ['json-schema', 'code'], nemo_fallbacks: ['second'] }, key)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({
      code: 'tags_not_satisfied',
      param: 'nemo_tags',
      excluded: Array(2).fill({ deployment: 'sandbox/sandbox-chat', missing: ['json-schema', 'code'] }),
    })
  })

  test('hold for the chain too', async () => {
    places.first.configure({ status: 500 })
    const answer = await ask({ nemo_tags: ['reasoning'], nemo_fallbacks: ['second', 'dear'] })
    expect(answer.status).toBe(200)
    // Neither the first group nor the second has what was asked for.
    expect(calls()).toEqual([0, 0, 1])
  })
})

test('what is held is enough for the dearest place that a call may fall back to, of the request’s own chain too', async () => {
  const { key } = await world.issueKey(await world.organization('frugal', '0.0011'), 'frugal')
  // 20 tokens of output cost $0.000012 where it asks, and $0.0012 where it would fall back to.
  expect((await ask({ nemo_fallbacks: [] }, key)).status).toBe(200)
  const { status, json } = await ask({ nemo_fallbacks: ['dear'] }, key)
  expect([status, json.error.code]).toEqual([402, expect.stringContaining('credits')])
  expect(calls()).toEqual([1, 0, 0])
})

describe('nemo_max_cost', () => {
  test('leaves out what could cost more, and refuses what nobody answers for', async () => {
    places.first.configure({ status: 500 })
    const body = { nemo_fallbacks: ['dear'], nemo_max_cost: '0.0001' }
    expect((await ask(body)).status).toBe(502)
    expect(calls()).toEqual([1, 0, 0])
    const { status, json } = await ask({ ...body, nemo_max_cost: '0.000000001' })
    expect([status, json.error.code, json.error.param]).toEqual([400, 'max_cost_exceeded', 'nemo_max_cost'])
  })

  test('caps an answer that has no cap, so that it can’t cost more', async () => {
    places.third.configure({ tokens: 100_000 })
    const answer = await ask({ model: 'dear', max_tokens: undefined, nemo_max_cost: 0.01 })
    const cap = Number(answer.headers['x-nemo-max-tokens'])
    expect(cap).toBeGreaterThan(100)
    expect(places.third.stats(1).recent[0]!.body).toMatchObject({ max_completion_tokens: cap })
    expect(parseUsd(String(answer.headers['x-nemo-request-cost']))).toBeLessThanOrEqual(parseUsd('0.01'))
  })
})

describe('a conversation', () => {
  const long = 'x'.repeat(5_000)
  const turns = (n: number, session?: string) => ({
    model: 'pair',
    messages: [
      { role: 'system', content: session ? 'short' : long },
      ...Array.from({ length: n }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `turn ${i}` })),
    ],
    ...(session && { metadata: { session_id: session } }),
  })
  const pair = () => [places.first.stats().requests, places.second.stats().requests].sort((a, b) => a - b)
  test.each([undefined, 'session'])('stays where its prompt is cached (session: %s)', async (session) => {
    for (let n = 1; n < 16; n += 2) expect((await ask(turns(n, session))).status).toBe(200)
    expect(pair()).toEqual([0, 8])
  })

  test('of one tenant says nothing of another’s, though it has the same name and begins the same', async () => {
    const stickyOf = async (body: object, key: string) =>
      ((await logOf(await ask(body, key))) as { decision?: { sticky?: string } }).decision?.sticky
    for (const body of [turns(1), turns(1, 'shared')]) {
      await ask(body)
      expect(await stickyOf(body, world.researcher.key)).toBeTypeOf('string')
      expect(await stickyOf(body, world.rivalKey.key)).toBeUndefined()
    }
  })

  test('goes elsewhere when that place fails, and stays there', async () => {
    await ask(turns(1))
    const [was, other] =
      places.first.stats().requests > 0 ? [places.first, places.second] : [places.second, places.first]
    was.configure({ status: 500 })
    // The operator allows no retry here: after three failures the deployment is left out.
    for (let i = 0; i < 3; i++) expect((await ask(turns(3))).status).toBe(502)
    for (let n = 3; n < 9; n += 2) expect((await ask(turns(n))).status).toBe(200)
    was.configure({ status: null })
    running.gateway.health.restore([], performance.now())
    for (let n = 9; n < 15; n += 2) await ask(turns(n))
    expect([was.stats().requests, other.stats().requests]).toEqual([4, 6])
  })

  test('is nobody’s who doesn’t want it, and too short a one nobody’s at all', async () => {
    for (let i = 0; i < 30; i++) await ask({ model: 'pair' })
    expect(pair()[0]).toBeGreaterThan(0)
    await wish({ sticky: false })
    for (const place of Object.values(places)) place.reset()
    for (let i = 0; i < 30; i++) await ask(turns(1))
    expect(pair()[0]).toBeGreaterThan(0)
    await wish({})
  })
})

describe('a quote', () => {
  test('says what a call would cost and where it would go, and calls nobody', async () => {
    const { status, json } = await quote({ nemo_fallbacks: ['second', 'dear'], nemo_tags: ['vision'] })
    expect(status).toBe(200)
    expect(json).toMatchObject({ object: 'quote', model: 'first', currency: 'usd', would_refuse: null })
    expect(json.candidates.map((one: { group: string; position: number }) => [one.group, one.position])).toEqual([
      ['first', 1],
      ['second', 2],
      ['dear', 3],
    ])
    expect(parseUsd(json.expected)).toBeLessThan(parseUsd(json.upper_bound))
    expect(calls()).toEqual([0, 0, 0])
    expect(running.gateway.ledger.open).toBe(0)
  })

  test('is kept: the call costs no more than its upper bound', async () => {
    const { json } = await quote({})
    const answer = await ask({})
    expect(parseUsd(String(answer.headers['x-nemo-request-cost']))).toBeLessThanOrEqual(parseUsd(json.upper_bound))
  })

  test('names the limit that would refuse', async () => {
    const { key } = await world.issueKey(world.acme, 'spent', [{ resource: 'cost', window: 'day', bound: 1n }])
    const { json } = await quote({}, key)
    expect(json.would_refuse).toMatchObject({ status: 402, code: 'budget_exceeded' })
    expect(json.candidates).toHaveLength(3)
  })

  test('says of each place that asked to be left alone for how long, and that the call would be refused', async () => {
    const places = running.gateway.catalogue.find('first', world.acme.id)!.deployments
    const asked = { organizationId: world.acme.id, deploymentId: places[0]!.id, coolingMs: 60_000, asked: true }
    running.gateway.health.heard(asked, performance.now())
    const { status, json } = await quote({ nemo_fallbacks: [] })
    running.gateway.health.restore([], performance.now())
    expect([status, json.expected]).toEqual([200, null])
    expect(json.would_refuse).toMatchObject({ status: 503, code: 'no_healthy_deployment' })
    expect(json.candidates).toMatchObject([{ group: 'first', position: null, cooling: { by: 'organization' } }])
  })

  test('is refused as the call would be: without a key, or for what it asks', async () => {
    expect((await httpCall(`${running.url}/quote`, { body: {} })).status).toBe(401)
    expect((await quote({ messages: 'hello' })).json.error.param).toBe('messages')
    expect((await quote({ model: 'theirs' })).status).toBe(404)
  })
})
