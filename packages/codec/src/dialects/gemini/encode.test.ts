import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { gemini } from './dialect.ts'

const { golden } = goldensOf('gemini')

const TARGET: Target = {
  model: 'gemini-2.5-pro',
  hosting: 'native',
  outputTokensMax: null,
  unsupported(param, why) {
    throw new ApiError(400, 'unsupported_parameter', why, { param })
  },
}

const encode = (body: JsonObject, more: Partial<Target> = {}) =>
  gemini.encodeChat(chat.readRequest({ model: 'm', messages: USER, ...body }), { ...TARGET, ...more })

const USER = [{ role: 'user', content: 'Hi.' }]
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const now = { type: 'function', function: { name: 'now' } }
const call = (id: string, name: string, args: string) => ({ id, type: 'function', function: { name, arguments: args } })
const CALLED = [
  ...USER,
  {
    role: 'assistant',
    content: null,
    reasoning_content: 'Hm.',
    tool_calls: [call('call_1', 'weather', '{"city":"Ulm"}'), call('call_2', 'now', '')],
  },
]
const result = (id: string, content: string) => ({ role: 'tool', tool_call_id: id, content })
const SCHEMA = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }
const format = { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA } }

const signed = (id: string, signature: string | null) => ({
  ...call(id, 'weather', '{"city":"Ulm"}'),
  ...(signature !== null && { extra_content: { google: { thought_signature: signature } } }),
})

const CASES: Record<string, [JsonObject, Partial<Target>?]> = {
  text: [{ max_tokens: 100 }],
  streamed: [{ stream: true }, { model: 'models/odd:1' }],
  vertex: [
    { tools: [weather, now], messages: [...CALLED, result('call_1', 'Rain.'), result('call_2', 'Noon.')] },
    { hosting: 'vertex' },
  ],
  system: [
    {
      messages: [
        { role: 'system', content: 'Long.' },
        { role: 'developer', content: 'Short.' },
        ...USER,
        { role: 'assistant', content: 'Yes?' },
        { role: 'system', content: 'Be brief.' },
        ...USER,
      ],
    },
  ],
  'system-alone': [{ messages: [{ role: 'system', content: 'Say hello.' }] }],
  turns: [{ messages: [...USER, ...USER, { role: 'assistant', content: 'So.' }, ...USER] }],
  sampling: [
    {
      ...{ temperature: 0.5, top_p: 0.9, top_k: 40, seed: 7, frequency_penalty: 0.1, presence_penalty: 0.2 },
      ...{ stop: ['END'], max_completion_tokens: 9, n: 2, logprobs: true, top_logprobs: 3 },
    },
  ],
  media: [
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.webp?x=1' } },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          ],
        },
      ],
    },
  ],
  'json-schema': [{ response_format: format }],
  'tool-required': [{ tools: [weather, now], tool_choice: 'required' }],
  'tool-named': [{ tools: [weather, now], tool_choice: { type: 'function', function: { name: 'now' } } }],
  'tool-none': [{ tools: [weather], tool_choice: 'none' }],
  'tool-results': [
    { tools: [weather, now], messages: [...CALLED, result('call_2', 'Noon.'), result('call_1', '{"rain":true}')] },
  ],
  'signed-calls': [
    {
      messages: [
        ...USER,
        { role: 'assistant', tool_calls: [signed('a', 'c2ln'), signed('b', null)] },
        result('a', '1'),
        result('b', '2'),
      ],
    },
    { model: 'gemini-3-pro' },
  ],
  'unsigned-calls': [
    {
      messages: [
        ...USER,
        { role: 'assistant', tool_calls: [signed('a', null), signed('b', null)] },
        result('a', '1'),
        result('b', '2'),
      ],
    },
    { model: 'gemini-3-pro' },
  ],
  'effort-as-budget': [{ reasoning_effort: 'low' }],
  'effort-as-level': [{ reasoning_effort: 'low' }, { model: 'gemini-3-pro' }],
  'effort-none': [{ reasoning_effort: 'none' }],
  'rides-along': [{ safetySettings: [], labels: { team: 'a' }, mediaResolution: 'MEDIA_RESOLUTION_LOW' }],
}

test.each(Object.entries(CASES))('is written as the documentation says: %s', (name, [body, more]) => {
  const { path, body: written } = encode(body, more)
  const made = { path, body: written }
  expect(made).toEqual(golden(`${name}.request.json`, made))
})

describe('what can’t be said is refused by the name that the caller gave it', () => {
  test.each<[string, JsonObject]>([
    ['logit_bias', { logit_bias: { 1: 1 } }],
    ['parallel_tool_calls', { tools: [weather], parallel_tool_calls: false }],
    ['tools[0]', { tools: [{ type: 'custom', custom: { name: 'x' } }] }],
    [
      'messages[1].tool_calls[0].function.arguments',
      { messages: [...USER, { role: 'assistant', tool_calls: [call('a', 'b', '[')] }] },
    ],
  ])('%s', (param, body) => {
    expect(() => encode(body)).toThrow(expect.objectContaining({ param }))
  })
})
