import { BedrockRuntimeClient, ConverseCommand, type ConverseCommandInput } from '@aws-sdk/client-bedrock-runtime'
import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { ENCODED } from '../../../fixtures/converse/encoded-bodies.ts'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { converse } from './dialect.ts'

const { fixture, golden } = goldensOf('converse')

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'
const NOVA = 'us.amazon.nova-2-lite-v1:0'
const LLAMA = 'meta.llama3-3-70b-instruct-v1:0'

function target(more: Partial<Target> = {}): Target {
  return {
    model: CLAUDE,
    hosting: 'bedrock',
    outputTokensMax: 64_000,
    unsupported(param, why) {
      throw new ApiError(400, 'unsupported_parameter', why, { param })
    },
    ...more,
  }
}

const encode = (body: JsonObject, more: Partial<Target> = {}) =>
  converse.encodeChat(chat.readRequest({ model: 'm', messages: USER, ...body }), target(more))

const USER = [{ role: 'user', content: 'Hi.' }]
const PNG = 'data:image/png;base64,iVBORw0KGgo='
const PDF = 'data:application/pdf;base64,JVBERi0='
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'weather', arguments: args } })
const CALLED = [
  ...USER,
  { role: 'assistant', content: null, tool_calls: [call('call_1', '{"city":"Ulm"}')] },
  { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
]
const file = (filename: string, file_data: string) => ({ type: 'file', file: { filename, file_data } })

const CASES: Record<string, [JsonObject, Partial<Target>?]> = {
  text: [{ max_tokens: 100, user: 'u-1', service_tier: 'flex' }],
  streamed: [{ stream: true }, { model: 'arn:aws:bedrock:eu-west-1:1:inference-profile/eu.meta.llama3-2-1b' }],
  system: [
    {
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'Long.', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
        { role: 'developer', content: 'Short.' },
        ...USER,
      ],
    },
  ],
  'system-alone': [{ messages: [{ role: 'system', content: 'Be brief.' }] }],
  'developer-amid': [
    {
      messages: [...USER, { role: 'assistant', content: 'Yes?' }, { role: 'developer', content: 'Be brief.' }, ...USER],
    },
  ],
  turns: [
    {
      messages: [
        { role: 'user', content: 'One.', name: 'ann' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Two.' },
            { type: 'text', text: '  \n' },
          ],
        },
        { role: 'assistant', content: 'Three.' },
        { role: 'assistant', content: '' },
        { role: 'user', content: 'Four.' },
      ],
    },
  ],
  media: [
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: PNG }, cache_control: { type: 'ephemeral' } },
            { type: 'image_url', image_url: { url: 's3://bucket/a.JPG' } },
            file('Q1 résumé_v2 (final).pdf', PDF),
            file('q1 r sum v2 (final).pdf', PDF),
            file('notes.md', 'data:application/octet-stream;base64,IyBIaQ=='),
            { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
            { type: 'text', text: 'Compare.' },
          ],
        },
      ],
    },
    { model: NOVA },
  ],
  'document-alone': [{ messages: [{ role: 'user', content: [file('report.csv', 'data:text/csv;base64,YSxi')] }] }],
  'tool-results': [
    {
      tools: [{ ...weather, cache_control: { type: 'ephemeral' } }],
      messages: [
        ...USER,
        { role: 'assistant', content: null, tool_calls: [call('call_1', '{"city":"Ulm"}'), call('call:2', '')] },
        { role: 'developer', content: 'Mind the results.' },
        { role: 'tool', tool_call_id: 'call_1', content: '' },
        {
          role: 'tool',
          tool_call_id: 'call:2',
          content: [
            { type: 'text', text: 'A map:' },
            { type: 'image_url', image_url: { url: PNG }, cache_control: { type: 'ephemeral' } },
          ],
          is_error: true,
        },
        { role: 'user', content: 'And?' },
      ],
    },
  ],
  'tools-forgotten': [{ messages: CALLED }],
  'tool-auto': [{ tools: [weather], tool_choice: 'auto', parallel_tool_calls: true }],
  'tool-required': [{ tools: [weather], tool_choice: 'required' }],
  'tool-none': [{ tools: [weather], tool_choice: 'none' }],
  'tool-named': [{ tools: [weather], tool_choice: { type: 'function', function: { name: 'weather' } } }],
  'tool-allowed': [
    {
      tools: [weather, { type: 'function', function: { name: 'other' } }],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] },
      },
    },
  ],
  'tool-strict': [{ tools: [{ type: 'function', function: { ...weather.function, strict: true } }] }],
  'json-schema': [
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'city', schema: { type: 'object', properties: { a: { type: 'string' } } } },
      },
    },
  ],
  'effort-as-budget': [{ reasoning_effort: 'high', max_completion_tokens: 4000 }],
  'effort-adaptive': [{ reasoning_effort: 'xhigh' }, { model: 'global.anthropic.claude-opus-4-6-v1' }],
  budget: [{ thinking: { type: 'enabled', budget_tokens: 8000 } }, { outputTokensMax: null }],
  'effort-nova': [{ reasoning_effort: 'minimal', top_k: 20 }, { model: NOVA }],
  'effort-others': [{ reasoning_effort: 'low', top_k: 20 }, { model: 'openai.gpt-oss-120b-1:0' }],
  'signed-thoughts': [
    {
      tools: [weather],
      messages: [
        ...USER,
        {
          role: 'assistant',
          content: 'So.',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Hm.', signature: 'c2ln', index: 0 },
            { type: 'reasoning.encrypted', data: 'ZW5j', index: 1 },
            { type: 'reasoning.text', text: 'Unsigned.', index: 2 },
          ],
          tool_calls: [call('call_1', '{}')],
          cache_control: { type: 'ephemeral' },
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
      ],
    },
  ],
  sampling: [{ temperature: 0.5, top_p: 0.9, top_k: 40, stop: ['END', 'STOP'], frequency_penalty: 0, seed: null }],
  'rides-along': [
    {
      guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1', trace: 'enabled' },
      performanceConfig: { latency: 'optimized' },
      serviceTier: { type: 'priority' },
      requestMetadata: { team: 'a' },
      user: 'ignored beside requestMetadata',
      additionalModelRequestFields: { anthropic_beta: ['b'] },
      anything_else: 1,
    },
  ],
}

describe('a chat request becomes a Converse request', () => {
  test.each(Object.entries(CASES))('%s', (name, [body, more]) => {
    const encoded = encode(body, more)
    expect(encoded).toEqual(golden(`${name}.request.json`, encoded))
  })

  test('bodies are of the type that AWS’s own client has for them', () => {
    // The file is what the compiler checks; here it is held against what we write.
    for (const [name, body] of Object.entries(ENCODED)) {
      expect((JSON.parse(fixture(`${name}.request.json`)) as { body: unknown }).body, name).toEqual(body)
    }
  })

  test.each(Object.entries(CASES))('AWS’s own client sends the very same: %s', async (_, [body, more]) => {
    const { path, body: ours } = encode({ ...body, stream: false }, more)
    const theirs = await sentByClient(more?.model ?? CLAUDE, ours)
    expect(theirs).toEqual({ path, body: ours })
  })
})

/** What the client makes of a request that says the same: it leaves out any field that it doesn't know. */
async function sentByClient(modelId: string, body: JsonObject): Promise<{ path: string; body: unknown }> {
  let sent: { path: string; body: unknown } | undefined
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
    requestHandler: {
      async handle(request: { path: string; body: unknown }) {
        sent = { path: request.path, body: JSON.parse(new TextDecoder().decode(request.body as Uint8Array)) }
        throw new Error('enough was seen')
      },
    } as never,
  })
  const input = { modelId, ...(withBytes(body) as JsonObject) } as unknown as ConverseCommandInput
  await client.send(new ConverseCommand(input)).catch(() => undefined)
  if (!sent) throw new Error('the client has refused the request')
  return sent
}

function withBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBytes)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const isBlob = (name === 'bytes' || name === 'redactedContent') && typeof inner === 'string'
      return [name, isBlob ? new Uint8Array(Buffer.from(inner, 'base64')) : withBytes(inner)]
    }),
  )
}

const schema = { type: 'json_schema', json_schema: { name: 'a', schema: {} } }
const content = (part: JsonObject) => ({ messages: [{ role: 'user', content: [part] }] })

describe('what Bedrock can’t do is refused by its name', () => {
  test.each<[string, JsonObject, Partial<Target>?]>([
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['logit_bias', { logit_bias: { 1: 5 } }],
    ['seed', { seed: 1 }],
    ['frequency_penalty', { frequency_penalty: 0.5 }],
    ['presence_penalty', { presence_penalty: 0.5 }],
    ['min_p', { min_p: 0.1 }],
    ['temperature', { temperature: 1.5 }],
    ['temperature', { temperature: 0.5 }, { model: 'anthropic.claude-opus-4-7-v1' }],
    ['top_k', { top_k: 5 }, { model: 'anthropic.claude-sonnet-5' }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['response_format', { response_format: schema }, { model: 'anthropic.claude-3-haiku-20240307-v1:0' }],
    ['reasoning_effort', { reasoning_effort: 'low' }, { model: 'anthropic.claude-3-haiku-20240307-v1:0' }],
    ['thinking.budget_tokens', { thinking: { type: 'enabled', budget_tokens: 2000 }, max_tokens: 2000 }],
    ['tool_choice', { tools: [weather], tool_choice: 'required' }, { model: 'global.anthropic.claude-opus-5-5' }],
    ['reasoning_effort', { tools: [weather], tool_choice: 'required', reasoning_effort: 'low' }],
    ['temperature', { reasoning_effort: 'low', temperature: 0.5 }],
    ['top_p', { reasoning_effort: 'low', top_p: 0.5 }],
    ['top_k', { reasoning_effort: 'low', top_k: 5 }],
    ['service_tier', { service_tier: 'scale' }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['tools[0]', { tools: [{ type: 'custom', custom: { name: 'a' } }] }],
    ['tool_choice', { messages: CALLED, tools: [weather], tool_choice: 'none' }],
    ['parallel_tool_calls', { tools: [weather], parallel_tool_calls: false }],
    ['messages[0]', { messages: [{ role: 'assistant', content: 'Hi.' }] }],
    ['messages[0].content[0]', content({ type: 'image_url', image_url: { url: 'https://example.com/a.png' } })],
    ['messages[0].content[0]', content({ type: 'image_url', image_url: { url: 'data:image/bmp;base64,AA==' } })],
    ['messages[0].content[0]', content(file('a.bin', 'data:application/octet-stream;base64,AA=='))],
    ['messages[0].content[0]', content({ type: 'file', file: { file_id: 'file_1' } })],
  ])('%s: %o', (param, body, more) => {
    let refused: unknown
    try {
      encode(body, more)
    } catch (error) {
      refused = error
    }
    expect(refused).toBeInstanceOf(ApiError)
    expect(refused).toMatchObject({ status: 400, param })
  })

  test('or left out, where the organization would have it so', () => {
    const dropped: string[] = []
    const { body } = encode(
      { n: 2, seed: 1, temperature: 2, tools: [weather], parallel_tool_calls: false },
      { model: LLAMA, unsupported: (param) => void dropped.push(param) },
    )
    expect(dropped).toEqual(['n', 'seed', 'temperature', 'parallel_tool_calls'])
    expect(body).not.toHaveProperty('inferenceConfig')
    expect(body).toHaveProperty('toolConfig.tools')
  })
})

test('what asks for nothing is no wish', () => {
  const plain = encode({}).body
  const idle = {
    ...{ n: 1, logit_bias: {}, frequency_penalty: 0, presence_penalty: 0, min_p: 0, repetition_penalty: 1 },
    ...{ prompt_cache_key: 'k', metadata: { a: '1' }, store: false, service_tier: 'auto', user: 'Zoë' },
  }
  expect(encode(idle).body).toEqual(plain)
})

test('names of documents differ, and ids of calls stay apart however long they are', () => {
  const long = 'x'.repeat(80)
  const { body } = encode({
    tools: [weather],
    messages: [
      ...USER,
      { role: 'assistant', content: null, tool_calls: [call(`${long}1`, '{}'), call(`${long}2`, '{}')] },
      { role: 'tool', tool_call_id: `${long}1`, content: 'a' },
      { role: 'tool', tool_call_id: `${long}2`, content: 'b' },
    ],
  })
  const [, asked, answered] = body.messages as { content: Record<string, { toolUseId: string }>[] }[]
  const ids = asked!.content.map(({ toolUse }) => toolUse!.toolUseId)
  expect(new Set(ids).size).toBe(2)
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
  expect(answered!.content.map(({ toolResult }) => toolResult!.toolUseId)).toEqual(ids)
})

test('an answer that is begun for Claude ends with its last word', () => {
  const begun = {
    role: 'assistant',
    content: [{ type: 'text', text: 'It is \n', cache_control: { type: 'ephemeral' } }],
  }
  const asked = (model: string) => encode({ messages: [...USER, begun] }, { model }).body.messages
  const turns = (text: string) => [
    { role: 'user', content: [{ text: 'Hi.' }] },
    { role: 'assistant', content: [{ text }, { cachePoint: { type: 'default' } }] },
  ]
  expect(asked('eu.anthropic.claude-haiku-4-5-20251001-v1:0')).toEqual(turns('It is'))
  expect(asked('amazon.nova-pro-v1:0')).toEqual(turns('It is \n'))
})
