import type { Question } from '../answer.ts'
import { isObject, type JsonObject } from '../json.ts'
import { refused } from './errors.ts'
import { readMessages } from './messages.ts'
import { checkFields, readModel } from './models.ts'

/** What the sandbox reads of https://docs.cohere.com/reference/chat. */
export type ChatRequest = Question & {
  stream: boolean
  /** Whether thinking was asked for, so that thoughts are content; else those before tool calls are a plan. */
  thinks: boolean
  tools: JsonObject[]
}

const known = new Set([
  ...['stream', 'model', 'messages', 'tools', 'strict_tools', 'documents', 'citation_options', 'response_format'],
  ...['safety_mode', 'max_tokens', 'stop_sequences', 'temperature', 'seed', 'frequency_penalty', 'presence_penalty'],
  ...['k', 'p', 'logprobs', 'tool_choice', 'thinking', 'priority'],
])

/** Throws the 400, 404 or 422 that Cohere would. */
export function readChatRequest(body: JsonObject): ChatRequest {
  checkFields(body, known)
  const model = readModel(body)
  const messages = readMessages(body.messages)
  const tools = readTools(body)
  for (const [name, [least, most]] of Object.entries(ranges)) checkRange(body, name, least, most)
  if (typeof (body.stream ?? false) !== 'boolean') throw refused('invalid type: parameter stream must be a boolean')
  const schema = readSchema(body)
  if (schema !== undefined && tools.length > 0) {
    throw refused('invalid request: response_format of type json_object is not supported with tools or documents')
  }
  const thinking = readThinking(body.thinking)
  return {
    model,
    messages,
    tokensMax: typeof body.max_tokens === 'number' ? body.max_tokens : Number.POSITIVE_INFINITY,
    stop: readStop(body.stop_sequences),
    callable: readCallable(body.tool_choice, tools, messages),
    parallelCalls: true,
    schema,
    choices: 1,
    thinking: thinking === 'enabled' ? 'asked' : thinking === 'disabled' ? 'never' : 'maybe',
    stream: body.stream === true,
    thinks: thinking === 'enabled',
    tools,
  }
}

const ranges: Record<string, [number, number]> = {
  max_tokens: [1, 1e9],
  temperature: [0, 2],
  p: [0.01, 0.99],
  k: [0, 500],
  frequency_penalty: [0, 1],
  presence_penalty: [0, 1],
  seed: [0, Number.MAX_SAFE_INTEGER],
}

function checkRange(body: JsonObject, name: string, least: number, most: number): void {
  const value = body[name]
  if (value === undefined || value === null) return
  if (typeof value !== 'number') throw refused(`invalid type: parameter ${name} must be a number`)
  if (value < least || value > most) {
    throw refused(`invalid request: ${name} must be between ${least} and ${most} inclusive`)
  }
}

function readStop(stop: unknown): string[] {
  if (stop === undefined || stop === null) return []
  if (!Array.isArray(stop) || stop.some((one) => typeof one !== 'string')) {
    throw refused('invalid type: parameter stop_sequences must be an array of strings')
  }
  if (stop.length > 5) throw refused('invalid request: stop_sequences cannot have more than 5 elements')
  return stop.filter((one) => one !== '')
}

function readTools(body: JsonObject): JsonObject[] {
  const tools = body.tools ?? []
  if (!Array.isArray(tools)) throw refused('invalid type: parameter tools must be an array')
  return tools.map((tool, i) => {
    if (!isObject(tool) || tool.type !== 'function' || !isObject(tool.function)) {
      throw refused(`invalid request: tools[${i}] must be of type function`)
    }
    const { name, parameters } = tool.function
    if (typeof name !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_-]*$/.test(name)) {
      throw refused(`invalid request: tools[${i}].function.name is not a valid name`)
    }
    if (!isObject(parameters)) throw refused(`invalid request: tools[${i}].function.parameters is required`)
    return tool.function
  })
}

function readCallable(choice: unknown, tools: JsonObject[], messages: JsonObject[]): JsonObject[] {
  if (choice !== undefined && choice !== null) {
    if (choice !== 'REQUIRED' && choice !== 'NONE') {
      throw refused('invalid request: tool_choice must be one of REQUIRED, NONE')
    }
    if (tools.length === 0) throw refused('invalid request: tool_choice is only supported with tools')
  }
  // After a tool's result the answer is text, or an agent's loop would never end.
  return choice === 'NONE' || messages.at(-1)?.role === 'tool' ? [] : tools
}

/** https://docs.cohere.com/docs/structured-outputs */
function readSchema({ response_format: format }: JsonObject): unknown {
  if (format === undefined || format === null) return undefined
  if (!isObject(format) || (format.type !== 'text' && format.type !== 'json_object')) {
    throw refused('invalid request: response_format.type must be one of text, json_object')
  }
  if (format.type === 'text') return undefined
  const schema = format.json_schema ?? format.schema
  if (schema === undefined) return { type: 'object', properties: { answer: { type: 'string' } } }
  if (!isObject(schema) || schema.type !== 'object') {
    throw refused('invalid request: response_format.json_schema must be of type object')
  }
  return schema
}

/** https://docs.cohere.com/docs/reasoning */
function readThinking(thinking: unknown): unknown {
  if (thinking === undefined || thinking === null) return undefined
  if (!isObject(thinking) || (thinking.type !== 'enabled' && thinking.type !== 'disabled')) {
    throw refused('invalid request: thinking.type must be one of enabled, disabled')
  }
  const { token_budget: budget } = thinking
  if (budget !== undefined && !(Number.isInteger(budget) && (budget as number) > 0)) {
    throw refused('invalid request: thinking.token_budget must be a positive integer')
  }
  return thinking.type
}
