import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { saveProvider } from '@nemo/postgres/catalogue'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { refreshCatalogue, refreshModelFacts } from './catalogue-refresh.ts'

let database: TestDatabase
let server: Server
let url: string
let answer: { status: number; body: string }

const priced = (input_mtok: unknown) => [
  {
    id: 'x-ai',
    models: [
      { id: 'grok-9', context_window: 1000, prices: { input_mtok, output_mtok: 15 } },
      { id: 'grok-10', prices: { input_mtok: 1, output_mtok: 2 } },
    ],
  },
]

beforeAll(async () => {
  database = await freshDatabase()
  server = createServer((_, response) => response.writeHead(answer.status).end(answer.body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data.json`
  await saveProvider(database.operator, { name: 'xai', provider: 'xai', baseUrl: null, secret: null }, [
    {
      id: 'xai/grok-9',
      provider: 'xai',
      endpoint: 'chat',
      contextTokens: null,
      outputTokensMax: null,
      capabilities: [],
      group: 'grok-9',
      upstreamModel: 'grok-9',
      nanosPerMillion: { input: 3_000_000_000n, output: 15_000_000_000n },
      priceSource: 'snapshot',
    },
  ])
})
afterAll(async () => {
  server?.close()
  await database?.close()
})

const refresh = (problems: string[] = []) =>
  refreshCatalogue(database.operator, url, (problem) => problems.push(problem))
const prices = async () => (await database.operator.query('select count(*)::int as n from prices')).rows[0].n

test.each([
  ['an error', { status: 500, body: '' }],
  ['no JSON', { status: 200, body: '<html>' }],
  ['no list', { status: 200, body: '{"a":1}' }],
])('%s in the place of prices changes nothing', async (_, bad) => {
  answer = bad
  const before = await prices()
  await expect(refresh()).rejects.toThrow()
  expect(await prices()).toBe(before)
})

test('a model that can’t be read is told, and the others are taken', async () => {
  answer = { status: 200, body: JSON.stringify(priced('three')) }
  const problems: string[] = []
  expect(await refresh(problems)).toMatchObject({ added: ['xai/grok-10'], changed: [] })
  expect(problems).toEqual([expect.stringContaining('xai/grok-9: has the price')])
})

test('what a source says is in force at once, and said again changes nothing', async () => {
  answer = { status: 200, body: JSON.stringify(priced(4)) }
  expect(await refresh()).toMatchObject({ changed: ['xai/grok-9'], unchanged: 1 })
  expect(await refresh()).toMatchObject({ changed: [], added: [], unchanged: 2 })
})

test.each([
  ['an error', { status: 500, body: '' }],
  ['no JSON', { status: 200, body: '<html>' }],
  ['a list', { status: 200, body: '[]' }],
])('%s in the place of facts changes nothing', async (_, bad) => {
  answer = bad
  await expect(refreshModelFacts(database.operator, url)).rejects.toThrow()
})

test('when a model ends and what is advertised of it are read, and prices beside them are not', async () => {
  const fact = {
    litellm_provider: 'xai',
    deprecation_date: '2027-05-01',
    rpm: 480,
    tpm: 2_000_000,
    input_cost_per_token: 9,
  }
  answer = { status: 200, body: JSON.stringify({ 'xai/grok-9': fact }) }
  const before = await prices()
  expect(await refreshModelFacts(database.operator, url)).toBe(1)
  expect(await prices()).toBe(before)
  const { rows } = await database.operator.query(
    `select deprecated_at::text, requests_per_minute::int, tokens_per_minute::int from models where id = 'xai/grok-9'`,
  )
  expect(rows).toEqual([{ deprecated_at: '2027-05-01', requests_per_minute: 480, tokens_per_minute: 2_000_000 }])
})
