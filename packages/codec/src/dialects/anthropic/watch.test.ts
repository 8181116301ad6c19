import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fixture } from '../../../fixtures/anthropic/golden.ts'
import { SseEvents } from '../../sse-events.ts'
import { AnthropicStream } from './watch.ts'

const STREAM = fixture('thoughts-and-tools.stream.txt')
const TAIL = STREAM.slice(STREAM.lastIndexOf('event: message_delta'))
const END = { usage: { input: 1, output: 2 }, wantsUsage: false, cost: null, early: null }
const USAGE = { input: 10, cachedInput: 200, cacheWrite: 20, cacheWriteHour: 10, output: 35, reasoning: 15, search: 2 }

function play(pieces: Uint8Array[]) {
  const stream = new AnthropicStream()
  const out = pieces.map((piece) => Buffer.from(stream.push(Buffer.from(piece))))
  out.push(Buffer.from(stream.end()))
  return { text: Buffer.concat(out).toString(), stream }
}

describe.each([
  ['LF', '\n'],
  ['CRLF', '\r\n'],
])('with %s', (_, eol) => {
  const text = STREAM.replaceAll('\n', eol)
  const bytes = Buffer.from(text)

  test('any byte split is handed on untouched, all but the last two events', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (cuts) => {
        const at = [...new Set(cuts)].sort((a, b) => a - b)
        const { text: out, stream } = play([0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length)))
        expect(out + stream.finish(END)).toBe(text)
        expect(stream).toMatchObject({ done: true, error: null, usage: USAGE, serviceTier: 'priority' })
      }),
      { numRuns: 200 },
    )
  })

  test('cut at any byte before its end it is never done, and no event is handed on in half', () => {
    for (let cut = 0; cut < bytes.lastIndexOf('message_stop"'); cut += 3) {
      const { text: out, stream } = play([bytes.subarray(0, cut)])
      expect(stream.done).toBe(false)
      for (const line of out.split(eol).filter((one) => one.startsWith('data: '))) JSON.parse(line.slice(6))
    }
  })
})

test('the end waits for whoever settles the call, and tells the cost', () => {
  const { text, stream } = play([Buffer.from(STREAM)])
  expect(text).not.toContain('message_delta')
  expect(stream.finish(END)).toBe(TAIL)
  expect(stream.finish({ ...END, cost: 0.25 })).toContain('"cost":0.25')
})

test('nothing is handed on before the first block, so that an early error can still be another answer', () => {
  const stream = new AnthropicStream()
  const [start, block] = STREAM.split('\n\n').map((one) => `${one}\n\n`) as [string, string]
  expect(stream.push(Buffer.from(start)).length).toBe(0)
  expect(stream.events).toBe(0)
  expect(stream.push(Buffer.from(block)).toString()).toBe(start + block)
  expect(stream.events).toBe(1)
})

test('an error amid the stream is told, and nothing after it handed on', () => {
  const error = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
  const before = STREAM.slice(0, STREAM.indexOf('event: ping'))
  const { text, stream } = play([Buffer.from(before + error + TAIL)])
  expect(text).toBe(before)
  expect(stream.error).toEqual({ message: 'Overloaded', param: null, code: 'overloaded_error' })
  expect(stream.done).toBe(false)
})

test('the words of events within a text are a text', () => {
  const said = JSON.stringify('event: message_stop\ndata: {"type":"message_stop"} "error" message_delta')
  const delta = `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":${said}}}\n\n`
  const { text, stream } = play([Buffer.from(delta)])
  expect(text).toBe(delta)
  expect(stream).toMatchObject({ done: false, error: null, events: 1 })
})

test('a stream that is ended early closes its block and says why', () => {
  const { stream } = play([Buffer.from(STREAM.slice(0, STREAM.indexOf('event: content_block_stop')))])
  const events = new SseEvents().push(Buffer.from(stream.finish({ ...END, early: { nemo: { notice: 'enough' } } })))
  expect(events.map(({ data }) => JSON.parse(data))).toEqual([
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'max_tokens', stop_sequence: null },
      usage: expect.objectContaining({ input_tokens: 1, output_tokens: 2 }),
      nemo: { notice: 'enough' },
    },
    { type: 'message_stop' },
  ])
})

test('a stream in another framing reaches the caller as server-sent events', () => {
  const stream = new AnthropicStream(new SseEvents())
  const chunks = STREAM.split('\n\n')
    .filter((one) => one !== '')
    .map((one) => Buffer.from(one.slice(one.indexOf('data: ') + 6)).toString('base64'))
    .map((bytes) => `event: chunk\ndata: ${JSON.stringify({ bytes })}\n\n`)
  const out = stream.push(Buffer.from(chunks.join(''))).toString()
  expect(out + stream.finish(END)).toBe(STREAM)
  expect(stream.usage).toEqual(USAGE)
  const failing = new AnthropicStream(new SseEvents())
  failing.push(Buffer.from('event: exception:throttlingException\ndata: {"message":"Slow down"}\n\n'))
  expect(failing.error).toEqual({ message: 'Slow down', param: null, code: 'throttlingException' })
})

test('about as many tokens are seen as went by; signatures are none', () => {
  const delta = (text: string) =>
    `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${text}"}}\n\n`
  const { stream } = play([Buffer.from(delta('word').repeat(50) + delta('four'.repeat(100)))])
  expect(stream.tokensSeen).toBeGreaterThan(140)
  expect(stream.tokensSeen).toBeLessThan(180)
  const signature = `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"${'x'.repeat(4000)}"}}\n\n`
  expect(play([Buffer.from(signature)]).stream.tokensSeen).toBe(0)
})

test('an event without end is refused', () => {
  const stream = new AnthropicStream()
  expect(() => {
    for (let i = 0; i < 40; i++) stream.push(Buffer.alloc(1024 * 1024, 'x'))
  }).toThrow(RangeError)
})
