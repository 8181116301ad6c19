import { isObject, type JsonObject } from '../json.ts'
import { isServerResult } from './server-blocks.ts'

/**
 * Tokens of a prompt, by the rule of `tokens.ts`: ceil(UTF-8 bytes of all text / 4) + 3 per message + 3, + 85 per image or document. Text is that of every block, the names and
 * inputs of tool calls, what Anthropic's own tools found, and the JSON of `tools`.
 */
export function inputTokens(body: JsonObject): number {
  const counted = { bytes: 0, parts: 0 }
  if (Array.isArray(body.tools) && body.tools.length > 0) counted.bytes += Buffer.byteLength(JSON.stringify(body.tools))
  count(body.system, counted)
  const messages = Array.isArray(body.messages) ? body.messages.filter(isObject) : []
  for (const message of messages) count(message.content, counted)
  const systems = body.system === undefined ? 0 : 1
  return Math.ceil(counted.bytes / 4) + 3 * (messages.length + systems) + 3 + 85 * counted.parts
}

function count(content: unknown, counted: { bytes: number; parts: number }): void {
  if (typeof content === 'string') counted.bytes += Buffer.byteLength(content)
  if (!Array.isArray(content)) return
  for (const block of content.filter(isObject)) {
    if (block.type === 'image' || block.type === 'document') counted.parts++
    for (const text of [block.text, block.thinking, block.name]) {
      if (typeof text === 'string') counted.bytes += Buffer.byteLength(text)
    }
    if (isObject(block.input)) counted.bytes += Buffer.byteLength(JSON.stringify(block.input))
    if (block.type === 'tool_result') count(block.content, counted)
    else if (isServerResult(block)) counted.bytes += Buffer.byteLength(JSON.stringify(block.content ?? null))
  }
}
