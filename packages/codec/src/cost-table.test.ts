import { snapshotModels } from '@nemo/domain/price-book/snapshot'
import { costOf, type Terms } from '@nemo/domain/pricing'
import type { Usage } from '@nemo/domain/usage'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from './chat/request.ts'
import type { DialectName } from './dialect.ts'
import { topLevelMembers } from './json-members.ts'
import { findProvider } from './providers.ts'
import type { Surface } from './surface.ts'
import { chat } from './surfaces/chat/chat.ts'
import { messages } from './surfaces/messages/messages.ts'
import { responses } from './surfaces/responses/responses.ts'
import type { Wire } from './wire.ts'
import { wireOf } from './wires.ts'

/**
 * What calls cost, worked out by hand from the pages that the comments name, read 2026-11: the units of each class × its dollars per million, a class without a price of its own as the one
 * that it is a kind of, rounded up once to a nanodollar. Each goes the way that it goes in the gateway: the provider's own account of what it used, in an answer and again in a stream, is
 * read from bytes, and priced by the price book.
 */
type Case = readonly [id: string, used: Usage, nanos: bigint, serviceTier?: string]

const CHATS: readonly Case[] = [
  // https://platform.openai.com/docs/pricing
  ['openai/gpt-4o', { input: 1, output: 1 }, 12_500n],
  ['openai/gpt-4o', { input: 1_234, output: 567 }, 8_755_000n],
  ['openai/gpt-4o', { input: 7, cachedInput: 1_993, output: 88 }, 3_388_750n],
  ['openai/gpt-4o-mini', { input: 1, output: 1 }, 750n],
  ['openai/gpt-4o-mini', { input: 1_234, output: 567 }, 525_300n],
  ['openai/gpt-4o-mini', { input: 7, cachedInput: 1_993, output: 88 }, 203_325n],
  ['openai/gpt-4.1', { input: 1, output: 1 }, 10_000n],
  ['openai/gpt-4.1', { input: 1_234, output: 567 }, 7_004_000n],
  ['openai/gpt-4.1', { input: 7, cachedInput: 1_993, output: 88 }, 1_714_500n],
  ['openai/gpt-5', { input: 1_234, output: 567 }, 7_212_500n],
  ['openai/gpt-5', { input: 100, output: 20, reasoning: 1_500 }, 15_325_000n],
  ['openai/gpt-5', { input: 3, cachedInput: 4_096, output: 1, reasoning: 999 }, 10_515_750n],
  ['openai/gpt-5', { input: 1, output: 1 }, 11_250n, 'default'],
  ['openai/gpt-5', { output: 1 }, 10_000n],
  ['openai/o3', { output: 1 }, 8_000n],
  ['openai/o3', { input: 1_234, output: 567 }, 7_004_000n],
  ['openai/o3', { input: 100, output: 20, reasoning: 1_500 }, 12_360_000n],
  ['openai/o3', { input: 3, cachedInput: 4_096, output: 1, reasoning: 999 }, 10_054_000n],
  // The same, flex: half. gpt-5 $0.625, $0.0625 and $5; o3 $1, $0.25 and $4.
  ['openai/gpt-5', { input: 1_000, output: 100 }, 1_125_000n, 'flex'],
  ['openai/gpt-5', { input: 3, cachedInput: 4_096, output: 1, reasoning: 999 }, 5_257_875n, 'flex'],
  ['openai/o3', { input: 1_234, output: 567 }, 3_502_000n, 'flex'],
  ['openai/gpt-5-nano', { input: 1, output: 1 }, 225n, 'flex'],
  // gpt-5.4 is twice as dear from 272,000 tokens of input on, its output half again: $5, $0.5 and $22.5; flex half of that.
  ['openai/gpt-5.4', { input: 271_999, output: 1_000 }, 694_997_500n],
  ['openai/gpt-5.4', { input: 272_000, output: 1_000 }, 1_382_500_000n],
  ['openai/gpt-5.4', { input: 272_000, output: 1_000 }, 691_250_000n, 'flex'],
  // What GPT-5.6 and later write to their cache is a quarter dearer than other input (https://developers.openai.com/api/docs/guides/prompt-caching): terra $2, $0.2, $2.5 written and $12.
  ['openai/gpt-5.6-terra', { input: 3, cacheWrite: 3_435, output: 100 }, 9_793_500n],
  ['openai/gpt-5.6-terra', { input: 3, cachedInput: 3_423, cacheWrite: 12, output: 100 }, 1_920_600n],
  // https://openai.com/api-priority-processing: gpt-5 $2.5, $0.25 and $20; gpt-5-mini $0.45 and $3.6; gpt-4o $4.25, $2.125 and $17; gpt-4o-mini $0.25 and $1; gpt-4.1 $3.5 and $14
  ['openai/gpt-5', { input: 1_000, output: 100 }, 4_500_000n, 'priority'],
  ['openai/gpt-5', { input: 7, cachedInput: 1_993, output: 88 }, 2_275_750n, 'fast'],
  ['openai/gpt-5-mini', { input: 1_234, output: 567 }, 2_596_500n, 'priority'],
  ['openai/gpt-4o', { input: 7, cachedInput: 1_993, output: 88 }, 5_760_875n, 'priority'],
  ['openai/gpt-4o-mini', { input: 1_234, output: 567 }, 875_500n, 'priority'],
  ['openai/gpt-4.1', { input: 1, output: 1 }, 17_500n, 'priority'],
  // https://docs.x.ai/docs/models
  ['xai/grok-3', { input: 1, output: 1 }, 18_000n],
  ['xai/grok-3', { input: 1_234, output: 567 }, 12_207_000n],
  ['xai/grok-3', { input: 7, cachedInput: 1_993, output: 88 }, 2_835_750n],
  // https://docs.claude.com/en/docs/about-claude/pricing
  ['anthropic/claude-opus-4-5', { input: 25, output: 400 }, 10_125_000n],
  ['anthropic/claude-opus-4-5', { input: 25, cacheWrite: 10_000, output: 400 }, 72_625_000n],
  ['anthropic/claude-opus-4-5', { input: 25, cacheWriteHour: 10_000, output: 400 }, 110_125_000n],
  ['anthropic/claude-opus-4-5', { input: 3, cachedInput: 10_000, output: 1 }, 5_040_000n],
  ['anthropic/claude-opus-4-5', { input: 25, output: 400, search: 2 }, 30_125_000n],
  ['anthropic/claude-opus-4-5', { input: 25, output: 100, reasoning: 300 }, 10_125_000n, 'default'],
  [
    'anthropic/claude-opus-4-5',
    { input: 1, cachedInput: 7, cacheWrite: 11, cacheWriteHour: 13, output: 17, search: 1 },
    10_632_250n,
  ],
  ['anthropic/claude-haiku-4-5', { input: 25, output: 400 }, 2_025_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, cacheWrite: 10_000, output: 400 }, 14_525_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, cacheWriteHour: 10_000, output: 400 }, 22_025_000n],
  ['anthropic/claude-haiku-4-5', { input: 3, cachedInput: 10_000, output: 1 }, 1_008_000n],
  ['anthropic/claude-haiku-4-5', { input: 25, output: 400, search: 2 }, 22_025_000n],
  [
    'anthropic/claude-haiku-4-5',
    { input: 1, cachedInput: 7, cacheWrite: 11, cacheWriteHour: 13, output: 17, search: 1 },
    10_126_450n,
  ],
  // https://platform.claude.com/docs/en/build-with-claude/fast-mode: Opus 5 $10 and $50, Opus 4.6 $30 and $150
  ['anthropic/claude-opus-5', { input: 1_000, output: 100 }, 15_000_000n, 'fast'],
  ['anthropic/claude-opus-4-6', { input: 1_000, output: 100 }, 45_000_000n, 'fast'],
  // https://platform.claude.com/docs/en/manage-claude/data-residency: in the United States alone every token is a tenth dearer, searches aren't
  ['anthropic/claude-opus-5', { input: 1_000, output: 100 }, 8_250_000n, 'us'],
  ['anthropic/claude-opus-5', { input: 1_000, cacheWrite: 1_000, output: 100, search: 1 }, 25_125_000n, 'us'],
  ['anthropic/claude-opus-5', { input: 1_000, output: 100 }, 16_500_000n, 'fast-us'],
  ['anthropic/claude-sonnet-4-6', { input: 1_000, output: 100 }, 4_950_000n, 'us'],
  // https://ai.google.dev/gemini-api/docs/pricing
  ['gemini/gemini-2.5-flash', { input: 1_000, output: 200, reasoning: 800 }, 2_800_000n],
  ['gemini/gemini-2.5-flash', { input: 10, audioInput: 1_600, output: 50 }, 1_728_000n],
  ['gemini/gemini-2.5-flash', { input: 10, cachedInput: 5_000, output: 50 }, 278_000n],
  ['gemini/gemini-2.5-flash', { cachedAudioInput: 320, audioInput: 32, output: 5 }, 76_500n],
  ['gemini/gemini-2.5-pro', { input: 200_000, output: 1_000 }, 260_000_000n],
  ['gemini/gemini-2.5-pro', { input: 100, cachedInput: 150_000, output: 10, reasoning: 90 }, 19_875_000n],
  ['gemini/gemini-2.5-pro', { input: 200_001, output: 1_000 }, 515_002_500n],
  ['gemini/gemini-2.5-pro', { input: 100_001, cachedInput: 100_000, output: 10, reasoning: 90 }, 276_502_500n],
  ['gemini/gemini-2.5-pro', { input: 1_000_000, output: 65_536 }, 3_483_040_000n],
  // The same, flex: half, $0.15 and $1.25, and $1.25 and $7.5 above 200,000.
  ['gemini/gemini-2.5-flash', { input: 1_000, output: 200, reasoning: 800 }, 1_400_000n, 'flex'],
  ['gemini/gemini-2.5-pro', { input: 200_001, output: 1_000 }, 257_501_250n, 'flex'],
  // https://mistral.ai/pricing
  ['mistral/mistral-large-2512', { input: 1, output: 1 }, 2_000n],
  ['mistral/mistral-large-2512', { input: 3_141, output: 592 }, 2_458_500n],
  // https://cohere.com/pricing
  ['cohere/command-a', { input: 1, output: 1 }, 12_500n],
  ['cohere/command-a', { input: 3_141, output: 592 }, 13_772_500n],
  // https://groq.com/pricing
  ['groq/llama-3.1-8b-instant', { input: 1, output: 1 }, 130n],
  ['groq/llama-3.1-8b-instant', { input: 3_141, output: 592 }, 204_410n],
  // https://aws.amazon.com/bedrock/pricing/
  ['bedrock/amazon.nova-pro-v1:0', { input: 1, output: 1 }, 4_000n],
  ['bedrock/amazon.nova-pro-v1:0', { input: 3_141, output: 592 }, 4_407_200n],
  ['bedrock/amazon.nova-pro-v1:0', { input: 10, cachedInput: 4_000, output: 1 }, 811_200n],
  // https://www.together.ai/pricing
  ['together/meta-llama/Llama-3.3-70B-Instruct-Turbo', { input: 1, output: 1 }, 1_760n],
  ['together/meta-llama/Llama-3.3-70B-Instruct-Turbo', { input: 3_141, output: 592 }, 3_285_040n],
  // https://www.cerebras.ai/pricing
  ['cerebras/gpt-oss-120b', { input: 1, output: 1 }, 1_100n],
  ['cerebras/gpt-oss-120b', { input: 3_141, output: 592 }, 1_543_350n],
]

describe('chat', () => {
  for (const [id, used, nanos, serviceTier = null] of CHATS) {
    const served = serviceTier === null ? '' : `, ${serviceTier}`
    test(`${id}${served}, ${JSON.stringify(used)}: ${nanos} nanodollars, streamed or not`, () => {
      const { dialect } = modelOf(id)
      const spoken = dialect === 'anthropic' ? [chat, messages] : id.startsWith('openai/') ? [chat, responses] : [chat]
      for (const surface of spoken) {
        const told = tell(surface === responses ? 'responses' : dialect, used, serviceTier)
        expect([surface.name, costOfAnswer(id, surface, told.answer)]).toEqual([surface.name, nanos])
        for (const bytes of [1, 7, 100_000]) {
          expect([surface.name, costOfStream(id, surface, told.stream, bytes)]).toEqual([surface.name, nanos])
        }
      }
    })
  }
})

describe('responses', () => {
  const searched = (search: number) =>
    [...Array(search)].map(() => ({ type: 'web_search_call', action: { type: 'search' } }))
  const filed = { type: 'file_search_call', queries: ['x'] }
  const preview = { type: 'web_search_preview', search_context_size: 'low' }
  const opened = { type: 'web_search_call', action: { type: 'open_page' } }
  const used = { input_tokens: 1_000, output_tokens: 100, total_tokens: 1_100 }
  const response = (more: object) => ({
    id: 'r',
    object: 'response',
    status: 'completed',
    output: [],
    usage: used,
    ...more,
  })

  test.each<[string, string, JsonObject, bigint]>([
    // https://platform.openai.com/docs/pricing: gpt-5.4 $2.5 and $15, $10 a thousand searches
    ['as it is counted', 'openai/gpt-5.4', response({ tool_usage: { web_search: { num_requests: 3 } } }), 34_000_000n],
    ['as it was called', 'openai/gpt-5.4', response({ output: [...searched(2), opened] }), 24_000_000n],
    // File search $2.5 a thousand; the older search of the web $25 with models that don't reason.
    ['with files', 'openai/gpt-5.4', response({ output: [filed, ...searched(1), filed] }), 19_000_000n],
    ['by the older tool', 'openai/gpt-5', response({ output: searched(2), tools: [preview] }), 22_250_000n],
    ['by the older tool', 'openai/gpt-4.1', response({ output: searched(2), tools: [preview] }), 52_800_000n],
    [
      'called, and not billed',
      'openai/gpt-5.4',
      response({ output: searched(2), tool_usage: { web_search: { num_requests: 0 } } }),
      4_000_000n,
    ],
  ])('a search is billed beside the tokens, %s, streamed or not', (_, id, answer, nanos) => {
    expect(costOfAnswer(id, responses, answer)).toBe(nanos)
    const events = [
      ['response.created', { type: 'response.created', response: { ...answer, usage: null } }],
      ['response.completed', { type: 'response.completed', response: answer }],
    ] as const
    expect(costOfStream(id, responses, sse(events), 7)).toBe(nanos)
  })

  test('what xAI says that it billed is read, streamed or not', () => {
    const answer = response({ usage: { ...used, cost_in_usd_ticks: 158_500 } })
    const wire = (streamed: boolean) => wireFor('xai/grok-3', responses, { ...HELLO, stream: streamed }, streamed)
    expect(wire(false).readAnswer(Buffer.from(''), answer).billedNanos).toBe(15_850n)
    const live = wire(true).openStream()
    live.push(Buffer.from(sse([['response.completed', { type: 'response.completed', response: answer }]])))
    expect(live.billedNanos).toBe(15_850n)
  })
})

// https://openrouter.ai/docs/use-cases/usage-accounting: of a call with the operator's own key `cost` is OpenRouter's fee, and the provider bills the rest.
test.each<[string, JsonObject, bigint | null]>([
  ['as it billed', { cost: 0.0123 }, 12_300_000n],
  ['with an own key', { cost: 0, is_byok: true, cost_details: { upstream_inference_cost: 0.0123 } }, 12_300_000n],
  [
    'with an own key, and a fee',
    { cost: 0.000_615, is_byok: true, cost_details: { upstream_inference_cost: 0.0123 } },
    12_915_000n,
  ],
  [
    'with its own key, told twice',
    { cost: 0.0123, is_byok: false, cost_details: { upstream_inference_cost: 0.0123 } },
    12_300_000n,
  ],
  ['with an own key, of which it tells nothing', { cost: 0, is_byok: true, cost_details: null }, null],
  ['with an own key at no sum', { cost: 0, is_byok: true, cost_details: { upstream_inference_cost: -1 } }, null],
])('what OpenRouter says that a call cost is read, %s, streamed or not', (_, bill, nanos) => {
  const { answer } = tellOpenAi({ ...NOTHING, input: 1_000, output: 100 }, null)
  const usage = { ...answer.usage, ...bill }
  const wire = (stream: boolean) => wireFor('openrouter/openai/gpt-4o', chat, { ...HELLO, stream }, stream)
  expect(wire(false).readAnswer(Buffer.from(''), { ...answer, usage }).billedNanos).toBe(nanos)
  const live = wire(true).openStream()
  live.push(
    Buffer.from(
      sse([
        [null, { ...answer, choices: [], usage }],
        [null, '[DONE]'],
      ]),
    ),
  )
  expect(live.billedNanos).toBe(nanos)
})

describe('searches of Google', () => {
  const usageMetadata = { promptTokenCount: 1_000, candidatesTokenCount: 100, totalTokenCount: 1_100 }
  const content = { role: 'model', parts: [{ text: 'Yes.' }] }
  const grounded = (model: string, groundingMetadata: JsonObject) => ({
    candidates: [{ index: 0, content, finishReason: 'STOP', groundingMetadata }],
    ...{ usageMetadata, modelVersion: model },
  })
  const queries = ['rivers', '', 'lakes', 'rivers']

  test.each<[string, JsonObject, bigint]>([
    // https://ai.google.dev/gemini-api/docs/pricing: 2.5 Flash $0.3 and $2.5, $35 a thousand prompts that were grounded
    ['gemini-2.5-flash', { webSearchQueries: queries }, 35_550_000n],
    ['gemini-2.5-flash', { webSearchQueries: [''] }, 550_000n],
    // 3.5 Flash $1.5 and $9, $14 a thousand queries
    ['gemini-3.5-flash', { webSearchQueries: queries }, 30_400_000n],
    ['gemini-3.5-flash', { webSearchQueries: ['rivers'], imageSearchQueries: ['a river'] }, 30_400_000n],
    ['gemini-3.5-flash', {}, 2_400_000n],
  ])('%s, %j: %d nanodollars, streamed or not', (model, metadata, nanos) => {
    const answer = grounded(model, metadata)
    expect(costOfAnswer(`gemini/${model}`, chat, answer)).toBe(nanos)
    const first = { candidates: [{ index: 0, content }], usageMetadata, modelVersion: model }
    expect(costOfStream(`gemini/${model}`, chat, sse([[null, first] as const, [null, answer] as const]), 7)).toBe(nanos)
  })

  test('are counted as those of who was asked where the answer doesn’t say who answered', () => {
    const { modelVersion: _, ...answer } = grounded('', { webSearchQueries: queries })
    expect(costOfAnswer('gemini/gemini-3.5-flash', chat, answer)).toBe(30_400_000n)
    expect(costOfStream('gemini/gemini-3.5-flash', chat, sse([[null, answer]]), 7)).toBe(30_400_000n)
    expect(costOfAnswer('gemini/gemini-2.5-flash', chat, answer)).toBe(35_550_000n)
  })

  test('are counted that are told behind the usage', () => {
    const { usageMetadata: told, ...answer } = grounded('gemini-3.5-flash', { webSearchQueries: queries })
    const first = { candidates: [{ index: 0, content }], usageMetadata: told, modelVersion: 'gemini-3.5-flash' }
    const events = [[null, first] as const, [null, answer] as const]
    expect(costOfStream('gemini/gemini-3.5-flash', chat, sse(events), 7)).toBe(30_400_000n)
  })
})

describe('what a stream is seen to have taken that breaks off', () => {
  const seenIn = (id: string, surface: Surface, events: readonly (readonly [string | null, unknown])[]) => {
    const live = wireFor(id, surface, { ...HELLO, stream: true }, true).openStream()
    const bytes = Buffer.from(sse(events))
    for (const byte of bytes) live.push(Buffer.of(byte))
    expect([live.done, live.error, live.usage]).toEqual([false, null, null])
    return live.seen
  }

  const input = { input_tokens: 7, cache_read_input_tokens: 2_000, cache_creation_input_tokens: 300 }
  const block = (content_block: object) =>
    ['content_block_start', { type: 'content_block_start', index: 0, content_block }] as const
  const searching = block({ type: 'server_tool_use', id: 's', name: 'web_search', input: {} })
  const failed = { type: 'web_search_tool_result_error', error_code: 'max_uses_exceeded' }

  test.each([chat, messages])('Claude: the input, and its searches that didn’t fail, by $name', (surface) => {
    const events = [
      [
        'message_start',
        { type: 'message_start', message: { id: 'm', usage: { ...input, output_tokens: 1 } } },
      ] as const,
      searching,
      block({ type: 'web_search_tool_result', tool_use_id: 's', content: [] }),
      block({ type: 'server_tool_use', id: 'f', name: 'web_fetch', input: {} }),
      searching,
      block({ type: 'web_search_tool_result', tool_use_id: 's', content: failed }),
      searching,
      block({ type: 'text', text: '"server_tool_use"' }),
    ]
    expect(seenIn('anthropic/claude-opus-4-5', surface, events)).toEqual({
      ...{ input: 7, cachedInput: 2_000, cacheWrite: 300, search: 2 },
    })
  })

  test('Responses: the searches that are done', () => {
    const event = (type: string, more: object) => [type, { type, ...more }] as const
    const done = (item: object) => event('response.output_item.done', { item })
    const searched = { type: 'web_search_call', action: { type: 'search' } }
    const events = (tools: object[]) => [
      event('response.created', { response: { output: [], tools, usage: null } }),
      event('response.output_item.added', { item: searched }),
      done(searched),
      done({ type: 'web_search_call', action: { type: 'open_page' } }),
      done({ type: 'file_search_call', results: [] }),
      event('response.output_item.added', { item: searched }),
    ]
    expect(seenIn('openai/gpt-5', responses, events([]))).toEqual({ search: 1, fileSearch: 1 })
    expect(seenIn('openai/gpt-5', responses, events([{ type: 'web_search_preview' }]))).toEqual({
      ...{ searchPreview: 1, fileSearch: 1 },
    })
  })

  test('Gemini: what it was grounded on', () => {
    const candidate = {
      index: 0,
      content: { parts: [{ text: 'Yes.' }] },
      groundingMetadata: { webSearchQueries: ['a', 'b'] },
    }
    const events = [[null, { candidates: [candidate] }] as const]
    expect(seenIn('gemini/gemini-3.5-flash', chat, events)).toEqual({ search: 2 })
    expect(seenIn('gemini/gemini-2.5-flash', chat, events)).toEqual({ search: 1 })
  })
})

test.each<[string, Surface, JsonObject, Usage]>([
  [
    'openai/gpt-5',
    responses,
    { object: 'response', output: [{ type: 'web_search_call' }, { type: 'file_search_call' }], usage: null },
    { search: 1, fileSearch: 1 },
  ],
  [
    'anthropic/claude-opus-4-5',
    messages,
    { content: [{ type: 'server_tool_use', name: 'web_search' }] },
    { search: 1 },
  ],
  [
    'gemini/gemini-3.5-flash',
    chat,
    { candidates: [{ groundingMetadata: { webSearchQueries: ['a', 'b'] } }] },
    { search: 2 },
  ],
])('an answer without usage still has its searches: %s', (id, surface, answer, seen) => {
  const wire = wireFor(id, surface, HELLO, false)
  expect(wire.readAnswer(Buffer.from(''), answer)).toMatchObject({ usage: null, seen })
})

test('what summing up a conversation took is billed beside the answer, streamed or not', () => {
  // https://platform.claude.com/docs/en/build-with-claude/compaction-threshold: 203,000 tokens at $5 and 4,500 at $25
  const iterations = [
    { type: 'compaction', input_tokens: 180_000, output_tokens: 3_500 },
    { type: 'message', input_tokens: 23_000, output_tokens: 1_000 },
  ]
  const { answer } = tellAnthropic({ ...NOTHING, input: 23_000, output: 1_000 }, null)
  const usage = { ...answer.usage, iterations }
  expect(costOfAnswer('anthropic/claude-opus-4-6', messages, { ...answer, usage })).toBe(1_127_500_000n)
  const begun = { ...answer, content: [], stop_reason: null, usage: { ...answer.usage, output_tokens: 1 } }
  const events: [string, object][] = [
    ['message_start', { type: 'message_start', message: begun }],
    ['message_delta', { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage }],
    ['message_stop', { type: 'message_stop' }],
  ]
  expect(costOfStream('anthropic/claude-opus-4-6', messages, sse(events), 7)).toBe(1_127_500_000n)
})

describe('embeddings', () => {
  test.each<[id: string, used: Usage, nanos: bigint]>([
    // https://platform.openai.com/docs/pricing
    ['openai/text-embedding-3-small', { input: 1 }, 20n],
    ['openai/text-embedding-3-small', { input: 8_191 }, 163_820n],
    ['openai/text-embedding-3-small', { input: 333 }, 6_660n],
    // https://docs.voyageai.com/docs/pricing
    ['voyage/voyage-3.5', { input: 1 }, 60n],
    ['voyage/voyage-3.5', { input: 12_345 }, 740_700n],
  ])('%s, %o: %d nanodollars', (id, { input }, nanos) => {
    // Voyage says only how many tokens there were.
    const usage = id.startsWith('voyage/') ? { total_tokens: input } : { prompt_tokens: input, total_tokens: input }
    const answer = { object: 'list', data: [], usage }
    expect(costOfAnswer(id, chat, answer, { input: 'x' })).toBe(nanos)
  })
})

describe('pictures', () => {
  const three = { prompt: 'a river', n: 3 }
  const pictures = (n: number, more: JsonObject = {}) => ({ created: 1, data: Array(n).fill({ url: 'u' }), ...more })
  const tokens = (text: number, image: number, output: number, cached_tokens = 0) => ({
    usage: {
      input_tokens: text + image,
      input_tokens_details: { text_tokens: text, image_tokens: image, cached_tokens },
      output_tokens: output,
    },
  })
  const withWords = (text: number, image_tokens: number, text_tokens: number) => ({
    usage: {
      ...tokens(text, 0, image_tokens + text_tokens).usage,
      output_tokens_details: { image_tokens, text_tokens },
    },
  })
  const predicted = (n: number) => ({
    predictions: Array(n).fill({ bytesBase64Encoded: 'AA==', mimeType: 'image/png' }),
  })
  const bflMade = { status: 'Ready', result: { sample: 'u' } }
  const falMade = (n: number, width: number, height: number) => ({ images: Array(n).fill({ url: 'u', width, height }) })

  test.each<[string, JsonObject, JsonObject, bigint]>([
    // https://platform.openai.com/docs/pricing, by tokens: text $5, pictures $10, output $40
    ['openai/gpt-image-1', three, pictures(1, tokens(42, 0, 4_160)), 166_610_000n],
    ['openai/gpt-image-1', three, pictures(1, tokens(42, 323, 272)), 14_320_000n],
    // $1.25 for what was cached
    ['openai/gpt-image-1', three, pictures(1, tokens(10, 1, 6_240, 10)), 249_622_500n],
    ['openai/gpt-image-1-mini', three, pictures(1, tokens(100, 0, 272)), 2_376_000n],
    // GPT image 1.5: text $5, pictures $8 and $2 cached, output $10 for words and $32 for pictures, which all of it is unless it says otherwise
    ['openai/gpt-image-1.5', three, pictures(1, tokens(42, 0, 4_160)), 133_330_000n],
    ['openai/gpt-image-1.5', three, pictures(1, withWords(42, 1_056, 44)), 34_442_000n],
    ['openai/gpt-image-1.5', three, pictures(1, withWords(42, 0, 44)), 650_000n],
    ['openai/gpt-image-1.5', three, pictures(1, tokens(0, 323, 272, 320)), 9_368_000n],
    // GPT image 2: $30, whatever it puts out
    ['openai/gpt-image-2', three, pictures(1, tokens(42, 0, 7_024)), 210_930_000n],
    ['openai/gpt-image-1', three, pictures(1, withWords(42, 4_160, 0)), 166_610_000n],
    // https://platform.openai.com/docs/pricing, by the picture: standard $0.04 and $0.08, hd $0.08 and $0.12
    ['openai/dall-e-3', { prompt: 'a river' }, pictures(1), 40_000_000n],
    ['openai/dall-e-3', { prompt: 'a river', size: '1792x1024' }, pictures(1), 80_000_000n],
    ['openai/dall-e-3', { prompt: 'a river', quality: 'hd' }, pictures(1), 80_000_000n],
    ['openai/dall-e-3', { prompt: 'a river', quality: 'hd', size: '1024x1792' }, pictures(1), 120_000_000n],
    ['openai/dall-e-3', { prompt: 'a river', quality: 'auto', size: 'auto' }, pictures(1), 40_000_000n],
    ['openai/dall-e-2', { ...three, size: '256x256' }, pictures(3), 48_000_000n],
    ['openai/dall-e-2', { ...three, size: '512x512' }, pictures(3), 54_000_000n],
    // Two of three came.
    ['openai/dall-e-2', three, pictures(2), 40_000_000n],
    // https://ai.google.dev/gemini-api/docs/pricing, by the picture
    ['gemini/imagen-4.0-generate-001', three, predicted(3), 120_000_000n],
    ['gemini/imagen-4.0-fast-generate-001', three, predicted(1), 20_000_000n],
    ['gemini/imagen-4.0-ultra-generate-001', { ...three, size: '2048x2048' }, predicted(2), 120_000_000n],
    // https://fal.ai/models/fal-ai/flux-1/dev: $0.025 a megapixel, each picture rounded up
    ['fal/fal-ai/flux-1/dev', { ...three, size: '1024x768' }, falMade(3, 1024, 768), 75_000_000n],
    ['fal/fal-ai/flux-1/dev', { ...three, size: '1024x1024' }, falMade(3, 1024, 1024), 75_000_000n],
    ['fal/fal-ai/flux-1/dev', { prompt: 'a river', size: '1920x1080' }, falMade(1, 1920, 1080), 50_000_000n],
    // Its default is its own affair, and it says what it made.
    ['fal/fal-ai/flux/schnell', { prompt: 'a river' }, falMade(1, 1024, 768), 3_000_000n],
    ['fal/fal-ai/recraft/v3/text-to-image', { prompt: 'a river' }, falMade(1, 2048, 2048), 40_000_000n],
    // https://platform.stability.ai/pricing, in credits of a cent: 3, 8, 6.5, 4, 3.5 and 2.5, whatever the shape
    ['stability/stable-image-core', { prompt: 'a river', size: '1536x1024' }, { image: 'AA==' }, 30_000_000n],
    ['stability/stable-image-ultra', { prompt: 'a river' }, { image: 'AA==' }, 80_000_000n],
    ['stability/sd3.5-large', { prompt: 'a river', n: 1 }, { image: 'AA==' }, 65_000_000n],
    ['stability/sd3.5-large-turbo', { prompt: 'a river' }, { image: 'AA==' }, 40_000_000n],
    ['stability/sd3.5-medium', { prompt: 'a river' }, { image: 'AA==' }, 35_000_000n],
    ['stability/sd3.5-flash', { prompt: 'a river' }, { image: 'AA==' }, 25_000_000n],
    // https://docs.bfl.ai/quick_start/pricing, where its answer doesn't say what it bills
    ['black-forest-labs/flux-pro-1.1', { prompt: 'a river', size: '1440x1440' }, bflMade, 40_000_000n],
    ['black-forest-labs/flux-pro-1.1-ultra', { prompt: 'a river' }, bflMade, 60_000_000n],
    ['black-forest-labs/flux-kontext-pro', { prompt: 'a river' }, bflMade, 40_000_000n],
    ['black-forest-labs/flux-kontext-max', { prompt: 'a river' }, bflMade, 80_000_000n],
    // https://www.recraft.ai/docs/api-reference/pricing, likewise
    ['recraft/recraftv4_1', three, pictures(3), 105_000_000n],
    ['recraft/recraftv4_1_utility_pro', { prompt: 'a river' }, pictures(1), 210_000_000n],
    ['recraft/recraftv3', { ...three, size: '1024x1024' }, pictures(3), 120_000_000n],
    ['recraft/recraftv3_vector', three, pictures(2), 160_000_000n],
    ['recraft/recraftv2', three, pictures(3), 66_000_000n],
  ])('%s asked for %o: %d nanodollars', (id, asked, answer, nanos) => {
    expect(costOfAnswer(id, chat, answer, asked)).toBe(nanos)
  })
})

function modelOf(id: string) {
  const model = snapshotModels().find((one) => one.id === id)!
  const provider = findProvider(model.provider)!
  return { model, provider, dialect: provider.dialect }
}

function costOfAnswer(id: string, surface: Surface, answer: JsonObject, fields: JsonObject = HELLO): bigint {
  const bytes = Buffer.from(JSON.stringify(answer))
  const { usage, serviceTier, picture } = wireFor(id, surface, fields, false).readAnswer(bytes, answer)
  const asked = { quality: textOrNull(fields.quality), size: textOrNull(fields.size) }
  const made = { quality: picture?.quality ?? asked.quality, size: picture?.size ?? asked.size }
  return priced(id, usage!, { serviceTier, picture: made })
}

function costOfStream(id: string, surface: Surface, stream: Uint8Array, bytes: number): bigint {
  const live = wireFor(id, surface, { ...HELLO, stream: true }, true).openStream()
  for (let at = 0; at < stream.length; at += bytes) live.push(Buffer.from(stream.slice(at, at + bytes)))
  live.end()
  expect([live.done, live.error]).toEqual([true, null])
  return priced(id, live.usage!, { serviceTier: live.serviceTier })
}

function priced(id: string, usage: Usage, served: Terms): bigint {
  return costOf(usage, { versionId: 'v', ...modelOf(id).model }, served)
}

/** What a request of each API can do with: the answer doesn't depend on it. */
const HELLO = { messages: [{ role: 'user', content: 'Hi.' }], input: 'Hi.', max_tokens: 9 }

function wireFor(id: string, surface: Surface, asked: JsonObject, streamed: boolean): Wire {
  const { model, provider } = modelOf(id)
  const { input, messages: said, max_tokens: max, ...rest } = asked
  const own =
    surface === responses ? { input } : surface === messages ? { messages: said, max_tokens: max } : { messages: said }
  const fields = { model: model.group, ...rest, ...(model.endpoint === 'chat' ? own : { input }) }
  const body = Buffer.from(JSON.stringify(fields))
  const request = {
    ...{
      endpoint: model.endpoint,
      surface,
      body,
      members: topLevelMembers(body),
      edits: new Map(),
      fields,
      headers: {},
    },
    ...{
      chat: () => surface.readRequest(fields),
      streamed,
      choices: 1,
      inputTokens: 1,
      mayBeKept: false,
      id: 'x'.repeat(24),
      createdAt: 1,
    },
  }
  const unsupported = (param: string) => {
    throw new TypeError(`${param} was asked for`)
  }
  const { hosting, outputCap, systemRole, paths } = provider
  const target = {
    provider,
    model: model.upstreamModel,
    hosting,
    outputTokensMax: 64,
    cap: null,
    reasons: false,
    unsupported,
  }
  return wireOf(request, { ...target, leftOut: unsupported, outputCap, systemRole, path: paths.chat ?? null })
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** The usage as each provider tells it, in an answer and in a stream. */
function tell(
  as: DialectName | 'responses',
  used: Usage,
  tier: string | null,
): { answer: JsonObject; stream: Uint8Array } {
  const n = { ...NOTHING, ...used }
  switch (as) {
    case 'openai':
      return tellOpenAi(n, tier)
    case 'responses':
      return tellResponses(n, tier)
    case 'anthropic':
      return tellAnthropic(n, tier)
    case 'gemini':
      return tellGemini(n, tier)
    case 'converse':
      return tellConverse(n)
    case 'cohere':
      return tellCohere(n)
  }
}

const NOTHING = {
  ...{ input: 0, cachedInput: 0, cacheWrite: 0, cacheWriteHour: 0, audioInput: 0, cachedAudioInput: 0 },
  ...{ output: 0, reasoning: 0, search: 0 },
}
type Counts = typeof NOTHING

/** https://platform.openai.com/docs/api-reference/chat: cached input is counted in the input, reasoning in the output. */
function tellOpenAi(n: Counts, tier: string | null) {
  const usage = {
    prompt_tokens: n.input + n.cachedInput + n.cacheWrite,
    completion_tokens: n.output + n.reasoning,
    prompt_tokens_details: { cached_tokens: n.cachedInput, cache_write_tokens: n.cacheWrite },
    completion_tokens_details: { reasoning_tokens: n.reasoning },
  }
  const common = { id: 'c', created: 1, model: 'm', ...(tier && { service_tier: tier }) }
  const message = { role: 'assistant', content: 'Yes.' }
  const answer = { ...common, choices: [{ index: 0, message, finish_reason: 'stop' }], usage }
  const chunk = (delta: object, finish_reason: string | null) => ({
    ...{ ...common, choices: [{ index: 0, delta, finish_reason }], usage: null },
  })
  const chunks = [chunk(message, null), chunk({}, 'stop'), { ...common, choices: [], usage }]
  return { answer, stream: sse([...chunks.map((one) => [null, one] as const), [null, '[DONE]']]) }
}

/** https://platform.openai.com/docs/api-reference/responses */
function tellResponses(n: Counts, tier: string | null) {
  const answer = {
    ...{ id: 'r', object: 'response', status: 'completed', output: [], ...(tier && { service_tier: tier }) },
    usage: {
      input_tokens: n.input + n.cachedInput + n.cacheWrite,
      input_tokens_details: { cached_tokens: n.cachedInput, cache_write_tokens: n.cacheWrite },
      output_tokens: n.output + n.reasoning,
      output_tokens_details: { reasoning_tokens: n.reasoning },
    },
  }
  const event = (type: string, response: object) => [type, { type, response }] as const
  const begun = { ...answer, status: 'in_progress', usage: null }
  return { answer, stream: sse([event('response.created', begun), event('response.completed', answer)]) }
}

/** https://platform.claude.com/docs/en/api/messages: what was read from the cache or written to it is beside the input, and what was thought is in the output. */
function tellAnthropic(n: Counts, tier: string | null) {
  const input = {
    ...{ input_tokens: n.input, cache_read_input_tokens: n.cachedInput },
    cache_creation_input_tokens: n.cacheWrite + n.cacheWriteHour,
    cache_creation: { ephemeral_5m_input_tokens: n.cacheWrite, ephemeral_1h_input_tokens: n.cacheWriteHour },
    ...(tier?.startsWith('fast') ? { speed: 'fast' } : { service_tier: 'standard' }),
    inference_geo: tier?.endsWith('us') ? 'us' : 'global',
  }
  const output = { output_tokens: n.output + n.reasoning, server_tool_use: { web_search_requests: n.search } }
  const message = {
    id: 'msg',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [{ type: 'text', text: 'Yes.' }],
  }
  const answer = { ...message, stop_reason: 'end_turn', stop_sequence: null, usage: { ...input, ...output } }
  const begun = { ...message, content: [], stop_reason: null, usage: { ...input, output_tokens: 1 } }
  const events: [string, object][] = [
    ['message_start', { message: begun }],
    ['content_block_start', { index: 0, content_block: { type: 'text', text: '' } }],
    ['content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Yes.' } }],
    ['content_block_stop', { index: 0 }],
    ['message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: output }],
    ['message_stop', {}],
  ]
  return { answer, stream: sse(events.map(([type, event]) => [type, { type, ...event }] as const)) }
}

/** https://ai.google.dev/api/generate-content#UsageMetadata: cached input is counted in the prompt, thoughts are beside the candidates, and details tell sound apart. */
function tellGemini(n: Counts, tier: string | null) {
  const audio = n.audioInput + n.cachedAudioInput
  const prompt = n.input + n.cachedInput + audio
  const usageMetadata = {
    ...{ promptTokenCount: prompt, candidatesTokenCount: n.output, thoughtsTokenCount: n.reasoning },
    ...{
      totalTokenCount: prompt + n.output + n.reasoning,
      cachedContentTokenCount: n.cachedInput + n.cachedAudioInput,
    },
    promptTokensDetails: [
      { modality: 'TEXT', tokenCount: n.input + n.cachedInput },
      { modality: 'AUDIO', tokenCount: audio },
    ],
    cacheTokensDetails: [
      { modality: 'TEXT', tokenCount: n.cachedInput },
      { modality: 'AUDIO', tokenCount: n.cachedAudioInput },
    ],
    ...(tier && { serviceTier: tier }),
  }
  const content = { role: 'model', parts: [{ text: 'Yes.' }] }
  const answer = { candidates: [{ index: 0, content, finishReason: 'STOP' }], usageMetadata, modelVersion: 'm' }
  const first = { candidates: [{ index: 0, content }], usageMetadata: { ...usageMetadata, candidatesTokenCount: 1 } }
  return { answer, stream: sse([[null, first] as const, [null, answer] as const]) }
}

const frames = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html: what was cached is beside the input. */
function tellConverse(n: Counts) {
  const usage = {
    ...{ inputTokens: n.input, outputTokens: n.output + n.reasoning, cacheReadInputTokens: n.cachedInput },
    ...{ cacheWriteInputTokens: n.cacheWrite + n.cacheWriteHour, totalTokens: 0 },
  }
  const message = { role: 'assistant', content: [{ text: 'Yes.' }] }
  const answer = { output: { message }, stopReason: 'end_turn', usage, metrics: { latencyMs: 1 } }
  const events: [string, object][] = [
    ['messageStart', { role: 'assistant' }],
    ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Yes.' } }],
    ['contentBlockStop', { contentBlockIndex: 0 }],
    ['messageStop', { stopReason: 'end_turn' }],
    ['metadata', { usage, metrics: { latencyMs: 1 } }],
  ]
  const text = (value: string) => ({ type: 'string', value }) as const
  const framed = events.map(([type, event]) =>
    frames.encode({
      headers: {
        ...{ ':message-type': text('event'), ':event-type': text(type) },
        ':content-type': text('application/json'),
      },
      body: new TextEncoder().encode(JSON.stringify(event)),
    }),
  )
  return { answer, stream: new Uint8Array(Buffer.concat(framed)) }
}

/** https://docs.cohere.com/reference/chat: what is billed is beside what the model read. */
function tellCohere(n: Counts) {
  const usage = {
    billed_units: { input_tokens: n.input, output_tokens: n.output },
    tokens: { input_tokens: n.input + 66, output_tokens: n.output + 2 },
  }
  const content = [{ type: 'text', text: 'Yes.' }]
  const answer = { id: 'c', finish_reason: 'COMPLETE', message: { role: 'assistant', content }, usage }
  const events: [string, object][] = [
    ['message-start', { id: 'c', delta: { message: { role: 'assistant' } } }],
    ['content-delta', { index: 0, delta: { message: { content: { text: 'Yes.' } } } }],
    ['message-end', { delta: { finish_reason: 'COMPLETE', usage } }],
  ]
  return { answer, stream: sse(events.map(([type, event]) => [type, { type, ...event }] as const)) }
}

function sse(events: readonly (readonly [string | null, unknown])[]): Uint8Array {
  const text = events.map(([type, data]) => {
    const line = typeof data === 'string' ? data : JSON.stringify(data)
    return `${type === null ? '' : `event: ${type}\n`}data: ${line}\n\n`
  })
  return new Uint8Array(Buffer.from(text.join('')))
}
