import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Auth, Provider } from '@nemo/codec/provider'
import { PROVIDERS } from '@nemo/codec/providers'
import { type Sandbox, startSandbox } from '@nemo/sandbox/sandbox'
import { deployProvider } from '@nemo/testing/deploy-provider'
import { httpCall } from '@nemo/testing/http-call'
import { type RunningGateway, runGateway } from '@nemo/testing/running-gateway'
import { makeWorld, type World } from '@nemo/testing/world'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Every provider of the list answers, through the sandbox in its place: what it is sent is what its dialect, its paths and its authentication want. */
let world: World
let running: RunningGateway
/** By what they let in: one key, one pair of AWS's, one service account of Google's. */
let sandboxes: Record<'key' | 'aws' | 'google', Sandbox>
/** A token server whose tokens are nobody's here. */
const foreign = createServer((_, response) => response.end('{"access_token":"ya29.foreign","expires_in":3600}'))

const account = generateKeyPairSync('rsa', { modulusLength: 2048 })
const MODELS = { chat: 'sandbox-chat', embeddings: 'sandbox-embeddings', images: 'sandbox-images' } as const
type Endpoint = keyof typeof MODELS
const entries = PROVIDERS.flatMap((provider) =>
  (Object.keys(MODELS) as Endpoint[])
    .filter((endpoint) => provider.endpoints.includes(endpoint))
    .map((endpoint) => ({ name: provider.name, endpoint, provider })),
)
const firsts = entries.filter(({ name }, i) => entries[i - 1]?.name !== name)

beforeAll(async () => {
  world = await makeWorld()
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
  sandboxes = {
    key: await startSandbox({ apiKey: 'sandbox-secret' }),
    aws: await startSandbox({ apiKey: 'AKIDSANDBOX:sandbox-secret' }),
    google: await startSandbox({ apiKey: account.publicKey.export({ type: 'spki', format: 'pem' }) as string }),
  }
  for (const { provider, endpoint } of entries) {
    await deployProvider(world, { ...deploymentOf(provider, endpoint), secret: secretOf(provider) })
  }
  for (const { name, provider, endpoint } of firsts) {
    const group = `${name}-locked-out`
    await deployProvider(world, { ...deploymentOf(provider, endpoint), secret: wrongSecretOf(provider), group })
  }
  const bedrock = entries.find(({ name, endpoint }) => name === 'bedrock' && endpoint === 'embeddings')!
  await deployProvider(world, {
    ...deploymentOf(bedrock.provider, 'embeddings'),
    secret: secretOf(bedrock.provider),
    upstreamModel: 'cohere.embed-english-v3',
    group: 'bedrock-cohere',
  })
  running = await runGateway(world)
}, 60_000)

afterAll(async () => {
  await running?.close()
  await world?.close()
  await Promise.all(Object.values(sandboxes ?? {}).map((sandbox) => sandbox.close()))
  foreign.close()
})

function deploymentOf(provider: Provider, endpoint: Endpoint) {
  return {
    provider: provider.name,
    baseUrl: `${sandboxOf(provider).origin}${pathOf(provider)}`,
    upstreamModel: modelOf(provider, endpoint),
    endpoint,
    price: { input: 1n, output: 1n, image: 1n },
  }
}

function sandboxOf({ auth }: Provider): Sandbox {
  return sandboxes[auth.kind === 'sigv4' ? 'aws' : auth.kind === 'google' ? 'google' : 'key']
}

/** Where the sandbox speaks as the provider does, if that isn't as all of its dialect do. */
const OWN_PATHS: Readonly<Record<string, string>> = {
  azure: '/azure/openai/v1',
  'black-forest-labs': '/bfl/v1',
  'cloudflare-gateway': '/cloudflare-gateway/v1/account/default/compat',
  fal: '/fal',
  oci: '/oci/20231130/actions/v1',
  recraft: '/recraft/v1',
  sagemaker: '/sagemaker/endpoints/sandbox',
  stability: '/stability',
  watsonx: '/ibm/ml/gateway/v1',
  writer: '/writer/v1',
}

function pathOf({ name, dialect, hosting }: Provider): string {
  if (OWN_PATHS[name]) return OWN_PATHS[name]
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

function modelOf({ name, dialect }: Provider, endpoint: Endpoint): string {
  if (name === 'fal') return 'fal-ai/sandbox'
  if (name === 'cloudflare-gateway') return `openai/${MODELS[endpoint]}`
  return dialect === 'gemini' && endpoint === 'images' ? 'imagen-4.0-generate-001' : MODELS[endpoint]
}

function secretOf({ auth }: Provider): string {
  if (auth.kind === 'sigv4') return 'AKIDSANDBOX:sandbox-secret'
  if (auth.kind === 'google') return serviceAccount(`${sandboxes.google.origin}/vertex/token`)
  return auth.kind === 'ibm' ? ibmKey('sandbox-secret') : 'sandbox-secret'
}

function wrongSecretOf({ auth }: Provider): string {
  if (auth.kind === 'sigv4') return 'AKIDSANDBOX:another-secret'
  if (auth.kind === 'google') return serviceAccount(`http://127.0.0.1:${(foreign.address() as AddressInfo).port}/token`)
  return auth.kind === 'ibm' ? ibmKey('another-secret') : 'another-secret'
}

function ibmKey(apikey: string): string {
  return JSON.stringify({ apikey, token_uri: `${sandboxes.key.origin}/ibm/identity/token` })
}

function serviceAccount(token_uri: string): string {
  const private_key = account.privateKey.export({ type: 'pkcs8', format: 'pem' })
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

function ask(model: string, endpoint: Endpoint, more: object = {}) {
  const { path, body } = BODIES[endpoint]
  return httpCall(`${running.url}${path}`, { key: world.researcher.key, body: { model, ...body, ...more } })
}

test.each(entries)('$name answers: $endpoint', async ({ name, endpoint }) => {
  const answer = await ask(`${name}-${endpoint}`, endpoint)
  expect([answer.status, answer.json.error?.message]).toEqual([200, undefined])
  expect(answer.headers['x-nemo-provider']).toBe(name)
})

test.each(entries.filter(({ endpoint }) => endpoint === 'chat'))('$name answers: a stream', async ({ name }) => {
  const answer = await ask(`${name}-chat`, 'chat', { stream: true, stream_options: { include_usage: true } })
  expect(answer.status).toBe(200)
  const last = answer.body.trim().split('\n\n').slice(-2)
  expect(last[1]).toBe('data: [DONE]')
  expect(JSON.parse(last[0]!.slice('data: '.length)).usage.completion_tokens).toBeGreaterThan(0)
})

test('what Cohere’s embeddings use on Bedrock is read from its header, and not estimated', async () => {
  const answer = await ask('bedrock-cohere', 'embeddings', { input: 'x'.repeat(400) })
  expect(answer.json.usage).toEqual({ prompt_tokens: 100, total_tokens: 100 })
  const row = await running.logOf(String(answer.headers['x-nemo-request-id']))
  expect(row).toMatchObject({ estimated: false, input_tokens: 100n })
})

/** A wrong key is a wrong argument to Google's Gemini, and to IBM's server of tokens. */
const refusals = (auth: Auth) =>
  auth.kind === 'ibm' || (auth.kind === 'header' && auth.name === 'x-goog-api-key') ? [400] : [401, 403]

test.each(firsts)('$name lets nobody in by another’s credential', async ({ name, endpoint, provider }) => {
  const sandbox = sandboxOf(provider)
  const before = sandbox.stats(0).requests
  const answer = await ask(`${name}-locked-out`, endpoint, { nemo_max_retries: 0 })
  expect([answer.status, answer.json.error.code]).toEqual([502, 'upstream_failed'])
  const { requests, recent } = sandbox.stats(1)
  expect(requests).toBe(before + 1)
  expect(refusals(provider.auth)).toContain(recent[0]!.status)
})

test.each(firsts)('$name lets nobody in without a credential', async ({ provider }) => {
  const { path, body } = BODIES.chat
  const answer = await httpCall(`${sandboxOf(provider).origin}${pathOf(provider)}${path}`, { body })
  expect([401, 403]).toContain(answer.status)
})
