import { byKind } from '../../chat/content.ts'
import { defined } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject, Message, Tool, ToolChoice } from '../../chat/request.ts'
import { closed } from '../anthropic/write-tools.ts'
import { encodeCachePoint } from './encode-messages.ts'

type Unsupported = (param: string, why: string) => void

/**
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
 *
 * There is no choice of none: the tools are left out then. But a conversation with calls in it is taken only beside tools. Where the request has none, those
 * that were called are declared, since there was nothing else to be called; where it has some and says `none`, what it asks can't be promised.
 */
export function encodeTools(request: ChatRequest, unsupported: Unsupported): JsonObject | null {
  const { tools, toolChoice, messages, parallelToolCalls } = request
  const wanted = tools.map((tool, i) => [tool, i] as const).filter(([tool]) => isAllowed(tool, toolChoice))
  const called = namesCalled(messages)
  if (wanted.length === 0) return called.length === 0 ? null : { tools: called.map(declare) }
  if (toolChoice?.type === 'none') {
    if (called.length === 0) return null
    unsupported('tool_choice', 'Bedrock can’t be told to call no tool in a conversation that has calls already.')
  }
  if (parallelToolCalls === false) {
    unsupported('parallel_tool_calls', 'Bedrock can’t be told to call one tool at a time.')
  }
  const encoded = wanted.flatMap(([tool, i]) => encodeTool(tool, i, unsupported))
  if (encoded.length === 0) return null
  return defined({ tools: encoded, toolChoice: encodeChoice(toolChoice) })
}

function isAllowed(tool: Tool, choice: ToolChoice | null): boolean {
  return choice?.type !== 'allowed' || tool.type === 'other' || choice.names.includes(tool.name)
}

function namesCalled(messages: readonly Message[]): string[] {
  const calls = messages.flatMap((message) => (message.role === 'assistant' ? byKind(message.content).toolCalls : []))
  return [...new Set(calls.map(({ name }) => name))]
}

function declare(name: string): JsonObject {
  const description = 'Was called before, and is not there any more.'
  return { toolSpec: { name, description, inputSchema: { json: { type: 'object', properties: {} } } } }
}

function encodeTool(tool: Tool, i: number, unsupported: Unsupported): JsonObject[] {
  if (tool.type === 'other') {
    unsupported(`tools[${i}]`, `Bedrock has no tool of type ${String(tool.raw.type)}.`)
    return []
  }
  const schema = { type: 'object', ...(tool.parameters ?? { properties: {} }) }
  const toolSpec = defined({
    name: tool.name,
    // An empty one is refused.
    description: tool.description || null,
    inputSchema: { json: tool.strict ? closed(schema) : schema },
    strict: tool.strict || null,
  })
  return [{ toolSpec }, ...encodeCachePoint(tool.cache)]
}

/** The subset of allowed tools is the tools that are sent, so `allowed` is `auto` or `any` of these. */
function encodeChoice(choice: ToolChoice | null): JsonObject | null {
  switch (choice?.type) {
    case 'required':
      return { any: {} }
    case 'function':
      return { tool: { name: choice.name } }
    case 'allowed':
      return choice.mode === 'required' ? { any: {} } : { auto: {} }
    case 'auto':
      return { auto: {} }
    default:
      return null
  }
}
