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
const PICTURE = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
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
          name: 'ann',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'text', text: '' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.webp?x=1' } },
            { type: 'image_url', image_url: { url: 'https://example.pdf/picture' } },
            { type: 'video_url', video_url: { url: 'https://www.youtube.com/watch?v=9hE5-98ZeCg' } },
            { type: 'file', file: { file_id: 'files/abc-123' } },
            { type: 'file', file: { file_id: 'gs://bucket/report.csv' } },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          ],
        },
      ],
    },
  ],
  'json-mode': [{ response_format: { type: 'json_object' } }],
  'json-schema': [{ response_format: format }],
  'logprobs-own': [{ logprobs: true }],
  'tier-flex': [{ service_tier: 'flex' }],
  'tool-auto': [{ tools: [weather, now], tool_choice: 'auto' }],
  'tool-strict': [{ tools: [{ ...now, function: { ...now.function, strict: true } }] }],
  'tool-allowed': [
    {
      tools: [weather, now],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'now' } }] },
      },
    },
  ],
  'search-and-code': [{ web_search_options: {}, tools: [now, { type: 'other', codeExecution: {} }] }],
  'tool-required': [{ tools: [weather, now], tool_choice: 'required' }],
  'tool-named': [{ tools: [weather, now], tool_choice: { type: 'function', function: { name: 'now' } } }],
  'tool-none': [{ tools: [weather], tool_choice: 'none' }],
  'tool-results': [
    { tools: [weather, now], messages: [...CALLED, result('call_2', 'Noon.'), result('call_1', '{"rain":true}')] },
  ],
  'tool-results-media': [
    {
      messages: [
        ...CALLED,
        {
          role: 'tool',
          tool_call_id: 'call_1',
          is_error: true,
          content: [{ type: 'text', text: 'Seen:' }, PICTURE],
        },
        { role: 'developer', content: 'Mind them.' },
        result('call_2', '{"id":12345678901234567890}'),
      ],
    },
    { model: 'gemini-3.8-flash' },
  ],
  'tool-results-media-before-3': [
    { messages: [...CALLED, { role: 'tool', tool_call_id: 'call_1', content: [PICTURE] }, result('call_2', '')] },
  ],
  'signed-calls': [
    {
      messages: [
        ...USER,
        {
          role: 'assistant',
          content: 'I look.',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Hm.', signature: 'google:dGV4dA==' },
            { type: 'reasoning.text', signature: 'google:c2ln' },
          ],
          tool_calls: [signed('a', 'c2ln'), signed('b', null)],
        },
        result('a', '1'),
        result('b', '2'),
      ],
    },
    { model: 'gemini-3-pro' },
  ],
  'signed-thoughts': [
    {
      messages: [
        ...USER,
        { role: 'assistant', content: '', reasoning_details: [{ type: 'reasoning.text', signature: 'google:AA==' }] },
        ...USER,
        {
          role: 'assistant',
          content: null,
          reasoning_details: [{ type: 'reasoning.text', signature: 'google:c2ln' }],
          tool_calls: [signed('a', null)],
        },
        result('a', '1'),
      ],
    },
    { model: 'gemini-3-pro' },
  ],
  'foreign-thoughts': [
    {
      messages: [
        ...USER,
        {
          role: 'assistant',
          content: 'So.',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Hm.', signature: 'EqQBCgIYAhIM' },
            { type: 'reasoning.encrypted', data: 'ZW5j' },
          ],
        },
        ...USER,
      ],
    },
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
  'effort-none': [{ reasoning_effort: 'none' }, { model: 'gemini-2.5-flash' }],
  'effort-none-as-level': [{ reasoning_effort: 'none' }, { model: 'gemini-3.8-flash' }],
  'effort-minimal-of-pro': [{ reasoning_effort: 'minimal' }, { model: 'gemini-3.1-pro-preview' }],
  'effort-of-the-latest': [{ reasoning_effort: 'minimal' }, { model: 'gemini-flash-latest' }],
  budget: [{ reasoning: { max_tokens: 500 } }, { model: 'gemini-3-pro' }],
  'rides-along': [
    {
      ...{ safetySettings: [], labels: { team: 'a' }, mediaResolution: 'MEDIA_RESOLUTION_LOW', max_tokens: 9 },
      ...{ generationConfig: { topK: 3, maxOutputTokens: 7 }, cachedContent: 'cachedContents/a' },
      ...{ toolConfig: { retrievalConfig: { languageCode: 'de' } }, tools: [now], tool_choice: 'required' },
    },
  ],
}

test.each(Object.entries(CASES))('is written as the documentation says: %s', (name, [body, more]) => {
  const { path, body: written } = encode(body, more)
  const made = { path, body: written }
  expect(made).toEqual(golden(`${name}.request.json`, made))
})

describe('what can’t be said is refused by the name that the caller gave it', () => {
  test.each<[string, JsonObject, string?]>([
    ['logit_bias', { logit_bias: { 1: 1 } }],
    ['min_p', { min_p: 0.1 }],
    ['repetition_penalty', { repetition_penalty: 1.1 }],
    ['modalities', { modalities: ['image'] }],
    ['audio', { audio: { voice: 'Kore', format: 'pcm16' } }],
    ['audio.format', { modalities: ['audio'], audio: { voice: 'Kore', format: 'mp3' } }],
    ['audio.voice', { modalities: ['audio'], audio: { voice: { id: 'v' }, format: 'pcm16' } }],
    ['service_tier', { service_tier: 'scale' }],
    ['parallel_tool_calls', { tools: [weather], parallel_tool_calls: false }],
    ['tools[0]', { tools: [{ type: 'custom', custom: { name: 'x' } }] }],
    ['web_search_options.user_location', { web_search_options: { user_location: {} } }],
    ['reasoning_effort', { reasoning_effort: 'none' }],
    ['reasoning_effort', { reasoning_effort: 'none' }, 'gemini-3-pro'],
    ['reasoning_effort', { reasoning_effort: 'none' }, 'gemini-pro-latest'],
    ['reasoning_effort', { reasoning_effort: 'xhigh' }],
    ['reasoning_effort', { reasoning_effort: 'low' }, 'gemini-2.0-flash'],
    [
      'messages[0].content[0]',
      { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-abc' } }] }] },
    ],
    ['messages[1].tool_call_id', { messages: [...USER, result('nobody', 'Rain.')] }],
    ['generationConfig', { generationConfig: 7 }],
  ])('%s of %j', (param, body, model = 'gemini-2.5-pro') => {
    expect(() => encode(body, { model })).toThrow(expect.objectContaining({ param }))
  })
})

test('what the organization lets pass is left out, and nothing else with it', () => {
  const dropped: string[] = []
  const lenient = { unsupported: (param: string) => void dropped.push(param) }
  const body = {
    ...{ logit_bias: { 1: 1 }, reasoning_effort: 'none', service_tier: 'scale', max_tokens: 9 },
    tools: [weather, { type: 'custom', custom: { name: 'x' } }],
  }
  expect(encode(body, lenient)).toEqual(encode({ max_tokens: 9, tools: [weather] }))
  expect(dropped.sort()).toEqual(['logit_bias', 'reasoning_effort', 'service_tier', 'tools[1]'])
})

test('a result is of the call that has its id, though an earlier one had it too', () => {
  const again = (name: string, content: string) => [
    { role: 'assistant', content: null, function_call: { name, arguments: '{}' } },
    { role: 'function', name, content },
  ]
  const { contents } = encode({ messages: [...USER, ...again('a', '1'), ...again('b', '2'), ...again('a', '3')] }).body
  const names = (contents as { parts: { functionResponse?: { name: string; response: unknown } }[] }[]).flatMap(
    ({ parts }) => parts.flatMap(({ functionResponse: one }) => (one ? [[one.name, one.response]] : [])),
  )
  expect(names).toEqual([
    ['a', { output: '1' }],
    ['b', { output: '2' }],
    ['a', { output: '3' }],
  ])
})
