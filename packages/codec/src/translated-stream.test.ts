import { expect, test } from 'vitest'
import { anthropic } from './dialects/anthropic/dialect.ts'
import { SseEvents } from './sse-events.ts'
import { chat } from './surfaces/chat/chat.ts'
import { TranslatedStream } from './translated-stream.ts'

const event = (type: string, more: object = {}) =>
  Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`)
const START = event('message_start', { message: { id: 'm', model: 'claude', usage: { input_tokens: 9 } } })

function stream() {
  const context = { id: 'x', createdAt: 1, model: 'claude', request: chat.readRequest(BODY), body: BODY }
  return new TranslatedStream(new SseEvents(), anthropic.decodeStream(1), chat.writeStream(context))
}
const BODY = { model: 'claude', messages: [{ role: 'user', content: 'hello' }] }

test('a stream’s start is no part of an answer yet, so that an early error can still be another answer', () => {
  const started = stream()
  expect(started.push(START).toString()).toContain('assistant')
  expect(started.events).toBe(0)
  started.push(event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }))
  expect([started.events, started.error?.message]).toEqual([0, 'Overloaded'])
})

test('its first text is', () => {
  const started = stream()
  started.push(START)
  started.push(event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }))
  started.push(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Hi' } }))
  expect(started.events).toBe(1)
})
