import { expect, test } from 'vitest'
import type { OfferedModel } from '../catalogue.ts'
import { BY_THE_PIECE, costOf, type Rates, rateOf } from '../pricing.ts'
import type { UsageClass } from '../usage.ts'
import { capabilitiesOf, endpointOf } from './capabilities.ts'
import { wasServed } from './known-facts.ts'
import { offer } from './offer.ts'
import { readPriceSource } from './read-source.ts'
import { snapshotModels } from './snapshot.ts'
import { withToolRates } from './tool-rates.ts'

test('every model of the snapshot has a price, a name of its own, and a provider', () => {
  const models = snapshotModels()
  expect(models.length).toBeGreaterThan(800)
  expect(new Set(models.map(({ id }) => id)).size).toBe(models.length)
  for (const { id, nanosPerMillion, endpoint, pictures = [] } of models) {
    expect([id, Object.keys(nanosPerMillion).length + pictures.length > 0]).toEqual([id, true])
    if (endpoint === 'chat') expect([id, nanosPerMillion.output !== undefined]).toEqual([id, true])
  }
})

test('no group name means models of two providers', () => {
  const owners = new Map<string, string>()
  for (const { group, provider } of snapshotModels()) {
    expect([group, owners.get(group) ?? provider]).toEqual([group, provider])
    owners.set(group, provider)
  }
})

test.each([
  ['gemini-2.5-flash', ['vision', 'reasoning', 'code', 'function-calling', 'json-schema', 'multilingual', 'fast']],
  ['gemini-2.5-pro', ['vision', 'reasoning', 'code', 'function-calling', 'json-schema', 'multilingual']],
  ['gpt-5-chat-latest', ['vision', 'code', 'function-calling', 'json-schema', 'multilingual']],
  ['gpt-5-mini', ['vision', 'reasoning', 'code', 'function-calling', 'json-schema', 'multilingual', 'fast']],
])('%s has the tags that its maker says', (name, tags) => {
  expect(capabilitiesOf(name, null)).toEqual(tags)
})

test('what is neither chat nor embeddings is told apart', () => {
  expect(['gpt-5', 'text-embedding-3-small', 'whisper-1', 'gpt-4o-mini-tts', 'dall-e-3'].map(endpointOf)).toEqual([
    'chat',
    'embeddings',
    null,
    null,
    null,
  ])
})

test('of a model with other service tiers their rates are known for every class and every length of input', () => {
  const tiered = snapshotModels().filter(({ serviceTiers }) => serviceTiers)
  expect(tiered.length).toBeGreaterThan(25)
  const tokens = (rates: Rates) =>
    Object.keys(rates).filter((usageClass) => !BY_THE_PIECE.some((piece) => piece === usageClass))
  for (const { id, nanosPerMillion, serviceTiers = {}, tiers = [] } of tiered) {
    for (const [tier, rates] of Object.entries(serviceTiers)) {
      expect([id, tier, Object.keys(rates).sort()]).toEqual([id, tier, tokens(nanosPerMillion).sort()])
      for (const long of tiers) {
        const own = Object.keys(long.serviceTiers?.[tier] ?? {})
        expect([id, tier, own.sort()]).toEqual([id, tier, tokens(long.nanosPerMillion).sort()])
      }
    }
  }
})

test.each([
  // https://platform.openai.com/docs/pricing, https://ai.google.dev/gemini-api/docs/pricing, https://platform.claude.com/docs/en/about-claude/pricing: USD a thousand
  ['openai/gpt-5', { search: 10, searchPreview: 10, fileSearch: 2.5 }],
  ['openai/o3', { search: 10, fileSearch: 2.5 }],
  ['openai/gpt-4.1-mini', { search: 10, searchPreview: 25, fileSearch: 2.5 }],
  ['gemini/gemini-2.5-pro', { search: 35 }],
  ['gemini/gemini-3.5-flash', { search: 14 }],
  ['anthropic/claude-opus-5', { search: 10 }],
  ['xai/grok-4.5', { search: 5 }],
])('what the tools of %s cost is known', (id, perThousand) => {
  const { nanosPerMillion } = snapshotModels().find((one) => one.id === id)!
  for (const [usageClass, usd] of Object.entries(perThousand)) {
    expect([usageClass, rateOf(usageClass as UsageClass, nanosPerMillion)]).toEqual([
      usageClass,
      BigInt(usd * 10) * 100_000_000_000n,
    ])
  }
})

test('a model that searches with every request is billed by it', () => {
  const [model] = [...snapshotModels()]
  const searching = ['gpt-4o-search-preview', 'gpt-5-search-api', 'gpt-5'].map((upstreamModel) =>
    withToolRates({ ...model!, provider: 'openai', endpoint: 'chat', upstreamModel, nanosPerMillion: {} }),
  )
  expect(searching.map(({ nanosPerMillion }: OfferedModel) => nanosPerMillion.request)).toEqual([
    25_000_000_000_000n,
    10_000_000_000_000n,
    undefined,
  ])
})

test('a model that is billed by the picture says what one costs at most', () => {
  const images = snapshotModels().filter(({ endpoint }) => endpoint === 'images')
  expect(images.length).toBeGreaterThan(12)
  for (const { id, pictures, outputTokensMax } of images) {
    expect([id, (pictures ?? []).length > 0 || outputTokensMax !== null]).toEqual([id, true])
  }
})

test('what its maker has announced of a model’s end is in the catalogue, and what was gone is deployed by name only', () => {
  const find = (id: string) => snapshotModels().find((model) => model.id === id)!
  expect(find('openai/gpt-4o').deprecatesOn).toBe('2027-01-14')
  expect(find('openai/gpt-5.2').deprecatesOn).toBeUndefined()
  expect(['openai/gpt-4o', 'openai/dall-e-3', 'openai/gpt-5.2'].map((id) => wasServed(find(id)))).toEqual([
    true,
    false,
    true,
  ])
})

test('hours of sound are priced by the second', () => {
  const data = [{ id: 'groq', models: [{ id: 'sound', prices: { audio_hours: 0.111, input_audio_hours: 0.111 } }] }]
  const [model] = readPriceSource(data, '2026-11-21', () => {})
  // 111_000_000 nanodollars by 3,600 seconds, times a million, rounded up.
  expect(model!.nanosPerMillion).toEqual({ second: 30_833_333_334n })
  expect(costOf({ second: 3_600 }, { versionId: 'v', ...model! })).toBe(111_000_001n)
  expect(offer(model!, 'test')).toEqual([])
})

const source = (prices: unknown) => [{ id: 'openai', models: [{ id: 'gpt-x', prices }] }]
const read = (prices: unknown, problems: string[] = []) =>
  readPriceSource(source(prices), '2026-11-21', (problem) => problems.push(problem))

test('of prices by date the one in force holds', () => {
  const from = (start_date: string, input_mtok: number) => ({
    constraint: { type: 'start_date', start_date },
    prices: { input_mtok, output_mtok: 1 },
  })
  const prices = [{ prices: { input_mtok: 9, output_mtok: 1 } }, from('2026-01-01', 3), from('2026-12-01', 1)]
  expect(read(prices)[0]!.nanosPerMillion.input).toBe(3_000_000_000n)
})

test.each<[string, unknown]>([
  ['a unit that isn’t counted', { input_mtok: 1, input_document_kpages: 2 }],
  ['less than nothing', { input_mtok: -1, output_mtok: 1 }],
  ['text', { input_mtok: '1', output_mtok: 1 }],
  ['a tier without a bound', { input_mtok: { base: 1, tiers: [{ start: 'x', price: 2 }] }, output_mtok: 1 }],
  ['nothing that holds at any time', []],
  ['nothing at all', null],
])('a price of %s is left out and told, and the rest is read', (_, prices) => {
  const problems: string[] = []
  const data = [
    ...source(prices),
    { id: 'xai-of-somebody-else', models: 7 },
    { id: 'x-ai', models: [{ id: 'grok', prices: { input_mtok: 1 } }] },
  ]
  const models = readPriceSource(data, '2026-11-21', (problem) => problems.push(problem))
  expect(models.map(({ provider, name }) => `${provider}/${name}`)).toEqual(['xai/grok'])
  expect(problems).toHaveLength(1)
})

test('what is no price data at all is refused', () => {
  for (const data of [null, {}, 'x']) expect(() => readPriceSource(data, '2026-11-21', () => {})).toThrow(TypeError)
})
