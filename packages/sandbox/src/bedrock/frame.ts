import { crc32 } from 'node:zlib'

/** An event of a stream, its payload JSON: https://smithy.io/2.0/aws/amazon-eventstream.html */
export function eventFrame(type: string, json: string): Buffer {
  return frame({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, json)
}

/** A part of a payload that is nobody's business but the receiver's. */
export function payloadFrame(bytes: Uint8Array): Buffer {
  return frame(
    { ':event-type': 'PayloadPart', ':content-type': 'application/octet-stream', ':message-type': 'event' },
    bytes,
  )
}

/** A failure amid a stream, after which nothing comes. */
export function exceptionFrame(type: string, json: string): Buffer {
  return frame({ ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' }, json)
}

/** One message of AWS's binary event stream: lengths and their checksum, headers, payload, and a checksum of it all. */
function frame(headers: Record<string, string>, payload: string | Uint8Array): Buffer {
  const heads = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)))
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload
  const message = Buffer.alloc(preludeBytes + heads.length + body.length + crcBytes)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(heads.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  heads.copy(message, preludeBytes)
  message.set(body, preludeBytes + heads.length)
  message.writeUInt32BE(crc32(message.subarray(0, -crcBytes)), message.length - crcBytes)
  return message
}

const preludeBytes = 12
const crcBytes = 4
/** The type of a header that is text. */
const text = 7

function header(name: string, value: string): Buffer {
  const bytes = Buffer.byteLength(value)
  return Buffer.concat([
    Buffer.of(Buffer.byteLength(name)),
    Buffer.from(name),
    Buffer.of(text, bytes >> 8, bytes & 0xff),
    Buffer.from(value),
  ])
}
