import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { providerDesk } from './provider-desk.ts'

/** Azure in its two versions, and with the two ways to be let in. */
let world: World
let running: RunningGateway
let sandbox: Sandbox

const DATED = { api_version: '2024-10-21' }
const price = { input: 1n, output: 1n, image: 1n }
const messages = [
  { role: 'developer', content: 'x' },
  { role: 'user', content: 'hello' },
]
const MODELS = { chat: 'sandbox-chat', embeddings: 'sandbox-embeddings', images: 'sandbox-images' } as const

beforeAll(async () => {
  world = await makeWorld()
  sandbox = await startSandbox({ apiKey: 'sandbox-secret' })
  const at = (version: string) => `${sandbox.origin}/azure/openai${version}`
  for (const endpoint of ['chat', 'embeddings', 'images'] as const) {
    const deployed = { provider: 'azure', baseUrl: at(''), settings: DATED, endpoint, price }
    await deployProvider(world, { ...deployed, upstreamModel: MODELS[endpoint], group: `dated-${endpoint}` })
  }
  for (const [group, version, settings] of [
    ['entra-v1', '/v1', {}],
    ['entra-dated', '', DATED],
  ] as const) {
    await deployProvider(world, { provider: 'azure', baseUrl: at(version), settings, secret: application(), group })
  }
  const secret = application('another-secret')
  await deployProvider(world, { provider: 'azure', baseUrl: at('/v1'), secret, group: 'entra-locked-out' })
  running = await runGateway(world)
}, 60_000)

afterAll(async () => {
  await running?.close()
  await world?.close()
  await sandbox?.close()
})

function application(clientSecret = 'sandbox-secret'): string {
  const authorityHost = `${sandbox.origin}/azure`
  return JSON.stringify({ tenantId: 'acme', clientId: 'router', clientSecret, authorityHost })
}

function ask(path: string, body: object) {
  return httpCall(`${running.url}${path}`, { key: world.researcher.key, body })
}

test.each([
  ['chat', '/chat/completions', { messages }],
  ['embeddings', '/embeddings', { input: 'hello' }],
  ['images', '/images/generations', { prompt: 'hello' }],
] as const)('a date for a version calls the deployment by its path: %s', async (endpoint, path, body) => {
  const answer = await ask(path, { model: `dated-${endpoint}`, ...body })
  expect([answer.status, answer.json.error?.message]).toEqual([200, undefined])
  expect(sandbox.stats(1).recent[0]).toMatchObject({
    path: `/azure/openai/deployments/${MODELS[endpoint]}${path}`,
    status: 200,
  })
})

test.each(['dated-chat', 'entra-v1'])(
  'what is said of the prompt passes, and the stream is billed: %s',
  async (model) => {
    const answer = await ask('/chat/completions', { model, messages, stream: true })
    const events = answer.body.trim().split('\n\n')
    expect(JSON.parse(events[0]!.slice('data: '.length))).toMatchObject({
      choices: [],
      prompt_filter_results: [{ prompt_index: 0 }],
    })
    expect(events.at(-1)).toBe('data: [DONE]')
    const row = await running.logOf(String(answer.headers['x-nemo-request-id']))
    expect(row).toMatchObject({ estimated: false, status: 200 })
    expect(row.output_tokens).toBeGreaterThan(0n)
  },
)

test('a system’s message is no developer’s where that isn’t known yet', async () => {
  await ask('/chat/completions', { model: 'dated-chat', messages })
  expect(sandbox.stats(1).recent[0]!.body).toMatchObject({ messages: [{ role: 'system' }, { role: 'user' }] })
})

test('Responses are translated for a date, streamed or not, and passed on to version 1', async () => {
  for (const stream of [false, true]) {
    const answer = await ask('/responses', { model: 'dated-chat', input: 'hello', stream })
    expect(answer.status).toBe(200)
    if (stream) expect(answer.body).toContain('event: response.completed')
    expect(sandbox.stats(1).recent[0]!.path).toBe('/azure/openai/deployments/sandbox-chat/chat/completions')
  }
  expect((await ask('/responses', { model: 'entra-v1', input: 'hello' })).status).toBe(200)
  expect(sandbox.stats(1).recent[0]!.path).toBe('/azure/openai/v1/responses')
})

test.each(['entra-v1', 'entra-dated'])('Entra ID’s tokens let in, and one serves many calls: %s', async (model) => {
  for (let i = 0; i < 3; i++) expect((await ask('/chat/completions', { model, messages })).status).toBe(200)
  const tokens = sandbox.stats(100).recent.filter(({ path }) => path.endsWith('/oauth2/v2.0/token'))
  expect(tokens.length).toBeLessThanOrEqual(2)
})

test('who Entra ID doesn’t know is not let in, and learns no more than that', async () => {
  const answer = await ask('/chat/completions', { model: 'entra-locked-out', messages, nemo_max_retries: 0 })
  expect([answer.status, answer.json.error.code]).toEqual([502, 'upstream_failed'])
  expect(answer.body).not.toContain('another-secret')
  expect(sandbox.stats(1).recent[0]).toMatchObject({ path: '/azure/acme/oauth2/v2.0/token', status: 401 })
})

test('a credential is tried at the version it is for', async () => {
  const tried = (version: string, settings: Record<string, string>, secret: string) =>
    providerDesk.test({
      name: 'x',
      provider: 'azure',
      baseUrl: `${sandbox.origin}/azure/openai${version}`,
      settings,
      secret,
    })
  for (const secret of ['sandbox-secret', application()]) {
    expect(await tried('', DATED, secret)).toMatchObject({ outcome: 'works', status: 200 })
    expect(await tried('/v1', {}, secret)).toMatchObject({ outcome: 'works', status: 200 })
  }
  for (const secret of ['another-secret', application('another-secret')])
    expect(await tried('', DATED, secret)).toMatchObject({ outcome: 'refused' })
})
