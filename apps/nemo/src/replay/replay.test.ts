import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { uuidOfRequestId } from '@nemo/domain/ids'
import { STRATEGIES } from '@nemo/domain/routing-settings'
import { setChain } from '@nemo/postgres/catalogue'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildNemo, type Ended, Installation } from '../testing/installation.ts'
import type { ComparisonReport } from './comparison-report.ts'
import type { Explanation } from './explanation.ts'

/** Real calls over three deployments, a chain behind them, under every strategy and with failures among them; then the command, on what the log has of them. */
let bundle: Awaited<ReturnType<typeof buildNemo>>
let nemo: Installation
let world: World
let running: RunningGateway
let places: Sandbox[]
let ids: string[]
let spare: string
const made: { requestId: string; status: number }[] = []
let since: string

const PER_STRATEGY = 60
const DYING = 40

beforeAll(async () => {
  bundle = await buildNemo()
  nemo = await Installation.make(bundle.path)
  world = await makeWorld()
  places = await Promise.all([0, 1, 2, 3].map(() => startSandbox()))
  ids = []
  for (const { url } of places.slice(0, 3)) ids.push(await world.deploy('three', url))
  spare = await world.deploy('spare', places[3]!.url)
  await setChain(world.database.operator, 'three', ['spare'])
  await world.database.operator.query('update deployments set weight = 5, requests_per_minute = 100000 where id = $1', [
    ids[1],
  ])
  running = await runGateway(world)
  since = new Date().toISOString()
  await makeCalls()
}, 120_000)

afterAll(async () => {
  await running?.close()
  await Promise.all((places ?? []).map((place) => place.close()))
  await world?.close()
  await nemo?.close()
  await bundle?.remove()
})

async function makeCalls(): Promise<void> {
  places[0]!.configure({ latency_ms: 5, failure_rate: 0.3, failure_status: 503 })
  places[2]!.configure({ failure_rate: 0.1, failure_status: 500 })
  for (const strategy of STRATEGIES) {
    for (let i = 0; i < PER_STRATEGY; i += 6) {
      await Promise.all([0, 1, 2, 3, 4, 5].map((n) => ask({ nemo_strategy: strategy, stream: n % 2 === 0 })))
    }
  }
  // All but the spare one die while calls are under way: who has yet to go there finds it out before.
  const postponed = `select from request_logs where decision ? 'postponed' limit 1`
  for (let rounds = 0; rounds === 0 || (await world.database.operator.query(postponed)).rowCount === 0; rounds++) {
    expect(rounds).toBeLessThan(20)
    for (const place of places.slice(0, 3)) place.configure({ status: 500 })
    await Promise.all(Array.from({ length: DYING }, () => ask({ nemo_strategy: 'simple-shuffle' })))
    for (const place of places) place.reset()
    running.gateway.health.restore([], performance.now())
    await running.logOf(made.at(-1)!.requestId)
  }
  for (let i = 0; i < 6; i++) await ask({ nemo_strategy: 'cost-based' })
  await running.logOf(made.at(-1)!.requestId)
}

async function ask(body: object): Promise<string> {
  const { headers, status } = await httpCall(`${running.url}/chat/completions`, {
    key: world.researcher.key,
    body: { model: 'three', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, ...body },
  })
  const requestId = String(headers['x-nemo-request-id'])
  made.push({ requestId, status })
  return requestId
}

const run = (...args: string[]): Promise<Ended> => nemo.run(['replay', ...args], { DATABASE_URL: world.database.url })

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await run(...args, '--json')
  if (!stdout) throw new Error(stderr)
  return JSON.parse(stdout)
}

test('every one of several hundred calls replays to the same deployments, in the same order', async () => {
  for (const { requestId } of made) await running.logOf(requestId)
  const report = await json<ComparisonReport>('--since', since)
  expect(made.length).toBeGreaterThanOrEqual(STRATEGIES.length * PER_STRATEGY + DYING + 6)
  expect(report).toMatchObject({
    calls: made.length,
    left_out: { refused_before_routing: 0, unreadable: 0, unpriced: 0 },
    astray: { calls: 0, request_ids: [] },
    elsewhere: { first_choice: 0, answered: 0 },
  })
  const { rows } = await world.database.operator.query(
    "select sum(cost_nanos) / 1e9 as usd, count(*) filter (where attempts->0->>'outcome' <> '200')::int as failed_first from request_logs",
  )
  expect(rows[0].failed_first).toBeGreaterThan(10)
  expect(Number(report.cost_usd.actual)).toBe(Number(rows[0].usd))
  expect(report.cost_usd.other).toBe(report.cost_usd.actual)
})

test('a call is explained: what was known of each candidate, the order, and what was tried, by either form of its id', async () => {
  const { requestId } = made.at(-1)!
  const one = await json<Explanation>(requestId)
  expect(one).toMatchObject({ request_id: requestId, the_same: true, differences: [], strategy: 'cost-based' })
  expect(one.links.map(({ group }) => group)).toEqual(['three', 'spare'])
  expect(one.links[0]!.candidates.map(({ deployment_id }) => deployment_id).toSorted()).toEqual(ids.toSorted())
  expect(one.links[0]!.candidates.every(({ score }) => score! > 0)).toBe(true)
  expect(one.order[0]!.deployment_id).toBe((one.attempts[0] as { deployment_id: string }).deployment_id)
  expect(await json(uuidOfRequestId(requestId)!)).toEqual(one)

  const { code, stdout } = await run(requestId)
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('The same') })
  expect(stdout).toContain('sandbox/sandbox-chat')
})

test('what was left out is said with its reason', async () => {
  const operator = world.database.operator
  await operator.query(`update models set capabilities = '{eu}' where id = 'sandbox/sandbox-flat'`)
  const group = await deployProvider(world, { provider: 'sandbox', group: 'tagged', baseUrl: places[0]!.url })
  await operator.query(
    `insert into deployments (id, group_id, model_id, credential_id, upstream_model)
     select gen_random_uuid(), group_id, 'sandbox/sandbox-flat', credential_id, 'sandbox-flat' from deployments
      where group_id = (select id from model_groups where name = $1)`,
    [group],
  )
  await expect.poll(() => running.gateway.catalogue.find(group, world.acme.id)?.deployments.length).toBe(2)
  const requestId = await ask({ model: group, nemo_tags: ['vision'] })
  await running.logOf(requestId)
  const { links } = await json<Explanation>(requestId)
  expect(links[0]!.candidates).toMatchObject([
    { position: 1, excluded: null, model: 'sandbox-chat' },
    { position: null, excluded: 'tags:vision', model: 'sandbox-flat', facts: null },
  ])
  expect((await run(requestId)).stdout).toContain('left out: tags:vision')
})

test('a deployment that has nothing like a field is said to have been passed over, and why', async () => {
  const [group, url] = ['mixed', places[0]!.url]
  await deployProvider(world, { provider: 'anthropic', group, baseUrl: url })
  await world.deploy(group, url)
  await expect.poll(() => running.gateway.catalogue.find(group, world.acme.id)?.deployments.length).toBe(2)
  const passedOver = async () => {
    const requestId = await ask({ model: group, logit_bias: { 1: 1 } })
    await running.logOf(requestId)
    return json<Explanation>(requestId)
  }
  let one = await passedOver()
  while (one.passed_over.length === 0) one = await passedOver()
  expect(one).toMatchObject({
    the_same: true,
    passed_over: [{ provider: 'anthropic', param: 'logit_bias' }],
    order: [{ provider: 'sandbox' }],
    attempts: [{ provider: 'sandbox', outcome: '200' }],
  })
})

test('a log row that was tampered with isn’t the same any more, and the exit code says so', async () => {
  const requestId = await ask({ nemo_strategy: 'simple-shuffle' })
  await running.logOf(requestId)
  const { order } = await json<Explanation>(requestId)
  await world.database.owner.query(
    `update request_logs set attempts = jsonb_set(attempts, '{0,deployment_id}', to_jsonb($2::text)) where id = $1`,
    [uuidOfRequestId(requestId), order[1]!.deployment_id],
  )
  const { code, stdout } = await run(requestId)
  expect(code).toBe(1)
  expect(stdout).toContain(`attempt 1 went to ${order[1]!.deployment_id}, and ${order[0]!.deployment_id} was next`)
  await world.database.owner.query('delete from request_logs where id = $1', [uuidOfRequestId(requestId)])
})

test('what can’t be replayed is said in one sentence', async () => {
  const nobody = await run('req_0199c0de0000700080000000000000aa')
  expect(nobody).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('There is no call') })
  expect(await run('nonsense')).toMatchObject({ code: 2, stderr: expect.stringContaining('is no request id') })
  expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining('--since') })
  expect(await run(made[0]!.requestId, '--strategy', 'cost-based')).toMatchObject({ code: 2 })
  expect(await run('--since', 'yesterday')).toMatchObject({ code: 2, stderr: expect.stringContaining('--since') })
  expect(await run('--since', '1h', '--chain', 'nowhere')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no model group "nowhere"'),
  })

  const refused = await ask({ model: 'no-such-model' })
  await running.logOf(refused)
  expect(await run(refused)).toMatchObject({ code: 1, stderr: expect.stringContaining('refused before it was routed') })

  const other = await ask({})
  await running.logOf(other)
  await world.database.owner.query(`update request_logs set decision = '{"release": 9}' where id = $1`, [
    uuidOfRequestId(other),
  ])
  expect(await run(other)).toMatchObject({ code: 1, stderr: expect.stringContaining('another release') })
  const report = await json<ComparisonReport>('--since', since)
  expect(report.left_out).toEqual({ refused_before_routing: 1, unreadable: 1, unpriced: 0 })
})

test('another strategy, chain or price list is answered with cost, latency, failures and where calls would go', async () => {
  const file = join(nemo.folder, 'prices.json')
  await writeFile(
    file,
    JSON.stringify({ 'sandbox/sandbox-chat': { input: '0.3', cachedInput: '0.15', output: '1.2' } }),
  )
  const dear = await json<ComparisonReport>('--since', since, '--model', 'three', '--prices', file)
  expect(dear.elsewhere).toEqual({ first_choice: 0, answered: 0 })
  expect(Number(dear.cost_usd.other)).toBeCloseTo(2 * Number(dear.cost_usd.actual), 6)

  const shuffled = await json<ComparisonReport>('--since', since, '--model', 'three', '--strategy', 'simple-shuffle')
  const firsts = shuffled.deployments.reduce((sum, one) => sum + one.first_choice.other, 0)
  expect(firsts).toBe(shuffled.calls)
  expect(shuffled.elsewhere.first_choice).toBeGreaterThan(0)
  // Five of seven go where the weight is.
  const heavy = shuffled.deployments.find(({ deployment_id }) => deployment_id === ids[1])!
  expect(heavy.first_choice.other / shuffled.calls).toBeGreaterThan(0.5)
  expect(shuffled.latency_ms.to_first_token.calls).toBeGreaterThan(100)

  const alone = await json<ComparisonReport>('--since', since, '--model', 'three', '--no-chain')
  const chained = await json<ComparisonReport>('--since', since, '--model', 'three', '--chain', 'spare')
  expect(chained.failures.expected.other).toBe(chained.failures.expected.actual)
  expect(alone.failures.expected.other).toBeGreaterThanOrEqual(chained.failures.expected.other)
  expect(
    alone.deployments.every(({ deployment_id, first_choice }) => deployment_id !== spare || first_choice.other === 0),
  ).toBe(true)

  const { code, stdout, stderr } = await run('--since', since, '--strategy', 'cost-based', '--organization', 'acme')
  expect(code).toBe(0)
  expect(stdout).toMatch(/cost +\$\d/)
  expect(stderr).toMatch(/replaying: \d+ calls, 100 %/)
  expect((await json<ComparisonReport>('--since', since, '--organization', 'rival')).calls).toBe(0)
})

test('after a restart, and with a deployment gone, the log still says it', async () => {
  const { requestId } = made[7]!
  const before = await json<Explanation>(requestId)
  await running.close()
  running = await runGateway(world)
  expect(await json(requestId)).toEqual(before)
  await world.database.operator.query('delete from deployments where id = $1', [ids[2]])
  const after = await json<Explanation>(requestId)
  expect(after).toMatchObject({ the_same: true, seed: before.seed })
  expect(after.order.map(({ deployment_id }) => deployment_id)).toEqual(
    before.order.map(({ deployment_id }) => deployment_id),
  )
  expect(await json<ComparisonReport>('--since', since, '--model', 'three')).toMatchObject({
    left_out: { unpriced: 0 },
    astray: { calls: 0 },
    elsewhere: { first_choice: 0 },
  })
})
