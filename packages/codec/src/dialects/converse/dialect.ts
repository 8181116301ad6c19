/** Bedrock's Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
import type { Dialect } from '../../dialect.ts'
import { decodeChat } from './decode-answer.ts'
import { ConverseDecoder } from './decode-stream.ts'
import { encodeChat } from './encode-chat.ts'
import { decodeError } from './errors.ts'

export const converse: Dialect = {
  name: 'converse',
  framing: 'event-stream',
  heeds: ['cache_control'],
  // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html
  toolNames: { outside: /[^a-zA-Z0-9_-]/g, lengthMax: 64 },
  encodeChat,
  decodeChat,
  decodeStream: () => new ConverseDecoder(),
  decodeError,
}
