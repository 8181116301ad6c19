import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PayloadEvents, PayloadStream } from './payload-parts.ts'

/** AWS's own encoder writes what is read here. */
const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
)
const text = (value: string) => ({ type: 'string', value }) as const
const part = (body: Uint8Array) =>
  codec.encode({ headers: { ':message-type': text('event'), ':event-type': text('PayloadPart') }, body })
const failure = (type: string, body: string) =>
  codec.encode({
    headers: { ':message-type': text('exception'), ':exception-type': text(type) },
    body: new TextEncoder().encode(body),
  })

const CHUNKS = [
  '{"choices":[{"index":0,"delta":{"content":"Flüsse 河 🌊"}}]}',
  '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
  '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
  '[DONE]',
]
const SSE = new TextEncoder().encode(CHUNKS.map((chunk) => `data: ${chunk}\n\n`).join(''))
const HANDED_ON = `data: ${CHUNKS[0]}\n\ndata: ${CHUNKS[1]}\n\n`

/** Cuts that stand in any order. */
const cuts = (length: number) => fc.array(fc.nat(length), { maxLength: 20 })

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...at].sort((a, b) => a - b).concat(bytes.length)
  return ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end))
}

const inParts = (at: readonly number[]) => Buffer.concat(cut(SSE, at).map(part))
const open = () => new PayloadStream({ choices: 1, inputTokens: 3 })

test('wherever the container and the network cut a stream, the caller gets the same', () => {
  fc.assert(
    fc.property(cuts(SSE.length), fc.array(fc.nat(2_000), { maxLength: 20 }), (parts, pieces) => {
      const stream = open()
      const framed = inParts(parts)
      const at = pieces.map((piece) => Math.min(piece, framed.length))
      const out = cut(framed, at).map((piece) => stream.push(Buffer.from(piece)))
      expect(Buffer.concat([...out, stream.end()]).toString()).toBe(HANDED_ON)
      expect([stream.done, stream.usage]).toEqual([true, { input: 3, output: 2 }])
    }),
  )
})

test('a stream that is cut before its last part is never done', () => {
  const framed = inParts([10, 100, SSE.length - 16])
  fc.assert(
    fc.property(fc.nat(framed.length - 1), (length) => {
      const stream = open()
      stream.push(framed.subarray(0, length))
      stream.end()
      expect(stream.done).toBe(false)
    }),
  )
})

test('a failure amid the stream is told with AWS’s words, and nothing after it is handed on', () => {
  const stream = open()
  const half = part(SSE.slice(0, 20))
  const broken = failure('ModelStreamError', '{"Message":"The connection was reset.","ErrorCode":"StreamBroken"}')
  const out = stream.push(Buffer.concat([half, broken, part(SSE.slice(20))]))
  expect(out).toHaveLength(0)
  expect(stream.error).toEqual({ message: 'The connection was reset.', param: null, code: 'ModelStreamError' })
  expect(stream.done).toBe(false)
})

test('to be translated, the events are those within, and a failure is one', () => {
  const events = new PayloadEvents()
  const failed = failure('InternalStreamFailure', 'no JSON')
  const read = events.push(Buffer.concat([inParts([7, 60]), failed]))
  expect(read.slice(0, -1).map(({ data }) => data)).toEqual(CHUNKS)
  expect(JSON.parse(read.at(-1)!.data)).toEqual({
    error: { message: 'the provider gave no reason', param: null, code: 'InternalStreamFailure' },
  })
})
