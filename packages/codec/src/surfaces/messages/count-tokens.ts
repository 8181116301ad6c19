import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import { readMessagesRequest } from './read-request.ts'

/** A request to count the tokens of a prompt (https://platform.claude.com/docs/en/api/messages-count-tokens): that of a message, without its `max_tokens`. Throws a 400 that names the field. */
export function readCountTokens(body: JsonObject): ChatRequest {
  return readMessagesRequest(body)
}

export function writeTokenCount(inputTokens: number): JsonObject {
  return { input_tokens: inputTokens }
}
