import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { topLevelMembers } from '../json-members.ts'
import { findProvider } from '../providers.ts'
import type { Surface } from '../surface.ts'
import { messages } from '../surfaces/messages/messages.ts'
import { responses } from '../surfaces/responses/responses.ts'
import { wireOf } from '../wires.ts'
import type { JsonObject } from './request.ts'

/** The body that a provider gets, and what was dropped for it; `refuse` stands for an organization that has nothing dropped. */
function put(name: string, surface: Surface, fields: JsonObject, refuse: boolean) {
  const provider = findProvider(name)!
  const body = Buffer.from(JSON.stringify(fields))
  const dropped: string[] = []
  const wire = wireOf(
    {
      ...{ endpoint: 'chat', surface, body, members: topLevelMembers(body), edits: new Map(), fields, headers: {} },
      ...{ chat: () => surface.readRequest(fields), streamed: false, choices: 1, inputTokens: 1, mayBeKept: false },
      ...{ id: 'x'.repeat(24), createdAt: 1 },
    },
    {
      ...{ provider, model: 'm', hosting: provider.hosting, outputTokensMax: 64, cap: null, reasons: false },
      unsupported(param, why) {
        if (refuse) throw new ApiError(400, 'unsupported_parameter', why, { param })
        dropped.push(param)
      },
      leftOut: () => {},
    },
  )
  return { sent: JSON.parse(wire.body.toString()), dropped }
}

const searched = {
  ...{ model: 'm', max_tokens: 9 },
  messages: [
    { role: 'user', content: 'Rivers?' },
    {
      role: 'assistant',
      content: [
        { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'rivers' } },
        { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
        { type: 'text', text: 'The Rhine.' },
      ],
    },
    { role: 'user', content: 'And?' },
  ],
}
const ITEMS = [
  { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'rivers' } },
  { type: 'mcp_list_tools', id: 'm', server_label: 'wiki', tools: [{ name: 'a', input_schema: { type: 'object' } }] },
  { type: 'tool_search_output', call_id: 's', tools: [{ type: 'function', name: 'a' }] },
  { type: 'image_generation_call', id: 'ig_1', status: 'completed', result: 'iVBORw0KGgo=' },
  { type: 'of_tomorrow', what: 'ever' },
]
const asked = {
  model: 'm',
  input: [{ role: 'user', content: 'Rivers?' }, ...ITEMS, { role: 'assistant', content: 'The Rhine.' }],
  tool_choice: { type: 'web_search' },
  reasoning: { effort: 'max' },
}
const OTHERS = [...ITEMS.map((_, i) => `input[${i + 1}]`), 'tool_choice', 'reasoning.effort']

describe.each([
  ...(['anthropic', 'vertex-anthropic', 'bedrock-anthropic'] as const).map(
    (name) => [name, messages, searched] as const,
  ),
  ...(['openai', 'azure'] as const).map((name) => [name, responses, asked] as const),
])('%s', (name, surface, fields) => {
  test('gets what only it can take as it came', () => {
    const { model: _, ...rest } = fields
    expect(put(name, surface, fields, true).sent).toMatchObject(rest)
  })
})

describe.each(['deepseek', 'gemini', 'bedrock', 'cohere'])('%s', (name) => {
  test('is asked for nothing that only Claude can take, and for the rest where it may be dropped', () => {
    expect(() => put(name, messages, searched, true)).toThrow(
      expect.objectContaining({ status: 400, code: 'unsupported_parameter', param: 'messages[1].content[0]' }),
    )
    const { sent, dropped } = put(name, messages, searched, false)
    expect(dropped).toEqual(['messages[1].content[0]', 'messages[1].content[1]'])
    expect(JSON.stringify(sent)).toContain('The Rhine.')
  })

  test('is asked for nothing that only OpenAI can take, and for the rest where it may be dropped', () => {
    expect(() => put(name, responses, asked, true)).toThrow(
      expect.objectContaining({ status: 400, code: 'unsupported_parameter', param: 'input[1]' }),
    )
    const { sent, dropped } = put(name, responses, asked, false)
    expect(dropped).toEqual(OTHERS)
    expect(JSON.stringify(sent)).toContain('The Rhine.')
  })
})

test.each(['anthropic', 'gemini', 'bedrock', 'cohere'])(
  'what nobody says anything in is refused by its name: %s',
  (name) => {
    for (const [input, param] of [
      [[{ type: 'reasoning', summary: [] }], 'input'],
      [[{ role: 'assistant', content: [] }], 'input'],
      [[{ type: 'of_tomorrow' }], 'input[0]'],
    ]) {
      const refusal = expect.objectContaining({ status: 400, param })
      expect(() => put(name, responses, { model: 'm', input }, false)).toThrow(refusal)
    }
  },
)
