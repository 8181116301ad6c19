import { isObject, type JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'
import {
  invalidValue,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalObject,
  required,
  wrongType,
} from './fields.ts'
import { readModel } from './models.ts'

/** What the sandbox reads of https://platform.openai.com/docs/api-reference/chat/create; the rest is accepted unread. */
export type ChatRequest = {
  model: string
  messages: JsonObject[]
  stream: boolean
  includeUsage: boolean
  choices: number
  /** Bounds reasoning and visible tokens together. */
  tokensMax: number
  stop: string[]
  tools: JsonObject[]
  /** The functions an answer calls, in this order; empty when it is to be text. */
  callable: JsonObject[]
  parallelCalls: boolean
  /** Set when the content is to be JSON. */
  schema: unknown
}

/** Throws the 400 or 404 that OpenAI would, with `param`. */
export function readChatRequest(body: JsonObject): ChatRequest {
  const messages = readMessages(body)
  const model = readModel(body)
  const stream = optionalBoolean(body, 'stream')
  const streamOptions = optionalObject(body, 'stream_options')
  if (streamOptions !== undefined && !stream) {
    throw invalidValue('stream_options', "it is only allowed when 'stream' is enabled")
  }
  optionalNumber(body, 'temperature', 0, 2)
  optionalNumber(body, 'top_p', 0, 1)
  const tools = readTools(body)
  return {
    model,
    messages,
    stream,
    includeUsage: streamOptions?.include_usage === true,
    choices: optionalInteger(body, 'n', 1, 128) ?? 1,
    tokensMax: readTokensMax(body),
    stop: readStop(body),
    tools,
    callable: readCallable(body, tools, messages),
    parallelCalls: body.parallel_tool_calls !== false,
    schema: readSchema(body),
  }
}

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function']
const partTypes = ['text', 'image_url', 'input_audio', 'file', 'refusal']

function readMessages(body: JsonObject): JsonObject[] {
  const messages = required(body, 'messages')
  if (!Array.isArray(messages)) throw wrongType('messages', 'an array of objects')
  if (messages.length === 0) {
    throw new Refusal(400, "Invalid 'messages': empty array. Expected an array with minimum length 1.", {
      param: 'messages',
      code: 'empty_array',
    })
  }
  const called = new Set<unknown>()
  messages.forEach((message, index) => {
    checkMessage(message, `messages[${index}]`, called)
  })
  return messages
}

function checkMessage(message: unknown, param: string, called: Set<unknown>): void {
  if (!isObject(message)) throw wrongType(param, 'an object')
  if (!roles.includes(message.role as string)) {
    throw invalidValue(`${param}.role`, `supported values are: ${roles.join(', ')}`)
  }
  checkContent(message, `${param}.content`)
  if (Array.isArray(message.tool_calls)) {
    for (const call of message.tool_calls) if (isObject(call)) called.add(call.id)
  }
  // A gateway that loses a tool call's id between dialects is caught here, as it would be by OpenAI.
  if (message.role === 'tool' && !called.has(message.tool_call_id)) {
    throw new Refusal(400, "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'.", {
      param: `${param}.role`,
    })
  }
}

function checkContent(message: JsonObject, param: string): void {
  const content = message.content ?? null
  if (typeof content === 'string') return
  if (content === null) {
    if (message.role === 'assistant' || message.role === 'function') return
    throw wrongType(param, 'a string or an array of content parts')
  }
  if (!Array.isArray(content)) throw wrongType(param, 'a string or an array of content parts')
  content.forEach((part, index) => {
    if (!isObject(part)) throw wrongType(`${param}[${index}]`, 'an object')
    const type = part.type as string
    if (!partTypes.includes(type)) {
      throw invalidValue(`${param}[${index}].type`, `supported values are: ${partTypes.join(', ')}`)
    }
    const text = type === 'text' || type === 'refusal'
    if (text ? typeof part[type] !== 'string' : !isObject(part[type])) {
      throw wrongType(`${param}[${index}].${type}`, text ? 'a string' : 'an object')
    }
  })
}

function readTokensMax(body: JsonObject): number {
  const older = optionalInteger(body, 'max_tokens', 1, 1e9)
  const newer = optionalInteger(body, 'max_completion_tokens', 1, 1e9)
  if (older !== undefined && newer !== undefined) {
    throw invalidValue('max_tokens', "it cannot be set together with 'max_completion_tokens'")
  }
  return newer ?? older ?? Number.POSITIVE_INFINITY
}

function readStop(body: JsonObject): string[] {
  const stop = body.stop ?? []
  const sequences = typeof stop === 'string' ? [stop] : stop
  if (!Array.isArray(sequences) || sequences.some((one) => typeof one !== 'string')) {
    throw wrongType('stop', 'a string or an array of strings')
  }
  if (sequences.length > 4) throw invalidValue('stop', 'expected at most 4 sequences')
  return sequences.filter((one) => one !== '')
}

function readTools(body: JsonObject): JsonObject[] {
  const tools = body.tools ?? []
  if (!Array.isArray(tools)) throw wrongType('tools', 'an array of objects')
  tools.forEach((tool, index) => {
    if (!isObject(tool)) throw wrongType(`tools[${index}]`, 'an object')
    if (tool.type === 'custom') return
    if (tool.type !== 'function') throw invalidValue(`tools[${index}].type`, 'supported values are: function, custom')
    if (!isObject(tool.function)) throw wrongType(`tools[${index}].function`, 'an object')
    if (typeof tool.function.name !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(tool.function.name)) {
      throw invalidValue(`tools[${index}].function.name`, "expected a string that matches '^[a-zA-Z0-9_-]{1,64}$'")
    }
  })
  return tools
}

function readCallable(body: JsonObject, tools: JsonObject[], messages: JsonObject[]): JsonObject[] {
  const choice = body.tool_choice ?? 'auto'
  const functions = tools.map((tool) => tool.function).filter(isObject)
  if (tools.length === 0) {
    if (choice === 'auto' || choice === 'none') return []
    throw invalidValue('tool_choice', "it is only allowed when 'tools' are specified")
  }
  let callable = functions
  if (isObject(choice)) {
    if (choice.type === 'function') callable = functions.filter(({ name }) => name === nameIn(choice))
    if (callable.length === 0) throw invalidValue('tool_choice', "the function is not found in 'tools'")
  } else if (choice !== 'auto' && choice !== 'required' && choice !== 'none') {
    throw invalidValue('tool_choice', 'supported values are: none, auto, required')
  }
  // After a tool's result the answer is text, or an agent's loop would never end.
  return choice === 'none' || messages.at(-1)?.role === 'tool' ? [] : callable
}

function nameIn(choice: JsonObject): unknown {
  return isObject(choice.function) ? choice.function.name : undefined
}

function readSchema(body: JsonObject): unknown {
  const format = optionalObject(body, 'response_format')
  switch (format?.type) {
    case undefined:
      if (format === undefined) return undefined
      throw invalidValue('response_format.type', 'it is required')
    case 'text':
      return undefined
    case 'json_object':
      return anyObject
    case 'json_schema':
      if (!isObject(format?.json_schema)) throw wrongType('response_format.json_schema', 'an object')
      if (!isObject(format.json_schema.schema)) throw wrongType('response_format.json_schema.schema', 'an object')
      return format.json_schema.schema
    default:
      throw invalidValue('response_format.type', 'supported values are: text, json_object, json_schema')
  }
}

const anyObject = {
  type: 'object',
  properties: { answer: { type: 'string' }, confidence: { type: 'number', minimum: 0, maximum: 1 } },
}
