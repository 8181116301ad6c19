import { topLevelMembers } from '@nemo/codec/json-members'
import { chat } from '@nemo/codec/surfaces/chat/chat'
import { messages as messagesApi } from '@nemo/codec/surfaces/messages/messages'
import { responses } from '@nemo/codec/surfaces/responses/responses'
import { expect, test } from 'vitest'
import type { Deployment } from '../snapshot/catalogue.ts'
import { measure } from './expect.ts'
import { pictureTokensMost } from './picture-tokens.ts'
import { chatSize, promptSize } from './prompt-size.ts'

const MEGABYTE = 1_000_000
const LONG = 'prompt '.repeat(MEGABYTE / 7)

function sizeOf(fields: object) {
  const asked = { model: 'm', ...fields }
  return promptSize(asked, topLevelMembers(Buffer.from(JSON.stringify(asked))))
}
const said = (message: object) => sizeOf({ messages: [{ role: 'user', content: 'Hi.' }, message] })
const part = (one: object) => sizeOf({ messages: [{ role: 'user', content: [one] }] })
const PLAIN = sizeOf({ messages: [{ role: 'user', content: 'Hi.' }] })

test.each<[string, object]>([
  ['what was thought', { role: 'assistant', content: null, reasoning_content: LONG }],
  ['what was thought, in parts', { role: 'assistant', content: null, reasoning_details: [{ text: LONG }] }],
  ['a call in its older form', { role: 'assistant', content: null, function_call: { name: 'f', arguments: LONG } }],
  ['a member that nobody knows', { role: 'assistant', content: 'Hi.', scratchpad: { notes: [LONG] } }],
  ['a name without end', { role: 'user', content: 'Hi.', name: LONG }],
  ['content that is an object', { role: 'user', content: { text: LONG } }],
  ['what was said aloud', { role: 'assistant', content: null, audio: { id: 'a', transcript: LONG } }],
])('a megabyte in a message is counted as one: %s', (_, message) => {
  expect(said(message).input).toBeGreaterThan(MEGABYTE / 6)
})

test.each<[string, object]>([
  ['a part of an unknown kind', { type: 'scroll', scroll: { words: LONG } }],
  ['a part without a kind', { text: LONG }],
  ['a part with its text elsewhere', { type: 'text', text: { value: LONG } }],
  ['a refusal', { type: 'refusal', refusal: LONG }],
  ['thoughts', { type: 'thinking', thinking: [{ type: 'text', text: LONG }] }],
  ['a document of text', { type: 'document', document: { data: { text: LONG } } }],
  ['a file of text', { type: 'file', file: { file_data: `data:text/plain;base64,${btoa(LONG)}` } }],
])('a megabyte in a part is counted as one: %s', (_, one) => {
  expect(part(one).input).toBeGreaterThan(MEGABYTE / 6)
})

test.each(['documents', 'system_instruction', 'tools', 'functions', 'prediction', 'response_format', 'anything_new'])(
  'a megabyte of %s may be part of the prompt',
  (name) => {
    const fields = { messages: [{ role: 'user', content: 'Hi.' }], [name]: [{ text: LONG }] }
    expect(sizeOf(fields).input).toBeGreaterThan(MEGABYTE / 6)
    if (name === 'documents' || name === 'system_instruction' || name === 'anything_new')
      expect(chatSize(chat.readRequest({ model: 'm', ...fields })).input).toBeGreaterThan(MEGABYTE / 6)
  },
)

test('a picture model of which nobody knows how much it puts out is held for', () => {
  const fields = { model: 'm', prompt: 'a river', n: 2 }
  const { outputMax } = measure('images', { fields, members: [] })
  expect(outputMax({ outputTokensMax: null } as Deployment['model'])).toBe(2 * 8_192)
})

test('what another API brings that nobody knows may be part of the prompt', () => {
  const asked = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi.' }], documents: [LONG] }
  expect(chatSize(messagesApi.readRequest(asked)).input).toBeGreaterThan(MEGABYTE / 6)
  expect(chatSize(responses.readRequest({ model: 'm', input: 'Hi.', documents: [LONG] })).input).toBeGreaterThan(
    MEGABYTE / 6,
  )
})

test.each(['metadata', 'user', 'logit_bias', 'nemo_tags', 'safety_identifier', 'provider'])(
  '%s is no part of the prompt',
  (name) => {
    expect(sizeOf({ messages: [{ role: 'user', content: 'Hi.' }], [name]: 'x'.repeat(600) })).toEqual(PLAIN)
  },
)

test('ids, names and numbers are counted with their message', () => {
  const call = {
    role: 'tool',
    tool_call_id: 'call_0123456789',
    name: 'weather',
    content: 'Hi.',
    weight: 1,
    audio: null,
  }
  expect(said(call).input).toBe(said({ role: 'user', content: 'Hi.' }).input)
})

const BASE64 = 'A'.repeat(3 * MEGABYTE)

test.each<[string, object, number]>([
  ['a picture', { type: 'image_url', image_url: { url: `data:image/png;base64,${BASE64}` } }, 1_600],
  ['sound', { type: 'input_audio', input_audio: { data: BASE64, format: 'wav' } }, 6_000],
  ['a document', { type: 'file', file: { file_data: `data:application/pdf;base64,${BASE64}` } }, 250_003],
  ['a video', { type: 'video_url', video_url: { url: `data:video/mp4;base64,${BASE64}` } }, 250_002],
])('three megabytes of base64 aren’t counted as text: %s', (_, one, tokens) => {
  expect(part(one).input).toBe(tokens + 7)
})

test('pictures are counted, wherever they come from', () => {
  const pictures = [
    { type: 'image_url', image_url: { url: 'https://x/y.png' } },
    { type: 'text', text: 'Hi.' },
  ]
  expect(sizeOf({ messages: [{ role: 'user', content: [...pictures, ...pictures] }] })).toMatchObject({
    ...{ pictures: 2, isOpen: false },
  })
  expect(said({ role: 'user', content: 'Hi.', images: [BASE64, BASE64] })).toMatchObject({ pictures: 2 })
  const source = { type: 'url', url: 'https://x/y.png' }
  const asked = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: [{ type: 'image', source }] }] }
  expect(chatSize(messagesApi.readRequest(asked))).toMatchObject({ pictures: 1, isOpen: false })
})

test.each<[string, object]>([
  ['a document by URL', { type: 'document_url', document_url: 'https://x/y.pdf' }],
  ['a file by its id', { type: 'file', file: { file_id: 'file-1' } }],
  ['a file by URL', { type: 'file', file: { file_data: 'https://x/y.pdf' } }],
  ['a video by URL', { type: 'video_url', video_url: { url: 'https://youtube.com/watch?v=1' } }],
  ['sound by URL', { type: 'input_audio', input_audio: 'https://x/y.mp3' }],
])('what comes by its address may be of any length: %s', (_, one) => {
  expect(part(one)).toMatchObject({ isOpen: true })
})

test.each([
  { type: 'url', url: 'https://x/y.pdf' },
  { type: 'file', file_id: 'file-1' },
])('so it may with Messages: %j', (source) => {
  const asked = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: [{ type: 'document', source }] }] }
  expect(chatSize(messagesApi.readRequest(asked))).toMatchObject({ isOpen: true })
})

test.each([
  ['gpt-4o-mini-2024-07-18', 48_169],
  ['gpt-4o', 4_200],
  ['gpt-5.4', 12_000],
  ['gpt-6-astra', 36_000],
  ['us.anthropic.claude-opus-4-7', 4_784],
  ['models/gemini-3.5-flash', 2_240],
  ['Qwen/Qwen3-VL-8B', 16_384],
  ['pixtral-12b', 4_200],
])('the most that a picture comes to with %s is %d tokens', (model, tokens) => {
  expect(pictureTokensMost(model)).toBe(tokens)
})
