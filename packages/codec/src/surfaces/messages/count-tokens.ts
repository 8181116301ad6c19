import type { JsonObject } from '../../chat/request.ts'
import type { Surface } from '../../surface.ts'
import { messages } from './messages.ts'
import { readMessagesRequest } from './read-request.ts'

/** A request to count the tokens of a prompt (https://platform.claude.com/docs/en/api/messages-count-tokens): that of a message, without its `max_tokens`. */
export const countTokens: Surface = { ...messages, readRequest: readMessagesRequest }

export function writeTokenCount(inputTokens: number): JsonObject {
  return { input_tokens: inputTokens }
}
