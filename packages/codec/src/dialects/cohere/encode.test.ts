import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import { goldensOf } from '../../../fixtures/goldens.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { chat } from '../../surfaces/chat/chat.ts'
import { cohere } from './dialect.ts'

const { golden } = goldensOf('cohere')

const TARGET: Target = {
  model: 'command-a-03-2025',
  hosting: 'native',
  outputTokensMax: null,
  unsupported(param, why) {
    throw new ApiError(400, 'unsupported_parameter', why, { param })
  },
}

const encode = (body: JsonObject, more: Partial<Target> = {}) =>
  cohere.encodeChat(chat.readRequest({ model: 'm', messages: USER, ...body }), { ...TARGET, ...more })

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

const CASES: Record<string, [JsonObject, Partial<Target>?]> = {
  text: [{ max_tokens: 100, user: 'u-1' }],
  streamed: [{ stream: true, stream_options: { include_usage: true } }],
  system: [{ messages: [{ role: 'system', content: 'Long.' }, { role: 'developer', content: 'Short.' }, ...USER] }],
  sampling: [
    {
      ...{ temperature: 0.5, top_p: 1, top_k: 40, seed: 7, frequency_penalty: 0.1, presence_penalty: 0.2 },
      ...{ stop: ['END'], max_completion_tokens: 9, safety_mode: 'STRICT' },
    },
  ],
  picture: [
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } },
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
    { tools: [weather, now], messages: [...CALLED, result('call_1', 'Rain.'), result('call_2', 'Noon.')] },
  ],
  'effort-low': [{ reasoning_effort: 'low' }],
  'effort-none': [{ reasoning_effort: 'none' }],
}

test.each(Object.entries(CASES))('is written as the documentation says: %s', (name, [body, more]) => {
  const { path, body: written } = encode(body, more)
  const made = { path, body: written }
  expect(made).toEqual(golden(`${name}.request.json`, made))
})

describe('what can’t be said is refused by the name that the caller gave it', () => {
  test.each<[string, JsonObject]>([
    ['n', { n: 2 }],
    ['logit_bias', { logit_bias: { 1: 1 } }],
    ['top_logprobs', { logprobs: true, top_logprobs: 2 }],
    ['parallel_tool_calls', { tools: [weather], parallel_tool_calls: false }],
    [
      'messages[0].content[0]',
      {
        messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] }],
      },
    ],
  ])('%s', (param, body) => {
    expect(() => encode(body)).toThrow(expect.objectContaining({ param }))
  })
})
