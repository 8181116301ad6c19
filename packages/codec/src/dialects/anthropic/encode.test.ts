import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { ENCODED } from '../../../fixtures/anthropic/encoded-bodies.ts'
import { fixture, golden } from '../../../fixtures/anthropic/golden.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { anthropic } from './dialect.ts'

function target(more: Partial<Target> = {}): Target {
  return {
    model: 'claude-sonnet-4-5',
    hosting: 'native',
    outputTokensMax: 64_000,
    unsupported(param, why) {
      throw new ApiError(400, 'invalid_request', why, { param })
    },
    ...more,
  }
}

const encode = (body: JsonObject, more: Partial<Target> = {}) =>
  anthropic.encodeChat(chat.readRequest({ model: 'm', messages: USER, ...body }), target(more))

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

const CASES: Record<string, [JsonObject, Partial<Target>?]> = {
  text: [{ max_tokens: 100, stream: true, user: 'u-1', service_tier: 'default' }],
  system: [
    {
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'Long.', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
        { role: 'developer', content: 'Short.' },
        ...USER,
      ],
    },
  ],
  'developer-amid': [
    {
      messages: [...USER, { role: 'assistant', content: 'Yes?' }, { role: 'developer', content: 'Be brief.' }, ...USER],
    },
  ],
  'developer-amid-kept': [
    { messages: [...USER, { role: 'developer', content: 'Be brief.' }] },
    { model: 'claude-opus-4-8' },
  ],
  turns: [
    {
      messages: [
        { role: 'user', content: 'One.', name: 'ann' },
        { role: 'user', content: [{ type: 'text', text: 'Two.' }] },
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
            { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'high' } },
            { type: 'image_url', image_url: { url: PNG }, cache_control: { type: 'ephemeral' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: PDF } },
            { type: 'file', file: { file_id: 'file_011' } },
            { type: 'file', file: { filename: 'a.txt', file_data: 'data:text/plain;base64,R3LDvMOfZQ==' } },
            { type: 'text', text: 'Compare.' },
          ],
        },
      ],
    },
  ],
  'tool-results': [
    {
      tools: [{ ...weather, cache_control: { type: 'ephemeral' } }],
      messages: [
        ...USER,
        { role: 'assistant', content: null, tool_calls: [call('call_1', '{"city":"Ulm"}'), call('call:2', '')] },
        { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
        {
          role: 'tool',
          tool_call_id: 'call:2',
          content: [
            { type: 'text', text: 'A map:' },
            { type: 'image_url', image_url: { url: PNG } },
          ],
          is_error: true,
        },
        { role: 'user', content: 'And?' },
      ],
    },
  ],
  'tool-single': [{ tools: [weather], tool_choice: 'auto', parallel_tool_calls: false }],
  'tool-required': [{ tools: [weather], tool_choice: 'required' }],
  'tool-none': [{ tools: [weather], tool_choice: 'none', parallel_tool_calls: false }],
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
        json_schema: {
          name: 'city',
          schema: {
            type: 'object',
            properties: { names: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } } },
            required: ['names'],
          },
        },
      },
    },
  ],
  'effort-as-budget': [{ reasoning_effort: 'high', max_completion_tokens: 4000 }],
  'effort-adaptive': [{ reasoning_effort: 'xhigh' }, { model: 'claude-opus-4-6' }],
  budget: [{ thinking: { type: 'enabled', budget_tokens: 8000 } }, { outputTokensMax: null }],
  'effort-none': [{ reasoning_effort: 'none' }, { model: 'claude-sonnet-5-5' }],
  'signed-thoughts': [
    {
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
        { role: 'tool', tool_call_id: 'call_1', content: '' },
      ],
    },
  ],
  sampling: [{ temperature: 0.5, top_p: 0.9, top_k: 40, stop: ['END', 'STOP'], frequency_penalty: 0 }],
  vertex: [{ stream: true }, { hosting: 'vertex', model: 'claude-sonnet-4-5@20250929' }],
  bedrock: [{ stream: true }, { hosting: 'bedrock', model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0' }],
}

describe('a chat request becomes a Messages request', () => {
  test.each(Object.entries(CASES))('%s', (name, [body, more]) => {
    const encoded = encode(body, more)
    expect(encoded).toEqual(golden(`${name}.request.json`, encoded))
  })

  test('bodies are of the type that Anthropic’s own SDK has for them', () => {
    // The file is what the compiler checks; here it is held against what we write.
    for (const [name, body] of Object.entries(ENCODED)) {
      expect((JSON.parse(fixture(`${name}.request.json`)) as { body: unknown }).body, name).toEqual(body)
    }
  })
})

const schema = { type: 'json_schema', json_schema: { name: 'a', schema: {} } }

describe('what Anthropic can’t do is refused by its name', () => {
  test.each<[string, JsonObject, Partial<Target>?]>([
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['logit_bias', { logit_bias: { 1: 5 } }],
    ['seed', { seed: 1 }],
    ['frequency_penalty', { frequency_penalty: 0.5 }],
    ['presence_penalty', { presence_penalty: 0.5 }],
    ['min_p', { min_p: 0.1 }],
    ['temperature', { temperature: 1.5 }],
    ['temperature', { temperature: 0.5 }, { model: 'claude-opus-4-7' }],
    ['top_k', { top_k: 5 }, { model: 'anthropic.claude-sonnet-5' }],
    ['tool_choice', { tools: [weather], tool_choice: 'required' }, { model: 'claude-opus-5-5' }],
    ['reasoning_effort', { tools: [weather], tool_choice: 'required', reasoning_effort: 'low' }],
    ['temperature', { reasoning_effort: 'low', temperature: 0.5 }],
    ['top_p', { reasoning_effort: 'low', top_p: 0.5 }],
    ['top_k', { reasoning_effort: 'low', top_k: 5 }],
    ['tool_choice', { tools: [weather], tool_choice: 'required' }, { model: 'claude-fable-5-1' }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['response_format', { response_format: schema }, { model: 'claude-3-5-haiku-20241022' }],
    ['reasoning_effort', { reasoning_effort: 'low' }, { model: 'claude-3-5-haiku-20241022' }],
    ['reasoning_effort', { reasoning_effort: 'none' }, { model: 'claude-opus-5-5' }],
    ['reasoning_effort', { reasoning_effort: 'low', max_tokens: 500 }],
    ['thinking.budget_tokens', { thinking: { type: 'enabled', budget_tokens: 500 } }],
    ['thinking.budget_tokens', { thinking: { type: 'enabled', budget_tokens: 2000 }, max_tokens: 2000 }],
    ['thinking.budget_tokens', { reasoning: { max_tokens: 2000 } }, { model: 'claude-opus-4-7' }],
    ['service_tier', { service_tier: 'flex' }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['tools[0]', { tools: [{ type: 'custom', custom: { name: 'a' } }] }],
    [
      'messages[0].content[0]',
      {
        messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } }] }],
      },
    ],
    ['messages[0]', { messages: [{ role: 'assistant', content: 'Hi.' }, ...USER] }],
  ])('%s', (param, body, more) => {
    expect(() => encode(body, more)).toThrow(expect.objectContaining({ status: 400, param }))
  })

  test('and left out where that is wanted', () => {
    const noted: string[] = []
    const unsupported = (param: string) => void noted.push(param)
    const { body } = encode({ seed: 1, n: 2, temperature: 2, store: true }, { unsupported })
    expect(body).toEqual({ model: 'claude-sonnet-4-5', max_tokens: 64_000, messages: expect.anything() })
    expect(noted).toEqual(['n', 'seed', 'store', 'temperature'])
  })
})

test('a model that can’t be made to call a tool, or not while it thinks, is left free where that is wanted', () => {
  const noted: string[] = []
  const unsupported = (param: string) => void noted.push(param)
  const asked = { tools: [weather], tool_choice: 'required', reasoning_effort: 'low', temperature: 0.5, top_p: 0.97 }
  expect(encode(asked, { unsupported }).body).toMatchObject({ tool_choice: { type: 'any' }, temperature: 0.5 })
  const free = encode(asked, { model: 'claude-opus-5-5', unsupported }).body
  expect(free).toMatchObject({ tool_choice: { type: 'auto' }, thinking: { type: 'adaptive' } })
  const thought = encode({ ...asked, tool_choice: 'auto' }, { unsupported }).body
  expect(thought).toMatchObject({ thinking: { type: 'enabled' }, top_p: 0.97 })
  expect(thought.temperature).toBeUndefined()
  expect(noted).toEqual(['reasoning_effort', 'tool_choice', 'temperature', 'top_p', 'temperature'])
})

test('fields that nobody knows ride along, and never in place of one that was translated', () => {
  const { body } = encode({ inference_geo: 'us', system: 'mine', max_tokens: 5 })
  expect(body).toMatchObject({ inference_geo: 'us', system: 'mine', max_tokens: 5 })
})

test('results stand first in their turn, whatever the caller put between them and their calls', () => {
  const { body } = encode({
    messages: [
      ...USER,
      { role: 'assistant', content: null, tool_calls: [call('call_1', '{}')] },
      { role: 'developer', content: 'Hurry.' },
      { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
    ],
  })
  const last = (body.messages as { content: JsonObject[] }[]).at(-1)!
  expect(last.content.map(({ type }) => type)).toEqual(['tool_result', 'text'])
})

test('white space alone is no text, and an answer that is begun ends with its last word', () => {
  const called = { role: 'assistant', content: '\n\n', tool_calls: [call('a', '{}')] }
  const { body } = encode({
    messages: [
      { role: 'system', content: ' ' },
      { role: 'user', content: [{ type: 'text', text: ' ' }, ...[{ type: 'text', text: ' Hi. ' }]] },
      { ...called, refusal: ' ' },
      { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: '\n' }] },
      { role: 'assistant', content: 'It is ' },
    ],
  })
  expect(body.system).toBeUndefined()
  expect(body.messages).toEqual([
    { role: 'user', content: [{ type: 'text', text: ' Hi. ' }] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'weather', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a' }] },
    { role: 'assistant', content: [{ type: 'text', text: 'It is' }] },
  ])
})

test('system messages alone are answered', () => {
  const { body } = encode({
    messages: [
      { role: 'system', content: 'A.' },
      { role: 'system', content: 'B.' },
    ],
  })
  expect(body.system).toEqual([{ type: 'text', text: 'A.' }])
  expect(body.messages).toEqual([{ role: 'user', content: [{ type: 'text', text: '<system>\nB.\n</system>' }] }])
})
