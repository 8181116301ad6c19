import { expect, test } from 'vitest'
import { ResponsesStream } from './openai-responses-watch.ts'

const event = (type: string, more: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const OPENING = event('response.created', { response: { id: 'r' } }) + event('response.in_progress', { response: {} })

test('an opening is no part of an answer yet, so that an early error can still be another answer', () => {
  for (const error of [
    event('error', { code: 'server_error', message: 'overloaded' }),
    event('response.failed', { response: { error: { code: 'server_error', message: 'overloaded' } } }),
  ]) {
    const stream = new ResponsesStream()
    stream.push(Buffer.from(OPENING + error))
    expect([stream.events, stream.error?.message]).toEqual([0, 'overloaded'])
  }
})

test('what follows the opening is', () => {
  const stream = new ResponsesStream()
  expect(stream.push(Buffer.from(OPENING)).toString()).toBe(OPENING)
  expect(stream.events).toBe(0)
  stream.push(Buffer.from(event('response.output_item.added', { output_index: 0 })))
  stream.push(Buffer.from(event('response.output_text.delta', { delta: 'a' })))
  expect(stream.events).toBe(2)
  stream.push(Buffer.from(event('response.completed', { response: { usage: null } })))
  expect([stream.events, stream.done]).toEqual([3, true])
})
