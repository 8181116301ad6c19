import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from './chat/request.ts'
import { DIALECTS } from './dialects.ts'
import { hostedTools, mayHost } from './hosted-tools.ts'
import { findProvider } from './providers.ts'
import type { Surface } from './surface.ts'
import { chat } from './surfaces/chat/chat.ts'
import { messages } from './surfaces/messages/messages.ts'
import { responses } from './surfaces/responses/responses.ts'

const { gemini } = DIALECTS

/** What is billed of a request beside the tokens, as `param: bill × most`. */
function billed(surface: Surface['name'], provider: string, fields: JsonObject, model = 'm'): string[] {
  const found = hostedTools(surface, fields, findProvider(provider)!, model)
  // What wouldn't be looked at can't be billed for.
  if (found.length > 0) expect(mayHost(fields)).toBe(true)
  return found.map(({ param, bill, most }) => `${param}: ${bill === null ? 'untold' : `${bill} × ${most}`}`)
}

const tool = (type: string, more: object = {}) => ({ tools: [{ type, ...more }] })

describe('OpenAI’s Responses', () => {
  test.each<[JsonObject, string[]]>([
    [tool('function', { name: 'f' }), []],
    [tool('custom', { name: 'f' }), []],
    [tool('mcp', { server_url: 'https://example.com' }), ['tools[0]: tokens × 10']],
    [tool('computer_use_preview'), []],
    [tool('local_shell'), []],
    [tool('apply_patch'), []],
    [tool('shell', { environment: { type: 'local' } }), []],
    [tool('shell', { environment: { type: 'container_auto' } }), ['tools[0]: untold']],
    [tool('shell'), ['tools[0]: untold']],
    [tool('web_search'), ['tools[0]: search × 10']],
    [{ ...tool('web_search_2025_08_26'), max_tool_calls: 3 }, ['tools[0]: search × 3']],
    [tool('web_search_preview'), ['tools[0]: searchPreview × 10']],
    [tool('web_search_preview_2025_03_11'), ['tools[0]: searchPreview × 10']],
    [tool('file_search', { vector_store_ids: ['v'] }), ['tools[0]: fileSearch × 10']],
    [tool('code_interpreter', { container: { type: 'auto' } }), ['tools[0]: untold']],
    [tool('image_generation'), ['tools[0]: untold']],
    [tool('of_tomorrow'), ['tools[0]: untold']],
    [{ tools: [{ name: 'without a type' }] }, ['tools[0]: untold']],
  ])('%j', (fields, bills) => {
    expect(billed('responses', 'openai', fields)).toEqual(bills)
    // Elsewhere they go no further.
    expect(billed('responses', 'deepseek', fields)).toEqual([])
    expect(billed('responses', 'bedrock', fields)).toEqual([])
  })
})

describe('Anthropic’s', () => {
  test.each<[JsonObject, string[]]>([
    [{ tools: [{ name: 'f', input_schema: {} }] }, []],
    [tool('bash_20250124'), []],
    [tool('text_editor_20250728'), []],
    [tool('computer_toolset_20260801'), []],
    [tool('memory_20250818'), []],
    [tool('web_fetch_20260318'), ['tools[0]: tokens × 10']],
    [tool('tool_search_tool_bm25_20251119'), []],
    [tool('mcp_toolset'), []],
    [tool('web_search_20250305'), ['tools[0]: search × 10']],
    [tool('web_search_20260318', { max_uses: 2 }), ['tools[0]: search × 2']],
    [tool('code_execution_20250825'), ['tools[0]: untold']],
    [tool('advisor_20260301'), ['tools[0]: model × 10']],
    [{ mcp_servers: [{ url: 'https://example.com' }] }, ['mcp_servers: tokens × 1']],
    [{ mcp_servers: [] }, []],
  ])('%j', (fields, bills) => {
    for (const provider of ['anthropic', 'vertex-anthropic'])
      expect(billed('messages', provider, fields)).toEqual(bills)
    // They are passed on from other APIs too.
    expect(billed('chat', 'anthropic', fields)).toEqual(bills)
    expect(billed('messages', 'openai', fields)).toEqual([])
  })
})

describe('Google’s', () => {
  test.each<[JsonObject, string[]]>([
    [{ tools: [{ type: 'function', function: { name: 'f' } }] }, []],
    [{ tools: [{ codeExecution: {} }, { computer_use: {} }] }, []],
    [{ tools: [{ urlContext: {} }] }, ['tools[0]: tokens × 10']],
    // Whatever type stands beside the name, it is what is sent.
    [{ tools: [{ type: 'custom', googleMaps: {} }] }, ['tools[0]: untold']],
    [{ tools: [{ type: 'custom', googleSearch: {} }] }, ['tools[0]: search × 10']],
    [{ tools: [{ type: 'web_search', google_maps: {} }] }, ['tools[0]: untold']],
    [{ tools: [{ googleSearch: {} }] }, ['tools[0]: search × 10']],
    [{ tools: [{ google_search_retrieval: {} }] }, ['tools[0]: search × 10']],
    [{ tools: [{ googleSearch: {}, codeExecution: {} }] }, ['tools[0]: search × 10']],
    [{ tools: [{ googleMaps: {} }] }, ['tools[0]: untold']],
    [{ tools: [{ googleSearch: {}, enterpriseWebSearch: {} }] }, ['tools[0]: untold']],
    [{ web_search_options: {} }, ['web_search_options: search × 10']],
    [{ web_search_options: false }, ['web_search_options: search × 10']],
    [{ modelArmorConfig: { promptTemplateName: 't' } }, ['modelArmorConfig: untold']],
    [tool('web_search_preview'), ['tools[0]: search × 10']],
  ])('%j', (fields, bills) => {
    expect(billed('chat', 'gemini', fields, 'gemini-3.5-flash')).toEqual(bills)
    // Before, the prompt is billed, however much is searched for.
    const once = bills.map((bill) => bill.replace('× 10', '× 1'))
    expect(billed('chat', 'vertex', fields, 'gemini-2.5-flash')).toEqual(once)
  })
})

describe('what providers do for a field of chat completions', () => {
  test.each<[string, JsonObject, string[]]>([
    ['openai', { web_search_options: {} }, ['web_search_options: untold']],
    ['openai', { tools: [{ function: { name: 'f' } }] }, []],
    ['groq', tool('browser_search'), ['tools[0]: untold']],
    ['zhipu', tool('web_search', { web_search: { enable: true } }), ['tools[0]: untold']],
    ['moonshot', tool('builtin_function', { function: { name: '$web_search' } }), ['tools[0]: untold']],
    ['dashscope', { enable_search: true }, ['enable_search: untold']],
    ['dashscope', { enable_search: false }, []],
    ['baidu', { web_search: { enable: false } }, []],
    ['azure', { data_sources: [{ type: 'azure_search' }] }, ['data_sources: untold']],
    ['openrouter', { plugins: [] }, []],
    ['openrouter', { plugins: [{ id: 'web' }] }, ['plugins: untold']],
    ['openrouter', { plugins: [{ id: 'web' }, { id: 'fusion' }] }, ['plugins: model × 1']],
    ['openrouter', { preset: 'mine' }, ['preset: model × 1']],
    ['openrouter', tool('openrouter:web_search'), ['tools[0]: untold']],
    ['openrouter', tool('openrouter:advisor'), ['tools[0]: model × 10']],
    ['groq', { compound_custom: { enable: false, tools: {} } }, ['compound_custom: untold']],
    ['xai', { search_parameters: { mode: 'off' } }, []],
    ['bedrock', { guardrailConfig: { guardrailIdentifier: 'g', enable: false } }, ['guardrailConfig: untold']],
    ['bedrock', { toolConfig: { tools: [{ systemTool: { name: 'nova_grounding' } }] } }, ['toolConfig: untold']],
    ['bedrock', { performanceConfig: { latency: 'optimized' } }, ['performanceConfig: untold']],
    ['bedrock', { performanceConfig: { latency: 'standard' } }, []],
    ['cohere', { documents: ['d'] }, []],
  ])('%s, %j', (provider, fields, bills) => {
    expect(billed('chat', provider, fields)).toEqual(bills)
  })
})

test('what has two types, to a parser that isn’t strict, is taken for the dearer', () => {
  const twice = tool('function', { name: 'f', Type: 'code_interpreter' })
  expect(billed('responses', 'openai', twice)).toEqual(['tools[0]: untold'])
  expect(billed('chat', 'groq', twice)).toEqual(['tools[0]: untold'])
})

test('a model of OpenAI that searches with every request is billed by it', () => {
  const options = { web_search_options: {} }
  expect(billed('chat', 'openai', options, 'gpt-5-search-api')).toEqual(['web_search_options: request × 1'])
})

test('whatever of Google’s own is sent has been looked at, however it was written', () => {
  const names = [
    'googleSearch',
    'google_search',
    'googleMaps',
    'urlContext',
    'url_context',
    'enterpriseWebSearch',
    'retrieval',
  ]
  const types = ['function', 'custom', 'web_search', 'web_search_preview', 'web_search_20250305', 'googleMaps']
  const more = { ...Object.fromEntries(names.map((name) => [name, fc.constant({})])), name: fc.constant('f') }
  const someTool = fc.record(
    { type: fc.constantFrom(...types), function: fc.constant({ name: 'f' }), input_schema: fc.constant({}), ...more },
    { requiredKeys: [] },
  )
  const options = fc.constantFrom(undefined, null, false, {}, [], { enable: false })
  fc.assert(
    fc.property(
      fc.constantFrom(chat, messages, responses),
      fc.array(someTool, { minLength: 1, maxLength: 3 }),
      options,
      (surface, tools, web_search_options) => {
        const fields = { model: 'm', messages: [], input: 'x', max_tokens: 9, tools, web_search_options }
        const sent = toolsSent(surface, fields)
        const found = hostedTools(surface.name, fields, findProvider('gemini')!, 'gemini-3.5-flash')
        const own = sent.flatMap((tool) => Object.keys(tool)).filter((name) => name !== 'functionDeclarations')
        expect(own.length === 0 || (found.length > 0 && mayHost(fields))).toBe(true)
        const isUntold = own.some((name) => ['googleMaps', 'enterpriseWebSearch', 'retrieval'].includes(name))
        expect(isUntold && !found.some(({ bill }) => bill === null)).toBe(false)
        const searches = own.some((name) => /search/i.test(name) && name !== 'enterpriseWebSearch')
        expect(searches && !found.some(({ bill }) => bill === 'search' || bill === null)).toBe(false)
      },
    ),
    { numRuns: 2_000 },
  )
})

/** What is sent to Google of a request's tools; nothing where it is refused. */
function toolsSent(surface: Surface, fields: JsonObject): JsonObject[] {
  const drop = () => {}
  const target = { model: 'gemini-3.5-flash', hosting: 'native', outputTokensMax: 64, unsupported: drop } as const
  try {
    const asked = { ...surface.readRequest({ ...fields, messages: [{ role: 'user', content: 'Hi.' }] }) }
    return (gemini.encodeChat(asked, target).body.tools ?? []) as JsonObject[]
  } catch (error) {
    if ((error as { status?: number }).status === 400) return []
    throw error
  }
}

test('a most that is none is refused by its name', () => {
  const refusal = (surface: Surface['name'], provider: string, fields: JsonObject) => {
    try {
      return billed(surface, provider, fields)
    } catch (error) {
      return (error as { param?: string }).param
    }
  }
  expect(refusal('responses', 'openai', { ...tool('web_search'), max_tool_calls: 1e12 })).toBe('max_tool_calls')
  expect(refusal('responses', 'openai', { ...tool('web_search'), max_tool_calls: '3' })).toBe('max_tool_calls')
  expect(refusal('messages', 'anthropic', tool('web_search_20250305', { max_uses: -1 }))).toBe('tools[0].max_uses')
})
