import { EventStreamCodec, Int64 } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WireEvent } from './dialect.ts'
import { EventStreamEvents } from './event-stream.ts'

type Headers = Parameters<EventStreamCodec['encode']>[0]['headers']

/** AWS's own encoder writes what is read here. */
const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)
const text = (value: string) => ({ type: 'string', value }) as const
const written = (headers: Headers, body: string) => codec.encode({ headers, body: new TextEncoder().encode(body) })
const event = (type: string, body: string) =>
  written(
    { ':message-type': text('event'), ':event-type': text(type), ':content-type': text('application/json') },
    body,
  )

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces))
}

function readInPieces(bytes: Uint8Array, cuts: readonly number[]): WireEvent[] {
  const reader = new EventStreamEvents()
  const ends = [...cuts].sort((a, b) => a - b).concat(bytes.length)
  const events: WireEvent[] = []
  let start = 0
  for (const end of ends) {
    // A copy, as the network gives, that is gone once it was read.
    const piece = bytes.slice(start, end)
    events.push(...reader.push(piece))
    piece.fill(0)
    start = end
  }
  return [...events, ...reader.end()]
}

const someEvents = fc.array(
  fc.record({ type: fc.stringMatching(/^[a-zA-Z]{1,30}$/), data: fc.string({ unit: 'grapheme' }) }),
  {
    minLength: 1,
    maxLength: 6,
  },
)

test('any split of the bytes gives the same events', () => {
  const splitStream = someEvents.chain((events) => {
    const bytes = joined(events.map(({ type, data }) => event(type, data)))
    return fc.tuple(fc.constant(events), fc.constant(bytes), fc.array(fc.nat(bytes.length)))
  })
  fc.assert(
    fc.property(splitStream, ([events, bytes, cuts]) => {
      expect(readInPieces(bytes, cuts)).toEqual(events)
    }),
  )
})

test('a stream cut at any byte gives the events that were whole by then, and no more', () => {
  const pieces = ['{"a":1}', '', '{"c":"é"}'].map((data, i) => event(`e${i}`, data))
  const bytes = joined(pieces)
  const ends = pieces.map((_, i) => joined(pieces.slice(0, i + 1)).length)
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(readInPieces(bytes.subarray(0, cut), [])).toHaveLength(ends.filter((end) => end <= cut).length)
  }
})

test('a byte that was changed anywhere is noticed', () => {
  const bytes = event('contentBlockDelta', '{"delta":{"text":"Hi"}}')
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice()
      changed[at]! ^= change
      expect(() => new EventStreamEvents().push(changed)).toThrow(SyntaxError)
    }),
  )
})

test('headers of every type are passed over, and those that are text read', () => {
  const headers: Headers = {
    yes: { type: 'boolean', value: true },
    no: { type: 'boolean', value: false },
    byte: { type: 'byte', value: -1 },
    short: { type: 'short', value: -2 },
    integer: { type: 'integer', value: 3 },
    long: { type: 'long', value: Int64.fromNumber(-4) },
    binary: { type: 'binary', value: new Uint8Array(300) },
    timestamp: { type: 'timestamp', value: new Date(0) },
    uuid: { type: 'uuid', value: '123e4567-e89b-12d3-a456-426614174000' },
    ':message-type': text('event'),
    ':event-type': text('chunk'),
  }
  expect(new EventStreamEvents().push(written(headers, '{}'))).toEqual([{ type: 'chunk', data: '{}' }])
})

test('an exception and an error are events by their names', () => {
  const exception = written(
    { ':message-type': text('exception'), ':exception-type': text('throttlingException') },
    '{"message":"Slow down."}',
  )
  const error = written(
    { ':message-type': text('error'), ':error-code': text('500'), ':error-message': text('Broken.') },
    '',
  )
  expect(new EventStreamEvents().push(joined([exception, error]))).toEqual([
    { type: 'exception:throttlingException', data: '{"message":"Slow down."}' },
    { type: 'exception:500', data: '{"message":"Broken."}' },
  ])
})

test('a message beyond 32 MB is refused by its prelude, and one of a megabyte is read in small pieces', () => {
  const prelude = (length: number, headers: number) => {
    const bytes = event('x', '')
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    view.setUint32(0, length)
    view.setUint32(4, headers)
    view.setUint32(8, crcOf(bytes.subarray(0, 8)))
    return bytes.subarray(0, 12)
  }
  for (const [length, headers] of [
    [32 * 1024 * 1024 + 1, 0],
    [15, 0],
    [100, 100],
  ] as const) {
    expect(() => new EventStreamEvents().push(prelude(length, headers))).toThrow('no possible length')
  }
  expect(new EventStreamEvents().push(prelude(32 * 1024 * 1024, 0))).toEqual([])
  const data = 'x'.repeat(1_000_000)
  const bytes = event('large', data)
  const cuts = Array.from({ length: 999 }, (_, i) => (i + 1) * 1000)
  expect(readInPieces(bytes, cuts)).toEqual([{ type: 'large', data }])
})

/** Bit by bit, and not by the table that is tested. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

test('headers that lead out of their message are refused', () => {
  const bytes = event('x', '{}')
  const lying = bytes.slice()
  lying[12] = 255
  const view = new DataView(lying.buffer)
  view.setUint32(lying.length - 4, crcOf(lying.subarray(0, lying.length - 4)))
  expect(() => new EventStreamEvents().push(lying)).toThrow('headers that can’t be read')
})
