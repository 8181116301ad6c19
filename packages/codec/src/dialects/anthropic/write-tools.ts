import type { ChatRequest, JsonObject, Tool, ToolChoice } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { isServerTool, withUsesMax } from '../../hosted-tools.ts'
import type { ClaudeModel } from './models.ts'
import { writeCache } from './write-messages.ts'

/** `tools` and `tool_choice` (https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools). Server tools of Anthropic’s own are written as they came, with the most that they may be used. */
export function writeTools(
  tools: readonly Tool[],
  choice: ToolChoice | null,
  parallel: boolean | null,
  unsupported: (param: string, why: string) => void,
): JsonObject {
  const allowed = choice?.type === 'allowed' ? new Set(choice.names) : null
  const written = tools.flatMap((tool, i): JsonObject[] => {
    if (tool.type === 'function') return allowed === null || allowed.has(tool.name) ? [writeFunction(tool)] : []
    if (tool.of === 'anthropic' || isServerTool(tool.raw)) return [withUsesMax(tool.raw)]
    unsupported(`tools[${i}]`, `Anthropic has no tool of type ${String(tool.raw.type)}.`)
    return []
  })
  if (written.length === 0) return {}
  const chosen = writeChoice(choice, parallel)
  return { tools: written, ...(chosen && { tool_choice: chosen }) }
}

function writeFunction(tool: Extract<Tool, { type: 'function' }>): JsonObject {
  const { name, description, parameters, strict, cache } = tool
  const schema = parameters ?? { type: 'object', properties: {} }
  return {
    name,
    ...(description !== null && { description }),
    // A schema must say that it is an object’s.
    input_schema: strict ? closed(schema) : { type: 'object', ...schema },
    ...(strict && { strict: true }),
    ...writeCache(cache),
  }
}

/** The choice as the model can heed it: one that can't be made to call a tool is left free to. */
export function heedChoice(
  { tools, toolChoice }: Pick<ChatRequest, 'tools' | 'toolChoice'>,
  model: ClaudeModel,
  unsupported: (param: string, why: string) => void,
): ToolChoice | null {
  if (tools.length === 0 || model.isForced || !forces(toolChoice)) return toolChoice
  unsupported('tool_choice', 'This model can’t be made to call a tool.')
  return toolChoice?.type === 'allowed' ? { ...toolChoice, mode: 'auto' } : { type: 'auto' }
}

/** Whether a tool has to be called. */
export function forces(choice: ToolChoice | null): boolean {
  return choice?.type === 'allowed'
    ? choice.mode === 'required'
    : choice?.type === 'required' || choice?.type === 'function'
}

/** The subset of allowed tools is the tools that are sent, so `allowed` is `auto` or `any` of these. */
function writeChoice(choice: ToolChoice | null, parallel: boolean | null): JsonObject | null {
  const single = parallel === false ? { disable_parallel_tool_use: true } : {}
  switch (choice?.type) {
    case undefined:
      return parallel === false ? { type: 'auto', ...single } : null
    case 'none':
      return { type: 'none' }
    case 'auto':
      return { type: 'auto', ...single }
    case 'required':
      return { type: 'any', ...single }
    case 'function':
      return { type: 'tool', name: choice.name, ...single }
    case 'allowed':
      return { type: choice.mode === 'required' ? 'any' : 'auto', ...single }
  }
}

const NAMED_SCHEMAS = ['properties', '$defs', 'definitions']
const SCHEMA_LISTS = ['anyOf', 'allOf', 'oneOf', 'prefixItems']

/**
 * The schema with every object closed that doesn’t say whether it is: Anthropic wants `additionalProperties: false` said
 * (https://platform.claude.com/docs/en/build-with-claude/structured-outputs). What fits the narrower schema fits the caller’s.
 */
export function closed(schema: JsonObject): JsonObject {
  const made: Record<string, unknown> = { ...schema }
  for (const key of NAMED_SCHEMAS) {
    const named = schema[key]
    if (isObject(named))
      made[key] = Object.fromEntries(Object.entries(named).map(([name, one]) => [name, closedIf(one)]))
  }
  for (const key of SCHEMA_LISTS) if (Array.isArray(schema[key])) made[key] = schema[key].map(closedIf)
  if (isObject(schema.items)) made.items = closed(schema.items)
  const { type } = schema
  const isOfObjects =
    type === 'object' || (Array.isArray(type) && type.includes('object')) || isObject(schema.properties)
  if (isOfObjects && schema.additionalProperties === undefined) made.additionalProperties = false
  return made
}

function closedIf(value: unknown): unknown {
  return isObject(value) ? closed(value) : value
}
