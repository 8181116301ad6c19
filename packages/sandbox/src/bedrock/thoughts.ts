import { isSealed, sign } from '../anthropic/thinking.ts'
import { isObject, type JsonObject } from '../json.ts'

/** What was thought, signed as Claude signs it. */
export function reasoningOf(text: string): JsonObject {
  return { reasoningText: { text, signature: sign(text) } }
}

/** By its signature, the sandbox knows what it thought itself. */
export function isOwnThought({ reasoningText, redactedContent }: JsonObject): boolean {
  if (redactedContent !== undefined) return isSealed(redactedContent)
  return isObject(reasoningText) && reasoningText.signature === sign(String(reasoningText.text))
}
