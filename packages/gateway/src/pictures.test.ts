import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Makers of pictures that are asked, or that bill, in ways of their own. */
let world: World
let running: RunningGateway
let sandbox: Sandbox

beforeAll(async () => {
  world = await makeWorld()
  sandbox = await startSandbox({ apiKey: 'sandbox-secret' })
  const pictures = { endpoint: 'images', price: { image: 30_000_000_000_000n } } as const
  for (const upstreamModel of ['stable-image-core', 'stable-image-ultra', 'sd3.5-large', 'sd3.5-none']) {
    const baseUrl = `${sandbox.origin}/stability`
    await deployProvider(world, { ...pictures, provider: 'stability', baseUrl, upstreamModel, group: upstreamModel })
  }
  const baseUrl = `${sandbox.origin}/recraft/v1`
  await deployProvider(world, {
    ...pictures,
    provider: 'recraft',
    baseUrl,
    upstreamModel: 'sandbox-images',
    group: 'recraftv3',
  })
  running = await runGateway(world)
}, 60_000)

afterAll(async () => {
  await running?.close()
  await world?.close()
  await sandbox?.close()
})

function ask(model: string, more: object = {}) {
  const body = { model, prompt: 'ein Fluß, "weit"', ...more }
  return httpCall(`${running.url}/images/generations`, { key: world.researcher.key, body })
}

test.each([
  ['stable-image-core', 'core'],
  ['stable-image-ultra', 'ultra'],
  ['sd3.5-large', 'sd3'],
])('%s of Stability’s is asked for by a form', async (model, service) => {
  const answer = await ask(model, { size: '1024x1024', seed: 7, negative_prompt: 'a bridge' })
  expect([answer.status, answer.json.error?.message]).toEqual([200, undefined])
  expect(answer.json.data).toEqual([{ b64_json: expect.stringMatching(/^iVBOR/) }])
  expect(answer.headers['x-nemo-request-cost']).toBe('0.03')
  expect(sandbox.stats(1).recent[0]!.path).toBe(`/stability/v2beta/stable-image/generate/${service}`)
})

test('what Stability refuses is told in its words', async () => {
  const answer = await ask('sd3.5-none')
  expect(answer.status).toBe(400)
  expect(answer.json.error.message).toContain('model: must be one of sd3.5-large')
  const unknown = await ask('stable-image-core', { cfg_scale: 7 })
  expect(unknown.json.error.message).toContain('cfg_scale: is not expected')
})

test('what Recraft says that it billed is what it costs, and its answer passes as it came', async () => {
  const answer = await ask('recraftv3', { n: 2 })
  expect(answer.status).toBe(200)
  expect(answer.json).toMatchObject({ credits: 80, data: [{}, {}] })
  expect(answer.headers['x-nemo-request-cost']).toBe('0.08')
})
