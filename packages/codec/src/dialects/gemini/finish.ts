import type { FinishReason } from '../../chat/answer.ts'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
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
 * What is to be told of how a candidate ended: what Google says of it where it held something back, and of one that says nothing and ended for no ordinary reason, such as
 * MALFORMED_FUNCTION_CALL, always something: no other API knows these, and an empty answer that ended well would tell nobody why. Null of all others.
 */
export function whyOf({ finishReason, finishMessage }: JsonObject, isEmpty: boolean): string | null {
  if (typeof finishReason !== 'string' || finishReason === 'STOP') return null
  const said = textOrNull(finishMessage)
  switch (finishOf(finishReason, false)) {
    case 'content_filter':
      return said
    case 'stop':
      return isEmpty ? (said ?? `The model ended without an answer: ${finishReason}.`) : null
    default:
      return null
  }
}

/** That the prompt was refused, and why, as far as Google says more than the reason: then there are no candidates. Null of a prompt that wasn't. */
export function blockedOf({ promptFeedback }: JsonObject): { readonly why: string | null } | null {
  if (!isObject(promptFeedback) || typeof promptFeedback.blockReason !== 'string') return null
  return { why: textOrNull(promptFeedback.blockReasonMessage) }
}
