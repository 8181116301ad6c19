import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Provider } from '@nemo/codec/provider'
import { PROVIDERS } from '@nemo/codec/providers'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Every provider of the list answers, through the sandbox in its place: what it is sent is what its dialect, its paths and its authentication want. */
let world: World
let running: RunningGateway
const tokens = createServer((_, response) => response.end('{"access_token":"ya29.sandbox","expires_in":3600}'))
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const MODELS = { chat: 'sandbox-chat', embeddings: 'sandbox-embeddings', images: 'sandbox-images' } as const
type Endpoint = keyof typeof MODELS
const entries = PROVIDERS.flatMap((provider) =>
  (Object.keys(MODELS) as Endpoint[])
    .filter((endpoint) => provider.endpoints.includes(endpoint))
    .map((endpoint) => ({ name: provider.name, endpoint, provider })),
)

beforeAll(async () => {
  world = await makeWorld()
  await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve))
  for (const { provider, endpoint } of entries) {
    await deployProvider(world, {
      provider: provider.name,
      baseUrl: `${world.sandbox.origin}${pathOf(provider)}`,
      upstreamModel: provider.pictures === 'fal' ? 'fal-ai/sandbox' : modelOf(provider, endpoint),
      endpoint,
      secret: secretOf(provider),
      price: { input: 1n, output: 1n, image: 1n },
    })
  }
  running = await runGateway(world)
}, 60_000)

afterAll(async () => {
  await running?.close()
  await world?.close()
  tokens.close()
})

function modelOf({ dialect }: Provider, endpoint: Endpoint): string {
  return dialect === 'gemini' && endpoint === 'images' ? 'imagen-4.0-generate-001' : MODELS[endpoint]
}

/** Where the sandbox speaks as the provider does. */
function pathOf({ dialect, hosting, pictures }: Provider): string {
  if (pictures !== null) return { fal: '/fal', stability: '/stability/v1' }[pictures]
  if (hosting === 'bedrock') return '/bedrock'
  if (hosting === 'vertex') return '/vertex/v1/projects/p/locations/l'
  return {
    openai: '/v1',
    anthropic: '/anthropic',
    gemini: '/gemini/v1beta',
    cohere: '/cohere/v2',
    converse: '/bedrock',
  }[dialect]
}

function secretOf({ auth }: Provider): string {
  if (auth.kind === 'sigv4') return 'sandbox-bearer-token'
  if (auth.kind !== 'google') return 'sandbox-secret'
  const token_uri = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  return JSON.stringify({ client_email: 'nemo@p.iam.gserviceaccount.com', private_key, token_uri })
}

const BODIES = {
  chat: {
    path: '/chat/completions',
    body: {
      messages: [
        { role: 'developer', content: 'x' },
        { role: 'user', content: 'hello' },
      ],
    },
  },
  embeddings: { path: '/embeddings', body: { input: 'hello' } },
  images: { path: '/images/generations', body: { prompt: 'hello' } },
}

/** Those whose authentication or paths the sandbox of their dialect doesn't have. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  azure: 'its key is in a header of its own',
  'cloudflare-gateway': 'its key is in a header of its own',
  writer: 'its path is its own',
  sagemaker: 'its path is its own',
}

test.each(entries.filter(({ name }) => !(name in ELSEWHERE)))(
  '$name answers: $endpoint',
  async ({ name, endpoint }) => {
    const { path, body } = BODIES[endpoint]
    const answer = await httpCall(`${running.url}${path}`, {
      key: world.researcher.key,
      body: { model: `${name}-${endpoint}`, ...body },
    })
    expect([answer.status, answer.json.error?.message]).toEqual([200, undefined])
    expect(answer.headers['x-nemo-provider']).toBe(name)
  },
)

test.each(Object.keys(ELSEWHERE))('%s is sent what its documentation says', async (name) => {
  const { path, body } = BODIES.chat
  await httpCall(`${running.url}${path}`, {
    key: world.researcher.key,
    body: { model: `${name}-chat`, ...body, nemo_max_retries: 0 },
  })
  const [sent] = world.sandbox.stats(1).recent
  const provider = PROVIDERS.find((one) => one.name === name)!
  expect(sent!.path).toBe(`/v1${provider.paths.chat ?? '/chat/completions'}`)
})
