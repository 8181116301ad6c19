import { uuidv7 } from '@nemo/domain/ids'
import type { Price } from '@nemo/domain/pricing'
import { proveLedger, SOUND } from '@nemo/ledger/proof'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { type Answer, httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { CHAT_PRICE, makeWorld, type World } from '@nemo/testing/world'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

/** What providers do on their own servers and bill beside the tokens is held for, bounded and charged; what nobody could charge isn't asked for. */
let world: World
let running: RunningGateway

const SEARCH_NANOS = 10_000_000n
const WITH_SEARCHES: Price['nanosPerMillion'] = {
  ...CHAT_PRICE,
  search: SEARCH_NANOS * 1_000_000n,
  fileSearch: 2_500_000n * 1_000_000n,
}

beforeAll(async () => {
  world = await makeWorld()
  const { url, origin } = world.sandbox
  const places = [
    { provider: 'openai', baseUrl: url },
    { provider: 'anthropic', baseUrl: `${origin}/anthropic` },
    { provider: 'gemini', baseUrl: `${origin}/gemini/v1beta` },
  ]
  for (const place of places) {
    await deployProvider(world, { ...place, group: `${place.provider}-searches`, price: WITH_SEARCHES })
    await deployProvider(world, { ...place, group: `${place.provider}-unpriced` })
  }
  const long = { provider: 'openai', baseUrl: url, group: 'openai-long', outputTokensMax: 100_000 }
  await deployProvider(world, { ...long, price: WITH_SEARCHES })
  await deployProvider(world, { provider: 'xai', baseUrl: url, group: 'tells-its-cost' })
  running = await runGateway(world)
})

afterAll(async () => {
  await running?.close()
  await world?.close()
})

afterEach(async () => {
  world.sandbox.reset()
  await vi.waitFor(async () => {
    expect(running.gateway.ledger.open).toBe(0)
    expect(await proveLedger(world.database.operator)).toMatchObject(SOUND)
  })
  expect(running.problems).toEqual([])
})

const post = (path: string, body: object, key = world.researcher.key) =>
  httpCall(`${running.url}/${path}`, { key, body })
const lastBody = () => world.sandbox.stats(1).recent[0]!.body as Record<string, unknown>
/** The row of the log, with what its tokens came to. */
async function loggedOf({ headers }: Answer) {
  const row = await running.logOf(headers['x-nemo-request-id'] as string)
  const cost = row.cost_nanos!
  return { cost, loss: row.loss_nanos, tokens: BigInt(row.input_tokens!) * 150n + BigInt(row.output_tokens!) * 600n }
}
const calls = () => world.sandbox.stats().requests

/** A search by each API, and how the provider is told of an end. */
const SEARCHES = [
  {
    ...{ path: 'responses', model: 'openai-searches' },
    body: { input: 'Rivers?', max_output_tokens: 50, tools: [{ type: 'web_search' }] },
    bounded: { max_tool_calls: 10 },
  },
  {
    ...{ path: 'messages', model: 'anthropic-searches' },
    body: {
      ...{ messages: [{ role: 'user', content: 'Rivers?' }], max_tokens: 50 },
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    },
    bounded: { tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 10 }] },
  },
  {
    ...{ path: 'chat/completions', model: 'anthropic-searches' },
    body: {
      ...{ messages: [{ role: 'user', content: 'Rivers?' }], max_tokens: 50 },
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    },
    bounded: { tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 10 }] },
  },
]

describe.each(SEARCHES)('a search over $path with $model', ({ path, model, body, bounded }) => {
  test.each([false, true])('is told an end, and charged as often as it was made, streamed: %j', async (stream) => {
    const answer = await post(path, { model, ...body, stream, sandbox: { searches: 3 } })
    expect(answer.status).toBe(200)
    expect(lastBody()).toMatchObject(bounded)
    const { cost, tokens, loss } = await loggedOf(answer)
    expect([cost, loss]).toEqual([3n * SEARCH_NANOS + tokens, 0n])
  })

  test('goes no further than what is held', async () => {
    const answer = await post(path, { model, ...body, sandbox: { searches: 500 } })
    const { cost, loss } = await loggedOf(answer)
    expect([cost / SEARCH_NANOS, loss]).toEqual([10n, 0n])
  })

  test('is charged for of a stream that the client hangs up on before its usage', async () => {
    const sandbox = { searches: 3, tokens: 40, hang: 'amid', hang_after: 30 }
    const gone = new AbortController()
    const answer = await fetch(`${running.url}/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.researcher.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, ...body, stream: true, sandbox }),
      signal: gone.signal,
    })
    let text = ''
    for await (const bytes of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += bytes
      if (text.split('delta').length > 10) break
    }
    gone.abort()
    const row = await running.logOf(answer.headers.get('x-nemo-request-id'))
    expect(row).toMatchObject({ status: 499, estimated: true })
    expect(row.cost_nanos! / SEARCH_NANOS).toBe(3n)
    // What they brought was read.
    expect(Number(row.input_tokens)).toBeGreaterThan(3 * 8_000)
    expect(Number(row.input_tokens)).toBeLessThan(3 * 8_000 + 200)
  })

  test('is charged for of a stream that its provider cuts before its usage', async () => {
    const whole = await post(path, { model, ...body, stream: true, sandbox: { searches: 3, tokens: 20 } })
    const cut_at_byte = world.sandbox.stats(1).recent[0]!.bytes - 700
    expect(whole.status).toBe(200)
    const answer = await post(path, { model, ...body, stream: true, sandbox: { searches: 3, tokens: 20, cut_at_byte } })
    const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
    expect(row).toMatchObject({ status: 502, estimated: true })
    expect(row.cost_nanos! / SEARCH_NANOS).toBe(3n)
  })

  test('is not begun where its searches don’t fit', async () => {
    const organization = await world.organization(`short-${path}-${model}`.replace(/\W/g, '-'), '0.09')
    const { key } = await world.issueKey(organization, 'short')
    const before = calls()
    const answer = await post(path, { model, ...body }, key)
    expect([answer.status, answer.json.error?.code ?? answer.json.error?.type]).toEqual([402, expect.anything()])
    expect(calls()).toBe(before)
  })
})

test('what the request itself says of an end is held for and passed on', async () => {
  const organization = await world.organization('frugal', '0.05')
  const { key } = await world.issueKey(organization, 'frugal')
  const tools = [{ type: 'web_search' }]
  const answer = await post(
    'responses',
    {
      ...{ model: 'openai-searches', input: 'Rivers?', max_output_tokens: 50, tools, max_tool_calls: 2 },
      sandbox: { searches: 9 },
    },
    key,
  )
  expect([answer.status, lastBody().max_tool_calls]).toEqual([200, 2])
  const { cost, loss } = await loggedOf(answer)
  expect([cost / SEARCH_NANOS, loss]).toEqual([2n, 0n])
})

test('searches are charged for of a stream that is ended here, where nothing more can be held', async () => {
  const tools = [{ type: 'web_search' }]
  // The most of the searches with what they bring, and of the answer a hundred tokens.
  const bound = 10n * (SEARCH_NANOS + 8_000n * 150n) + 70_000n
  const { key } = await world.issueKey(world.acme, 'ends', [{ resource: 'cost', window: 'total', bound }])
  const answer = await post(
    'responses',
    { model: 'openai-long', input: 'Rivers?', tools, stream: true, sandbox: { searches: 3, tokens: 2_000 } },
    key,
  )
  expect([answer.status, answer.body]).toEqual([200, expect.stringContaining('event: response.incomplete')])
  const row = await running.logOf(answer.headers['x-nemo-request-id'] as string)
  expect(row).toMatchObject({ estimated: true, loss_nanos: 0n })
  expect(row.cost_nanos! / SEARCH_NANOS).toBe(3n)
})

test('a search of files has a price of its own', async () => {
  const tools = [{ type: 'file_search', vector_store_ids: ['vs'] }]
  const answer = await post('responses', { model: 'openai-searches', input: 'Rivers?', tools })
  const { cost, tokens } = await loggedOf(answer)
  expect(cost).toBe(2_500_000n + tokens)
})

test('Google’s searches are charged, streamed or not', async () => {
  const messages = [{ role: 'user', content: 'Rivers?' }]
  for (const more of [{ web_search_options: {} }, { tools: [{ googleSearch: {} }], stream: true }]) {
    const answer = await post('chat/completions', {
      ...{ model: 'gemini-searches', messages, max_tokens: 50, ...more },
      sandbox: { searches: 4 },
    })
    expect(answer.status).toBe(200)
    // The prompt is what is billed, before Gemini 3.
    expect((await loggedOf(answer)).cost / SEARCH_NANOS).toBe(1n)
  }
})

const messages = [{ role: 'user', content: 'Rivers?' }]

test.each<[string, object, string]>([
  ['responses', { model: 'openai-searches', input: 'x', tools: [{ type: 'code_interpreter' }] }, 'tools[0]'],
  ['responses', { model: 'openai-searches', input: 'x', tools: [{ type: 'image_generation' }] }, 'tools[0]'],
  ['responses', { model: 'openai-unpriced', input: 'x', tools: [{ type: 'web_search' }] }, 'tools[0]'],
  ['chat/completions', { model: 'openai-unpriced', messages, web_search_options: {} }, 'web_search_options'],
  ['chat/completions', { model: 'openai-unpriced', messages, tools: [{ type: 'browser_search' }] }, 'tools[0]'],
  ['chat/completions', { model: 'openai-unpriced', messages, Enable_Search: true }, 'Enable_Search'],
  ['chat/completions', { model: 'openai-unpriced', messages, extra_body: { plugins: [{ id: 'web' }] } }, 'plugins'],
  ['chat/completions', { model: 'gemini-unpriced', messages, tools: [{ googleSearch: {} }] }, 'tools[0]'],
  ['chat/completions', { model: 'gemini-searches', messages, tools: [{ googleMaps: {} }] }, 'tools[0]'],
  ['chat/completions', { model: 'gemini-searches', messages, tools: [{ type: 'custom', googleMaps: {} }] }, 'tools[0]'],
  ['chat/completions', { model: 'gemini-unpriced', messages, web_search_options: false }, 'web_search_options'],
  ['chat/completions', { model: 'tells-its-cost', messages, enable_search: true, nemo_max_cost: '1' }, 'enable_search'],
  ['images/generations', { model: 'sandbox-images', prompt: 'x', tools: [{ googleSearch: {} }] }, 'tools[0]'],
  ['images/generations', { model: 'sandbox-images', prompt: 'x', service_tier: 'priority' }, 'service_tier'],
  [
    'chat/completions',
    { model: 'openai-unpriced', messages, providerOptions: { gateway: { models: ['dearer'] } } },
    'providerOptions.gateway.models',
  ],
  ['chat/completions', { model: 'openai-unpriced', messages, service_tier: 'priority' }, 'service_tier'],
  ['chat/completions', { model: 'openai-unpriced', messages, models: ['dearer'] }, 'models'],
  ['messages', { model: 'anthropic-searches', messages, max_tokens: 9, speed: 'fast' }, 'speed'],
  ['messages', { model: 'anthropic-searches', messages, max_tokens: 9, inference_geo: 'us' }, 'inference_geo'],
  ['messages', { model: 'anthropic-searches', messages, max_tokens: 9, fallbacks: [{ model: 'x' }] }, 'fallbacks'],
  [
    'messages',
    {
      ...{ model: 'anthropic-searches', messages, max_tokens: 9 },
      tools: [{ type: 'code_execution_20250825', name: 'code_execution' }],
    },
    'tools[0]',
  ],
])('what the price says nothing of isn’t asked for: %s, %j', async (path, body, param) => {
  const before = calls()
  const answer = await post(path, body)
  expect(answer.status).toBe(400)
  // Anthropic's errors have no param; their message names it.
  if (path === 'messages') expect(answer.json.error.message).toContain(param)
  else expect(answer.json.error.param).toBe(param)
  expect(calls()).toBe(before)
})

test('who wants left out what can’t be had gets an answer without it', async () => {
  const organization = await world.organization('lenient', '1')
  await world.database.operator.query('update organizations set drop_unsupported = true where id = $1', [
    organization.id,
  ])
  const { key } = await world.issueKey(organization, 'lenient')
  const kept = { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } }
  const tools = [{ type: 'code_interpreter', container: { type: 'auto' } }, kept, { type: 'image_generation' }]
  const body = { model: 'openai-unpriced', input: 'x', tools, service_tier: 'priority' }
  const answer = await post('responses', body, key)
  expect(answer.status).toBe(200)
  expect(lastBody()).toMatchObject({ tools: [kept] })
  expect(lastBody()).not.toHaveProperty('service_tier')
  expect(answer.headers['x-nemo-dropped-params']).toBe('tools[0], tools[2], service_tier')
  const choice = { tool_choice: { type: 'code_interpreter' }, parallel_tool_calls: false }
  const none = await post('responses', { ...body, ...choice, tools: [tools[0]] }, key)
  expect(none.status).toBe(200)
  for (const name of ['tools', 'tool_choice', 'parallel_tool_calls']) expect(lastBody()).not.toHaveProperty(name)
  await post('responses', { ...body, ...choice }, key)
  expect(lastBody()).toMatchObject({ tools: [kept], parallel_tool_calls: false })
  expect(lastBody()).not.toHaveProperty('tool_choice')
  // Where another place can do it, it is done there.
  const chained = {
    ...body,
    tools: [{ type: 'web_search' }],
    service_tier: 'auto',
    nemo_fallbacks: ['openai-searches'],
  }
  const done = await post('responses', chained, key)
  expect([done.status, done.headers['x-nemo-dropped-params']]).toEqual([200, undefined])
  expect(lastBody()).toMatchObject({ tools: [{ type: 'web_search' }] })
})

test('a hundred thousand tools that can’t be had are left out as fast as they are read', async () => {
  const organization = await world.organization('patient', '1')
  await world.database.operator.query('update organizations set drop_unsupported = true where id = $1', [
    organization.id,
  ])
  const { key } = await world.issueKey(organization, 'patient')
  const tools = Array(100_000).fill(null)
  const answer = await post('chat/completions', { model: 'openai-unpriced', messages, tools, max_tokens: 5 }, key)
  expect(answer.status).toBe(200)
  expect(lastBody()).not.toHaveProperty('tools')
})

test('a tool that is none is a 400', async () => {
  for (const tools of [[null], [null, { type: 'web_search' }, 'x']]) {
    const { status, json } = await post('chat/completions', { model: 'anthropic-searches', messages, tools })
    expect([status, json.error.param]).toEqual([400, 'tools[0]'])
  }
})

test.each([
  ['responses', { model: 'openai-searches', input: 'x', tools: [{ type: 'web_search' }], max_tool_calls: 'x' }],
  [
    'messages',
    {
      ...{ model: 'anthropic-searches', messages, max_tokens: 9 },
      tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 0 }],
    },
  ],
])('a most that is none is a 400, also where tools are left out: %s, %j', async (path, body) => {
  const organization = await world.organization(`odd-${uuidv7()}`, '1')
  await world.database.operator.query('update organizations set drop_unsupported = true where id = $1', [
    organization.id,
  ])
  const { key } = await world.issueKey(organization, 'odd')
  for (const one of [key, world.researcher.key]) expect((await post(path, body, one)).status).toBe(400)
})

test.each([
  {
    plugins: [],
    search_settings: {},
    web_search: 'off',
    enable_search: false,
    connectors: [],
    search_parameters: null,
  },
  { models: [], fallbacks: [], webSearch: false, enableSearch: false, options: { plugins: [] } },
])('what says that it is off is no wish: %j', async (more) => {
  const answer = await post('chat/completions', { model: 'openai-unpriced', messages, max_tokens: 5, ...more })
  expect(answer.json.error?.param ?? answer.status).toBe(200)
})

test('of a provider that says what it billed anything may be asked', async () => {
  const answer = await post('chat/completions', {
    ...{ model: 'tells-its-cost', messages, search_parameters: { mode: 'on' }, service_tier: 'priority' },
  })
  expect(answer.status).toBe(200)
  expect(lastBody()).toMatchObject({ search_parameters: { mode: 'on' } })
})

test('a place whose price says it serves what another of the chain can’t', async () => {
  const answer = await post('responses', {
    ...{ model: 'openai-unpriced', input: 'x', tools: [{ type: 'web_search' }] },
    nemo_fallbacks: ['openai-searches'],
  })
  expect([answer.status, answer.headers['x-nemo-model']]).toEqual([200, expect.anything()])
  expect(lastBody()).toMatchObject({ tools: [{ type: 'web_search' }] })
})
