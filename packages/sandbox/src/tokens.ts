import { isObject } from './json.ts'

/**
 * Prompt tokens of a chat: ceil(UTF-8 bytes of all text / 4) + 3 per message + 3, + 85 per image, audio or file part.
 * Text is: string contents, text and refusal parts, names, the names and arguments of tool calls, and the JSON of
 * `tools`. It is not a tokenizer; it is a rule that a test can repeat.
 */
export function promptTokens(chat: { messages: readonly unknown[]; tools?: unknown }): number {
  let bytes = Array.isArray(chat.tools) && chat.tools.length > 0 ? textBytes(JSON.stringify(chat.tools)) : 0
  let parts = 0
  for (const message of chat.messages) {
    if (!isObject(message)) continue
    bytes += textBytes(message.content) + textBytes(message.name) + textBytes(message.refusal)
    for (const part of listOf(message.content)) {
      if (part.type === 'text') bytes += textBytes(part.text)
      else if (part.type === 'refusal') bytes += textBytes(part.refusal)
      else parts++
    }
    for (const call of listOf(message.tool_calls)) {
      if (isObject(call.function)) bytes += textBytes(call.function.name) + textBytes(call.function.arguments)
    }
  }
  return Math.ceil(bytes / 4) + 3 * chat.messages.length + 3 + 85 * parts
}

/** Tokens of an embedding's input: per text ceil(UTF-8 bytes / 4), at least 1; per array of tokens its length. */
export function embeddingTokens(inputs: readonly (string | readonly number[])[]): number {
  let tokens = 0
  for (const input of inputs) tokens += typeof input === 'string' ? textTokens(input) : input.length
  return tokens
}

/** Tokens of a lone text, such as an image's prompt: ceil(UTF-8 bytes / 4), at least 1. */
export function textTokens(text: string): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(text) / 4))
}

/** Structured output (arguments, JSON answers) is streamed in tokens of four characters. */
export function structuredPieces(text: string): string[] {
  return text.match(/.{1,4}/gsu) ?? []
}

function textBytes(value: unknown): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : 0
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}
