import { isObject, type JsonObject } from '../json.ts'
import { refused } from './errors.ts'

const fields: Record<string, string[]> = {
  system: ['content'],
  developer: ['content'],
  user: ['content'],
  assistant: ['content', 'tool_calls', 'tool_plan', 'citations'],
  tool: ['content', 'tool_call_id'],
}

const partTypes: Record<string, string[]> = {
  system: ['text'],
  developer: ['text'],
  user: ['text', 'image_url'],
  assistant: ['text', 'thinking'],
  tool: ['text', 'document'],
}

/** Throws what Cohere answers to messages that don't fit each other: https://docs.cohere.com/reference/chat#request.body.messages */
export function readMessages(messages: unknown): JsonObject[] {
  if (!Array.isArray(messages)) throw refused('invalid request: messages is required')
  if (messages.length === 0) throw refused('invalid request: messages must have at least one element')
  let open: string[] = []
  for (const [i, message] of messages.entries()) {
    checkMessage(message, i)
    if (message.role === 'tool') {
      const id = String(message.tool_call_id)
      if (!open.includes(id)) {
        throw refused(`invalid request: messages[${i}]: no tool call with id '${id}' in the message before`)
      }
      open = open.filter((one) => one !== id)
      continue
    }
    if (open.length > 0) {
      throw refused(`invalid request: messages[${i}]: tool calls without a result: ${open.join(', ')}`)
    }
    open = callsOf(message).map(({ id }) => String(id))
  }
  if (open.length > 0) throw refused(`invalid request: tool calls without a result: ${open.join(', ')}`)
  return messages
}

export function callsOf(message: JsonObject): JsonObject[] {
  return Array.isArray(message.tool_calls) ? message.tool_calls.filter(isObject) : []
}

function checkMessage(message: unknown, i: number): asserts message is JsonObject {
  if (!isObject(message)) throw refused(`invalid type: messages[${i}] must be an object`)
  const role = String(message.role)
  if (!Object.hasOwn(fields, role)) {
    throw refused(`invalid request: messages[${i}].role must be one of system, user, assistant, tool`)
  }
  const unknown = Object.keys(message).find((name) => name !== 'role' && !fields[role]!.includes(name))
  if (unknown !== undefined) {
    throw refused(`unknown field: parameter 'messages[${i}].${unknown}' is not a valid field`, 422)
  }
  const calls = callsOf(message)
  checkContent(message.content, role, calls.length > 0, i)
  for (const { id, type, function: called } of calls) {
    if (typeof id !== 'string' || id === '' || type !== 'function' || !isObject(called)) {
      throw refused(`invalid request: messages[${i}].tool_calls must each have an id, a type and a function`)
    }
    if (typeof called.name !== 'string' || !isJsonObject(called.arguments)) {
      throw refused(`invalid request: messages[${i}].tool_calls: arguments must be the JSON of an object`)
    }
  }
}

function checkContent(content: unknown, role: string, hasCalls: boolean, i: number): void {
  if (content === undefined || content === null || content === '') {
    if (role === 'assistant' && hasCalls) return
    throw refused(`invalid request: messages[${i}] must have content or tool calls`)
  }
  if (typeof content === 'string') return
  if (!Array.isArray(content)) throw refused(`invalid type: messages[${i}].content must be a string or an array`)
  for (const part of content) {
    if (!isObject(part) || !partTypes[role]!.includes(String(part.type))) {
      throw refused(`invalid request: messages[${i}].content must be of ${partTypes[role]!.join(' or ')}`)
    }
  }
}

function isJsonObject(json: unknown): boolean {
  try {
    return isObject(JSON.parse(String(json)))
  } catch {
    return false
  }
}
