import type { OfferedModel } from '@nemo/domain/catalogue'
import { freshDatabase, type TestDatabase } from '@nemo/testing/fresh-database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadCatalogue, saveProvider } from './catalogue.ts'
import { addModels, decideQuarantined, quarantinedPrices, refreshFacts, refreshPrices } from './price-book.ts'
import { inTransaction } from './tenancy.ts'

let database: TestDatabase
const credential = { name: 'xai', provider: 'xai', baseUrl: null, secret: null }

beforeAll(async () => {
  database = await freshDatabase()
  await saveProvider(database.operator, credential, [
    model('grok'),
    model('grok-fast'),
    model('grok-cheap'),
    model('grok-own', 3n, 'operator'),
  ])
})
afterAll(() => database?.close())

const decided = (id: string, accept: boolean) =>
  inTransaction(database.operator, (tx) => decideQuarantined(tx, id, accept))

function model(name: string, input = 3n, priceSource = 'snapshot', provider = 'xai'): OfferedModel {
  return {
    id: `${provider}/${name}`,
    provider,
    endpoint: 'chat',
    contextTokens: null,
    outputTokensMax: null,
    capabilities: ['vision'],
    group: name,
    upstreamModel: name,
    nanosPerMillion: { input: input * 1_000_000_000n, output: 15_000_000_000n },
    priceSource,
  }
}

test('what changed gets a new version, what is new is deployed, what jumped waits, and what the operator set stays', async () => {
  const report = await refreshPrices(database.operator, [
    model('grok', 3n, 'refresh'),
    model('grok-fast', 4n, 'refresh'),
    model('grok-cheap', 30n, 'refresh'),
    model('grok-own', 4n, 'refresh'),
    model('grok-new', 1n, 'refresh'),
    model('gpt', 1n, 'refresh', 'openai'),
  ])
  expect(report).toEqual({
    added: ['xai/grok-new'],
    changed: ['xai/grok-fast'],
    quarantined: ['xai/grok-cheap'],
    unchanged: 2,
  })
  const { deployments } = await loadCatalogue(database.operator)
  const input = (group: string) => deployments.find((one) => one.group === group)?.price?.nanosPerMillion.input
  expect(['grok', 'grok-fast', 'grok-cheap', 'grok-own', 'grok-new', 'gpt'].map(input)).toEqual([
    3_000_000_000n,
    4_000_000_000n,
    3_000_000_000n,
    3_000_000_000n,
    1_000_000_000n,
    undefined,
  ])
  const { rows } = await database.operator.query(`select count(*)::int from prices where model_id = 'xai/grok-fast'`)
  expect(rows[0].count).toBe(2)
})

test('a price that waits comes into force, once', async () => {
  expect(await quarantinedPrices(database.operator)).toMatchObject([
    { modelId: 'xai/grok-cheap', before: { input: 3_000_000_000n }, after: { input: 30_000_000_000n } },
  ])
  expect(await decided('xai/grok-cheap', true)).toBe(true)
  expect(await decided('xai/grok-cheap', true)).toBe(false)
  const { deployments } = await loadCatalogue(database.operator)
  expect(deployments.find((one) => one.group === 'grok-cheap')?.price?.nanosPerMillion.input).toBe(30_000_000_000n)
})

test('a price that was rejected stays so while its source says the same, and another waits', async () => {
  const dear = (input: bigint) => [model('grok-dear', input, 'list')]
  await saveProvider(database.operator, credential, dear(3n))
  const refreshed = async (input: bigint) => (await refreshPrices(database.operator, dear(input))).quarantined
  expect(await refreshed(30n)).toEqual(['xai/grok-dear'])
  expect(await decided('xai/grok-dear', false)).toBe(true)
  expect(await refreshed(30n)).toEqual([])
  expect(await quarantinedPrices(database.operator)).toEqual([])
  expect([await decided('xai/grok-dear', false), await decided('xai/grok-dear', true)]).toEqual([false, false])
  expect(await refreshed(40n)).toEqual(['xai/grok-dear'])
  expect(await decided('xai/grok-dear', false)).toBe(true)
  // Taken back, and said again: that is news.
  expect(await refreshed(3n)).toEqual([])
  expect(await refreshed(40n)).toEqual(['xai/grok-dear'])
  expect(await decided('xai/grok-dear', true)).toBe(true)
})

test('several refreshes at once do what one does', async () => {
  const offered = [model('grok', 4n, 'again'), model('grok-late', 1n, 'again')]
  const reports = await Promise.all([1, 2].map(() => refreshPrices(database.operator, offered)))
  expect(reports.flatMap(({ changed }) => changed)).toEqual(['xai/grok'])
  expect(reports.flatMap(({ added }) => added)).toEqual(['xai/grok-late'])
})

test('what loses a price or is dearer for long inputs only waits too, until the source takes it back', async () => {
  const cached = (more: Partial<OfferedModel> = {}, rates = {}) => {
    const plain = model('grok-cached', 3n, 'list')
    return { ...plain, nanosPerMillion: { ...plain.nanosPerMillion, cachedInput: 300_000_000n, ...rates }, ...more }
  }
  await saveProvider(database.operator, credential, [cached()])
  const waits = async () => (await quarantinedPrices(database.operator)).map(({ modelId }) => modelId)
  const tiers = [{ above: 1, nanosPerMillion: { input: 300_000_000_000n } }]
  for (const jumped of [model('grok-cached', 3n, 'list'), cached({ tiers })]) {
    expect(await refreshPrices(database.operator, [jumped])).toMatchObject({ quarantined: ['xai/grok-cached'] })
    expect(await waits()).toContain('xai/grok-cached')
    expect(await refreshPrices(database.operator, [cached()])).toMatchObject({ quarantined: [] })
    expect(await waits()).not.toContain('xai/grok-cached')
  }
})

test('a price comes back from the book as it was written, with its tiers and its pictures, and so do the facts of its model', async () => {
  const rates = { input: 2n, output: 10n }
  const written: OfferedModel = {
    ...model('grok-image'),
    nanosPerMillion: rates,
    tiers: [{ above: 200_000, nanosPerMillion: { input: 4n }, serviceTiers: { flex: { input: 2n } } }],
    serviceTiers: { flex: { input: 1n, output: 5n } },
    pictures: [
      { quality: 'hd', size: '1024x1024', nanosPerMillion: 80_000_000_000_000n, isDefault: true },
      { nanosPerMillion: 25_000_000_000_000n, perMegapixel: true },
    ],
    deprecatesOn: '2027-01-14',
    requestsPerMinute: 500,
    tokensPerMinute: 30_000,
  }
  await saveProvider(database.operator, credential, [written])
  const read = async () =>
    (await loadCatalogue(database.operator)).deployments.find((one) => one.group === 'grok-image')!
  const { price, model: stored } = await read()
  const { tiers, serviceTiers, pictures, deprecatesOn, requestsPerMinute, tokensPerMinute } = written
  expect(price).toEqual({ versionId: price!.versionId, nanosPerMillion: rates, tiers, serviceTiers, pictures })
  expect(stored).toMatchObject({ deprecatesOn, requestsPerMinute, tokensPerMinute })

  const dearer = { ...written, nanosPerMillion: { input: 20n, output: 100n } }
  expect((await refreshPrices(database.operator, [dearer])).quarantined).toEqual(['xai/grok-image'])
  await decided('xai/grok-image', true)
  expect((await read()).price).toMatchObject({ nanosPerMillion: dearer.nanosPerMillion, tiers, serviceTiers, pictures })
})

test('facts of models are taken of those that are there, tags are only added, and what the operator said stays', async () => {
  const facts = {
    deprecatesOn: '2027-03-01',
    requestsPerMinute: 60,
    outputTokensMax: 9_000,
    capabilities: ['vision', 'json-schema'],
  }
  const said = new Map(['xai/grok', 'xai/grok-own', 'xai/never-heard-of'].map((id) => [id, facts]))
  expect(await refreshFacts(database.operator, said)).toBe(1)
  expect(await refreshFacts(database.operator, said)).toBe(0)
  const { deployments } = await loadCatalogue(database.operator)
  const find = (group: string) => deployments.find((one) => one.group === group)!.model
  expect(find('grok')).toMatchObject({ ...facts, tokensPerMinute: null })
  expect(find('grok-own')).toMatchObject({ deprecatesOn: null, requestsPerMinute: null, capabilities: ['vision'] })
  // What a later source doesn't know stays.
  expect(await refreshFacts(database.operator, new Map([['xai/grok', { tokensPerMinute: 5 }]]))).toBe(1)
  expect((await loadCatalogue(database.operator)).deployments.find((one) => one.group === 'grok')!.model).toMatchObject(
    {
      ...facts,
      tokensPerMinute: 5,
    },
  )
})

test('what the provider allows the operator’s credential is its deployment’s', async () => {
  const limits = { requestsPerMinute: 100, tokensPerMinute: null }
  expect(await addModels(database.operator, 'xai', [model('grok-limited')], limits)).toBe(true)
  expect(await addModels(database.operator, 'nobody', [model('grok-limited')], limits)).toBe(false)
  const { deployments } = await loadCatalogue(database.operator)
  expect(deployments.find((one) => one.group === 'grok-limited')).toMatchObject(limits)
})
