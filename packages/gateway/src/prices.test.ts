import type { OfferedModel } from '@nemo/domain/catalogue'
import { parseUsd } from '@nemo/domain/money'
import { addModels } from '@nemo/postgres/price-book'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'

let world: World
let running: RunningGateway

const offered = (name: string, endpoint: OfferedModel['endpoint'], more: Partial<OfferedModel>): OfferedModel => ({
  id: `sandbox/${name}`,
  provider: 'sandbox',
  endpoint,
  contextTokens: null,
  outputTokensMax: endpoint === 'chat' ? 4_096 : null,
  capabilities: [],
  group: name,
  upstreamModel: endpoint === 'chat' ? 'sandbox-chat' : name,
  nanosPerMillion: {},
  priceSource: 'test',
  ...more,
})
const dollars = (usd: string) => parseUsd(usd) * 1_000_000n

beforeAll(async () => {
  world = await makeWorld()
  await addModels(world.database.operator, 'sandbox', [
    offered('dall-e-3', 'images', {
      deprecatesOn: '2027-01-31',
      requestsPerMinute: 7,
      pictures: [
        { quality: 'standard', nanosPerMillion: dollars('0.04'), isDefault: true },
        { quality: 'hd', nanosPerMillion: dollars('0.08') },
      ],
    }),
    offered('gpt-image-x', 'images', {
      upstreamModel: 'gpt-image-1',
      pictures: [
        { quality: 'low', nanosPerMillion: dollars('0.01') },
        { quality: 'medium', nanosPerMillion: dollars('0.04') },
        { quality: 'high', nanosPerMillion: dollars('0.17') },
      ],
    }),
    offered('listener', 'chat', { nanosPerMillion: { second: dollars('0.001') } }),
    offered('tiered', 'chat', {
      nanosPerMillion: { request: dollars('0.01') },
      serviceTiers: { flex: { request: dollars('0.005') }, priority: { request: dollars('0.02') } },
    }),
  ])
  running = await runGateway(world)
})
afterAll(async () => {
  await running?.close()
  await world?.close()
})

async function post(path: string, key: string, body: object): Promise<{ status: number; cost: string | null }> {
  const response = await fetch(`${running.url}/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  await response.arrayBuffer()
  return { status: response.status, cost: response.headers.get('x-nemo-request-cost') }
}

async function keyWith(slug: string, credits: string): Promise<string> {
  return (await world.issueKey(await world.organization(slug, credits), slug)).key
}

test.each([
  ['dall-e-3', {}, '0.04'],
  ['dall-e-3', { quality: 'hd' }, '0.08'],
  ['gpt-image-x', { quality: 'low', n: 2 }, '0.02'],
  // What it made of `auto`, it says itself.
  ['gpt-image-x', { quality: 'auto' }, '0.04'],
  ['gpt-image-x', {}, '0.04'],
])('a picture of %s asked for with %j costs %s dollars', async (model, asked, cost) => {
  const answer = await post('images/generations', world.researcher.key, { model, prompt: 'a river', ...asked })
  expect(answer).toEqual({ status: 200, cost })
})

test.each([
  // Whoever doesn't say gets, for all that is known, the dearest.
  ['gpt-image-x', { prompt: 'a river' }, '0.16', '0.17'],
  ['gpt-image-x', { prompt: 'a river', quality: 'low' }, '0.009', '0.01'],
  ['dall-e-3', { prompt: 'a river' }, '0.039', '0.04'],
  ['dall-e-3', { prompt: 'a river', quality: 'hd' }, '0.079', '0.08'],
])('%s asked for with %j is refused for %s dollars, and made for %s', async (model, asked, little, enough) => {
  const slug = `${model}-${Object.values(asked).join('-')}`.replaceAll(/[^a-z0-9]+/g, '-')
  const body = { model, ...asked }
  expect((await post('images/generations', await keyWith(`${slug}-little`, little), body)).status).toBe(402)
  expect((await post('images/generations', await keyWith(`${slug}-enough`, enough), body)).status).toBe(200)
})

test.each([
  [undefined, '0.009', '0.01'],
  ['auto', '0.009', '0.01'],
  ['default', '0.009', '0.01'],
  ['priority', '0.019', '0.02'],
])(
  'a call for the service tier %s is refused for %s dollars, and made for %s',
  async (service_tier, little, enough) => {
    const body = { model: 'tiered', messages: [{ role: 'user', content: 'Hi.' }], service_tier }
    const slug = `tier-${service_tier ?? 'none'}`
    expect((await post('chat/completions', await keyWith(`${slug}-little`, little), body)).status).toBe(402)
    expect((await post('chat/completions', await keyWith(`${slug}-enough`, enough), body)).status).toBe(200)
  },
)

test.each([
  [{ type: 'input_audio', input_audio: { data: 'A'.repeat(10_000), format: 'wav' } }, '0.009', '0.01'],
  [{ type: 'input_audio', input_audio: 'https://example.com/speech.mp3' }, '2.39', '2.4'],
])('sound that is billed by the second is held for: %#', async (part, little, enough) => {
  const body = { model: 'listener', messages: [{ role: 'user', content: [part] }] }
  const refused = await post(
    'chat/completions',
    await keyWith(`sound-${little.replace('.', '-')}-little`, little),
    body,
  )
  expect(refused.status).toBe(402)
  // Whether the sandbox can make anything of it is another matter.
  const held = await post('chat/completions', await keyWith(`sound-${enough.replace('.', '-')}-enough`, enough), body)
  expect(held.status).not.toBe(402)
})

test('anyone may see what pictures cost, when a model ends, and what is advertised of it', async () => {
  const { origin } = new URL(running.url)
  const { data } = (await (await fetch(`${origin}/api/public/models?q=dall-e`)).json()) as { data: object[] }
  expect(data).toMatchObject([
    {
      deployments: [
        {
          deprecates_on: '2027-01-31',
          requests_per_minute: 7,
          tokens_per_minute: null,
          pictures: [
            { quality: 'standard', size: null, usd_per_million: '40000', per_megapixel: false },
            { quality: 'hd', size: null, usd_per_million: '80000', per_megapixel: false },
          ],
        },
      ],
    },
  ])
})
