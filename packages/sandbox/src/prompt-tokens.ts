import { isObject } from './json.ts'

/**
 * Tokens of a prompt in any dialect, by the rule of `tokens.ts`: ceil(UTF-8 bytes of all text / 4) + 3 per message + 3, + 85 per image, audio or file part.
 */
export function promptTokensOf(prompt: { texts: readonly unknown[]; messages: number; parts: number }): number {
  const bytes = prompt.texts.reduce<number>((sum, text) => sum + bytesOf(text), 0)
  return Math.ceil(bytes / 4) + 3 * prompt.messages + 3 + 85 * prompt.parts
}

/** What isn't text counts as its JSON does: tools, arguments, results. */
function bytesOf(text: unknown): number {
  if (typeof text === 'string') return Buffer.byteLength(text)
  return isObject(text) || (Array.isArray(text) && text.length > 0) ? Buffer.byteLength(JSON.stringify(text)) : 0
}
