import type { IncomingMessage } from 'node:http'
import { isObject, type JsonObject } from './json.ts'
import { Refusal } from './refusal.ts'

export const bodyBytesMax = 32 * 1024 * 1024

/** The whole body; undefined when the client hung up while sending it. Throws a 413 above 32 MiB. */
export function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes <= bodyBytesMax) {
        pieces.push(piece)
        return
      }
      // What still comes is read and dropped, or the client would never get to read the answer.
      pieces.length = 0
      reject(new Refusal(413, `The request is larger than ${bodyBytesMax} bytes.`, { code: 'request_too_large' }))
    })
    request.on('end', () => resolve(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)))
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
}

export function parseObject(bytes: Buffer): JsonObject {
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString())
  } catch {
    throw new Refusal(400, 'We could not parse the JSON body of your request.')
  }
  if (!isObject(parsed)) throw new Refusal(400, 'The body of your request is not a JSON object.')
  return parsed
}
