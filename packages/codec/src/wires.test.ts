import { expect, test } from 'vitest'
import type { JsonObject } from './chat/request.ts'
import { topLevelMembers } from './json-members.ts'
import { findProvider } from './providers.ts'
import type { Surface } from './surface.ts'
import { chat } from './surfaces/chat/chat.ts'
import { messages } from './surfaces/messages/messages.ts'
import { wireOf } from './wires.ts'

interface Put {
  readonly model?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly leftOut?: (param: string) => void
}

/** The body that a provider gets. */
function put(name: string, surface: Surface, fields: JsonObject, more: Put = {}): JsonObject {
  const { model = 'm', headers = {}, leftOut } = more
  const provider = findProvider(name)!
  const body = Buffer.from(JSON.stringify(fields))
  const unsupported = (param: string) => {
    throw new TypeError(`${param} was asked for`)
  }
  const { body: sent } = wireOf(
    {
      ...{ endpoint: 'chat', surface, body, members: topLevelMembers(body), edits: new Map(), fields, headers },
      ...{ chat: () => surface.readRequest(fields), streamed: false, choices: 1, inputTokens: 1, mayBeKept: false },
      ...{ id: 'x'.repeat(24), createdAt: 1 },
    },
    {
      ...{ provider, model, hosting: provider.hosting, outputTokensMax: 64, cap: null, reasons: false },
      ...{
        unsupported,
        leftOut: leftOut ?? unsupported,
        outputCap: provider.outputCap,
        systemRole: provider.systemRole,
      },
    },
  )
  return JSON.parse(sent.toString())
}

const thought = { type: 'thinking', thinking: 'Hm.', signature: '' }
const asked = {
  ...{ model: 'm', max_tokens: 9 },
  messages: [
    { role: 'user', content: 'Hi.' },
    { role: 'assistant', content: [thought, { type: 'text', text: 'Yes?' }] },
    { role: 'user', content: 'So?' },
  ],
}

test('what was thought goes back to who takes it, and stays behind where it would be refused', () => {
  for (const name of ['deepseek', 'moonshot', 'openrouter', 'vllm']) {
    const sent = put(name, messages, asked).messages as JsonObject[]
    expect(sent[1], name).toEqual({ role: 'assistant', content: 'Yes?', reasoning_content: 'Hm.' })
  }
  for (const name of ['openai', 'azure', 'mistral', 'groq', 'cerebras']) {
    const sent = put(name, messages, asked).messages as JsonObject[]
    expect(sent[1], name).toEqual({ role: 'assistant', content: 'Yes?' })
  }
})

test.each([
  [1_024, 'low'],
  [4_096, 'medium'],
  [10_000, 'medium'],
  [31_999, 'high'],
])('a budget of %i tokens is a %s effort where budgets aren’t known', (budget_tokens, effort) => {
  const thinking = { type: 'enabled', budget_tokens }
  expect(put('openai', messages, { ...asked, max_tokens: 64_000, thinking })).toMatchObject({
    reasoning_effort: effort,
  })
  const { additionalModelRequestFields } = put('bedrock', messages, { ...asked, max_tokens: 64_000, thinking })
  expect(additionalModelRequestFields).toEqual({ reasoning_effort: effort })
})

test('a turn of thoughts alone is one in which nothing was said', () => {
  const said = [asked.messages[0]!, { role: 'assistant', content: [thought] }, asked.messages[2]!]
  const sent = put('openai', messages, { ...asked, messages: said }).messages as JsonObject[]
  expect(sent[1]).toEqual({ role: 'assistant', content: '' })
})

test.each([
  [
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    [
      'interleaved-thinking-2025-05-14',
      'context-management-2025-06-27',
      'tool-search-tool-2025-10-19',
      'new-2027-01-01',
    ],
  ],
  [
    'global.anthropic.claude-opus-4-7',
    ['context-management-2025-06-27', 'tool-search-tool-2025-10-19', 'new-2027-01-01'],
  ],
])('flags that only Anthropic’s platform knows go no further than there, and are named: %s', (model, flags) => {
  const agents =
    'claude-code-20250219, interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05'
  const headers = { 'anthropic-beta': `${agents},advanced-tool-use-2025-11-20,new-2027-01-01` }
  const named: string[] = []
  const given = { model, headers, leftOut: (param: string) => void named.push(param) }
  expect(put('bedrock-anthropic', messages, asked, given).anthropic_beta).toEqual(flags)
  expect(named).toEqual(['anthropic-beta'])
  // In the body as by the header, wherever each of them wants them.
  const own = { ...asked, anthropic_beta: ['claude-code-20250219', 'own-2027-01-01', flags[0]] }
  expect(put('bedrock-anthropic', messages, own, { ...given, headers: {} }).anthropic_beta).toEqual([
    'own-2027-01-01',
    flags[0],
  ])
  expect(put('bedrock-anthropic', messages, own, given).anthropic_beta).toEqual([...flags, 'own-2027-01-01'])
  expect(put('vertex-anthropic', messages, own, given)).not.toHaveProperty('anthropic_beta')
  const alone = { ...asked, anthropic_beta: ['claude-code-20250219'] }
  expect(put('bedrock-anthropic', messages, alone, { ...given, headers: {} })).not.toHaveProperty('anthropic_beta')
})

test('who a call is for goes as far as it is taken, and as long', () => {
  const user_id = `user_${'0123456789abcdef'.repeat(4)}_account__session_a`
  const other = { ...asked, metadata: { user_id: user_id.replace(/a$/, 'b') } }
  const sent = put('openai', messages, { ...asked, metadata: { user_id } })
  expect(sent.user).toHaveLength(64)
  expect(sent.user).not.toBe(put('openai', messages, other).user)
  for (const [surface, fields] of [
    [messages, { ...asked, metadata: { user_id } }],
    [chat, { model: 'm', messages: [{ role: 'user', content: 'Hi.' }], user: 'u-1' }],
  ] as const) {
    const named: string[] = []
    expect(put('mistral', surface, fields, { leftOut: (param) => void named.push(param) }).user).toBeUndefined()
    expect(named).toEqual(['user'])
  }
})

test('a cap has the name that the provider knows', () => {
  const capped = (name: string, fields: JsonObject) => {
    const { max_tokens, max_completion_tokens } = put(name, chat, {
      ...{ model: 'm', messages: [{ role: 'user', content: 'Hi.' }], ...fields },
    })
    return {
      ...(max_tokens != null && { max_tokens }),
      ...(max_completion_tokens != null && { max_completion_tokens }),
    }
  }
  for (const name of ['openai', 'azure', 'cerebras']) {
    expect(capped(name, { max_tokens: 5 }), name).toEqual({ max_completion_tokens: 5 })
  }
  expect(capped('mistral', { max_completion_tokens: 5 })).toEqual({ max_tokens: 5 })
  expect(capped('openrouter', { max_completion_tokens: 5 })).toEqual({ max_completion_tokens: 5 })
  expect(capped('openai', { max_tokens: 5, max_completion_tokens: 6 })).toEqual({
    max_tokens: 5,
    max_completion_tokens: 6,
  })
  expect(capped('openai', { max_tokens: null })).toEqual({})
})

test('one call at a time is no wish where there is nothing to call', () => {
  const fields = { model: 'm', messages: [{ role: 'user', content: 'Hi.' }], parallel_tool_calls: false }
  for (const name of ['cohere', 'bedrock', 'gemini', 'anthropic']) {
    expect(() => put(name, chat, fields), name).not.toThrow()
  }
})
