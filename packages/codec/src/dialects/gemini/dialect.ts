import type { Dialect } from '../../dialect.ts'
import { decodeChat, decodeError } from './decode.ts'
import { GeminiDecoder } from './decode-stream.ts'
import { encodeChat } from './encode.ts'

/** Gemini's generateContent: https://ai.google.dev/api/generate-content */
export const gemini: Dialect = {
  name: 'gemini',
  framing: 'sse',
  heeds: [],
  encodeChat,
  decodeChat,
  decodeStream: (choices) => new GeminiDecoder(choices),
  decodeError,
}
