import type { Dialect } from '../../dialect.ts'
import { decodeChat, decodeError } from './decode.ts'
import { GeminiDecoder } from './decode-stream.ts'
import { encodeChat } from './encode.ts'

/** Gemini's generateContent: https://ai.google.dev/api/generate-content */
export const gemini: Dialect = {
  name: 'gemini',
  framing: 'sse',
  heeds: [],
  // Its pages say 64 or 128, the one of the API itself 64: https://ai.google.dev/api/caching#FunctionDeclaration
  toolNames: { outside: /[^a-zA-Z0-9_.:-]|^(?=[^a-zA-Z_])/g, lengthMax: 64 },
  encodeChat,
  decodeChat,
  decodeStream: (choices, model) => new GeminiDecoder(choices, model),
  decodeError,
}
