import { isObject, type JsonObject } from '../json.ts'
import { invalidValue, required, wrongType } from './fields.ts'

/** What was done before with tools that aren't functions, and the fields that each must have (https://platform.openai.com/docs/api-reference/responses/create#responses-create-input). */
const doneBefore: Record<string, string[]> = {
  web_search_call: ['action'],
  file_search_call: ['queries'],
  code_interpreter_call: ['container_id'],
  image_generation_call: ['id'],
  local_shell_call: ['call_id', 'action'],
  local_shell_call_output: ['output'],
  shell_call: ['call_id', 'action'],
  shell_call_output: ['call_id', 'output'],
  apply_patch_call: ['call_id', 'operation'],
  apply_patch_call_output: ['call_id', 'status'],
  computer_call: ['call_id'],
  computer_call_output: ['call_id', 'output'],
  tool_search_call: [],
  tool_search_output: ['tools'],
  mcp_list_tools: ['server_label', 'tools'],
  mcp_call: ['server_label', 'name', 'arguments'],
  mcp_approval_request: ['server_label', 'name', 'arguments'],
  mcp_approval_response: ['approval_request_id', 'approve'],
  compaction: ['encrypted_content'],
}

/** An item of the input as a message of chat completions. Throws the 400 that OpenAI would. */
export function asMessage(item: unknown, index: number): JsonObject {
  const path = `input[${index}]`
  if (!isObject(item)) throw wrongType(path, 'an object')
  const type = String(item.type ?? 'message')
  switch (type) {
    case 'message': {
      const { content } = item
      const texts = Array.isArray(content)
        ? content.map((part) => (isObject(part) ? String(part.text ?? '') : ''))
        : [content]
      return { role: item.role, content: texts.join('') }
    }
    case 'function_call': {
      const called = { name: item.name, arguments: item.arguments }
      return calling({ id: item.call_id, type: 'function', function: called })
    }
    case 'custom_tool_call':
      return calling({ id: item.call_id, type: 'custom', custom: { name: item.name, input: item.input } })
    case 'function_call_output':
    case 'custom_tool_call_output':
      return { role: 'tool', tool_call_id: item.call_id, content: JSON.stringify(item.output) }
    case 'reasoning':
      return { role: 'assistant', content: '' }
  }
  const fields = doneBefore[type]
  if (fields === undefined) throw invalidValue(`${path}.type`, 'it is not a known type of item')
  for (const name of fields) required(item, name, `${path}.${name}`)
  return { role: 'assistant', content: '' }
}

function calling(call: JsonObject): JsonObject {
  return { role: 'assistant', content: null, tool_calls: [call] }
}

/** `tool_choice` as chat completions would have it: of the functions none is called where a tool of OpenAI's own is. Throws the 400 for one that isn't there. */
export function asChoice({ tools, tool_choice: choice }: JsonObject, functions: readonly unknown[]): JsonObject {
  if (choice == null) return {}
  if (isObject(choice) && (choice.type === 'function' || choice.type === 'custom')) {
    return { tool_choice: { type: 'function', function: { name: choice.name } } }
  }
  const wanted = isObject(choice) ? (choice.type === 'allowed_tools' ? choice.tools : [choice]) : []
  for (const one of Array.isArray(wanted) ? wanted.filter(isObject) : []) {
    const isThere = (tool: unknown) => isObject(tool) && tool.type === one.type && tool.name === one.name
    if (Array.isArray(tools) && tools.some(isThere)) continue
    throw invalidValue('tool_choice', `tool choice '${String(one.name ?? one.type)}' is not found in 'tools'`)
  }
  if (functions.length === 0) return {}
  return { tool_choice: isObject(choice) ? (choice.type === 'allowed_tools' ? 'auto' : 'none') : choice }
}
