import type { FinishReason } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import { textOrNull } from '../openai/dialect.ts'

/** https://ai.google.dev/api/generate-content#FinishReason */
export function finishOf(reason: unknown, hasCalls: boolean): FinishReason {
  switch (reason) {
    case 'MAX_TOKENS':
    // More could be had with a token that no other API has a place for.
    case 'CONTINUATION':
      return 'length'
    case 'SAFETY':
    case 'RECITATION':
    case 'BLOCKLIST':
    case 'PROHIBITED_CONTENT':
    case 'SPII':
    case 'LANGUAGE':
    case 'IMAGE_SAFETY':
    case 'IMAGE_PROHIBITED_CONTENT':
    case 'IMAGE_RECITATION':
      return 'content_filter'
    default:
      return hasCalls ? 'tool_calls' : 'stop'
  }
}

/**
 * What is to be told of a candidate that says nothing and ended for no ordinary reason, such as MALFORMED_FUNCTION_CALL: no other API knows these, and an empty answer that ended well would tell nobody why. Null of
 * all others.
 */
export function failureOf({ finishReason, finishMessage }: JsonObject): string | null {
  if (typeof finishReason !== 'string' || finishReason === 'STOP' || finishOf(finishReason, false) !== 'stop')
    return null
  return textOrNull(finishMessage) ?? `The model ended without an answer: ${finishReason}.`
}
