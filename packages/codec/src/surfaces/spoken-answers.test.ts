import { expect, test } from 'vitest'
import { goldensOf } from '../../fixtures/goldens.ts'
import type { ChatAnswer, StreamPart } from '../chat/answer.ts'
import type { JsonObject } from '../chat/request.ts'
import type { DialectName } from '../dialect.ts'
import { DIALECTS } from '../dialects.ts'
import type { AnswerContext, Surface } from '../surface.ts'
import { chat } from './chat/chat.ts'
import { messages } from './messages/messages.ts'
import { responses } from './responses/responses.ts'

const REQUEST = chat.readRequest({ messages: [{ role: 'user', content: 'Hi.' }] })
const CONTEXT: AnswerContext = { id: 'x'.repeat(24), model: 'm', createdAt: 1, request: REQUEST, body: {} }

function told(dialect: DialectName, name: string): { answer: ChatAnswer; parts: StreamPart[] } {
  const { fixture } = goldensOf(dialect)
  const answer = DIALECTS[dialect].decodeChat(JSON.parse(fixture(`${name}.response.json`)))
  return { answer, parts: JSON.parse(fixture(`${name}.parts.json`)).parts }
}

function written(surface: Surface, parts: readonly StreamPart[]): JsonObject[] {
  const writer = surface.writeStream(CONTEXT)
  const text = writer.write(parts) + writer.end({ usage: {}, wantsUsage: false, cost: null, early: null })
  return text.split('\n').flatMap((line) => (line.startsWith('data: {') ? [JSON.parse(line.slice(6))] : []))
}

const MARKDOWN = {
  answer: '![](data:audio/pcm;base64,AAECAwQ=)',
  stream: '![](data:audio/pcm;base64,AAEC)![](data:audio/pcm;base64,AwQ=)',
}

test.each([
  ['openai', { answer: 'Guten Tag.', stream: 'Guten Tag.' }],
  // Google's models say no words beside the sound.
  ['gemini', MARKDOWN],
] as const)('what %s says aloud is told in words by APIs that have no place for sound', (dialect, said) => {
  const { answer, parts } = told(dialect, 'audio')
  expect(messages.writeAnswer(answer, CONTEXT).content).toEqual([{ type: 'text', text: said.answer, citations: null }])
  const deltas = written(messages, parts).map(({ delta }) => (delta as JsonObject | undefined)?.text ?? '')
  expect(deltas.join('')).toBe(said.stream)
  const [item] = responses.writeAnswer(answer, CONTEXT).output as { content: JsonObject[] }[]
  expect(item!.content[0]).toMatchObject({ type: 'output_text', text: said.answer })
  const done = written(responses, parts).find(({ type }) => type === 'response.output_text.done')
  expect(done).toMatchObject({ text: said.stream })
})

test('a response tells the probabilities of its tokens, streamed or not', () => {
  const { answer, parts } = told('openai', 'logprobs')
  const { content } = answer.choices[0]!.logprobs as { content: JsonObject[] }
  const [item] = responses.writeAnswer(answer, CONTEXT).output as { content: JsonObject[] }[]
  expect(item!.content[0]!.logprobs).toEqual(content)
  const events = written(responses, parts)
  for (const type of ['response.output_text.done', 'response.content_part.done']) {
    const event = events.find((one) => one.type === type) as { logprobs?: unknown; part?: JsonObject }
    expect(event.logprobs ?? event.part?.logprobs, type).toEqual(content)
  }
  const first = events.find((one) => one.type === 'response.content_part.added') as { part: JsonObject }
  expect(first.part.logprobs).toEqual([])
  // Of Google's tokens nobody knows the bytes, and clients expect some.
  const google = responses.writeAnswer(told('gemini', 'logprobs').answer, CONTEXT).output as { content: JsonObject[] }[]
  expect(google[0]!.content[0]!.logprobs).toMatchObject([{ token: 'Ja', bytes: [] }, {}, {}])
})

test('a response is asked for the probabilities of its tokens by what it is to include', () => {
  const include = ['message.output_text.logprobs']
  expect(responses.readRequest({ input: 'Hi.', include }).logprobs).toBe(0)
  expect(responses.readRequest({ input: 'Hi.', include, top_logprobs: 3 }).logprobs).toBe(3)
  expect(responses.readRequest({ input: 'Hi.' }).logprobs).toBeNull()
})
