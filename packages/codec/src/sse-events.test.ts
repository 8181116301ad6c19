import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SseEvents } from './sse-events.ts'

const recording = (eol: string) =>
  [
    ': a comment',
    '',
    'event: message_start',
    'data: {"text":"Grüße, 世界 🌍"}',
    'id: 7',
    '',
    'data: one',
    'data:two',
    '',
    'event: ping',
    '',
    'data: [DONE]',
    '',
    '',
  ].join(eol)

const EXPECTED = [
  { type: 'message_start', data: '{"text":"Grüße, 世界 🌍"}' },
  { type: null, data: 'one\ntwo' },
  { type: null, data: '[DONE]' },
]

function play(pieces: Uint8Array[]) {
  const events = new SseEvents()
  return [...pieces.flatMap((piece) => events.push(piece)), ...events.end()]
}

describe.each([
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
])('with %s', (_, eol) => {
  const bytes = Buffer.from(recording(eol))

  test('any byte split gives the same events', () => {
    expect(play([bytes])).toEqual(EXPECTED)
    expect(play([...bytes].map((byte) => Buffer.from([byte])))).toEqual(EXPECTED)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const at = [...new Set(cuts)].sort((a, b) => a - b)
        expect(play([0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length)))).toEqual(EXPECTED)
      }),
      { numRuns: 300 },
    )
  })
})

test('a last event without its empty line counts', () => {
  expect(play([Buffer.from('data: a\n\ndata: b')])).toEqual([
    { type: null, data: 'a' },
    { type: null, data: 'b' },
  ])
})

test('an event without end is refused, in one line or in many', () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  const one = new SseEvents()
  expect(() => {
    for (let i = 0; i < 40; i++) one.push(megabyte)
  }).toThrow(RangeError)
  const many = new SseEvents()
  expect(() => {
    for (let i = 0; i < 40; i++) many.push(Buffer.concat([Buffer.from('data: '), megabyte, Buffer.from('\n')]))
  }).toThrow(RangeError)
})
