import { invalidRequest } from '@nemo/domain/errors'
import type { JsonObject, OutputFormat, ReasoningWish, Tool, ToolChoice } from '../../chat/request.ts'
import {
  arrayAt,
  isObject,
  objectAt,
  oneOf,
  readCacheControl,
  readFlag,
  readInteger,
  readObject,
  readText,
  textAt,
} from '../../fields.ts'

/** `tools`, or `functions` as they were called before. */
export function readTools(body: JsonObject): Tool[] {
  if (body.tools == null && body.functions != null) {
    return arrayAt(body.functions, 'functions').map((given, i) =>
      readFunction(objectAt(given, `functions[${i}]`), `functions[${i}]`, null),
    )
  }
  if (body.tools == null) return []
  return arrayAt(body.tools, 'tools').map((given, i) => {
    const path = `tools[${i}]`
    const tool = objectAt(given, path)
    // Some clients say what it is by the field alone.
    const isFunction = tool.type === 'function' || (tool.type == null && isObject(tool.function))
    if (!isFunction) return { type: 'other', of: 'openai', raw: tool }
    return readFunction(objectAt(tool.function, `${path}.function`), `${path}.function`, readCacheControl(tool, path))
  })
}

function readFunction(given: JsonObject, path: string, cache: Extract<Tool, { type: 'function' }>['cache']): Tool {
  return {
    type: 'function',
    name: textAt(given.name, `${path}.name`),
    description: readText(given, 'description', `${path}.description`),
    parameters: readObject(given, 'parameters', `${path}.parameters`),
    strict: readFlag(given, 'strict', `${path}.strict`),
    cache: cache ?? readCacheControl(given, path),
  }
}

/** `tool_choice` in all its forms (https://platform.openai.com/docs/guides/function-calling#tool-choice), or `function_call`. */
export function readToolChoice(body: JsonObject): ToolChoice | null {
  const choice = body.tool_choice ?? body.function_call
  if (choice == null) return null
  if (typeof choice === 'string') {
    return { type: oneOf(choice === 'any' ? 'required' : choice, ['auto', 'none', 'required'], 'tool_choice') }
  }
  const given = objectAt(choice, 'tool_choice')
  if (body.tool_choice == null) return { type: 'function', name: textAt(given.name, 'function_call.name') }
  switch (given.type) {
    case 'function':
    case 'custom':
      return {
        type: 'function',
        name: textAt(objectAt(given[given.type], `tool_choice.${given.type}`).name, `tool_choice.${given.type}.name`),
      }
    case 'allowed_tools': {
      const allowed = objectAt(given.allowed_tools ?? given, 'tool_choice.allowed_tools')
      return {
        type: 'allowed',
        mode: oneOf(allowed.mode, ['auto', 'required'], 'tool_choice.allowed_tools.mode'),
        names: arrayAt(allowed.tools, 'tool_choice.allowed_tools.tools').map((tool, i) => nameOfTool(tool, i)),
      }
    }
    default:
      throw invalidRequest(
        'tool_choice',
        'tool_choice must be none, auto, required, or an object of type function, custom or allowed_tools.',
      )
  }
}

function nameOfTool(tool: unknown, i: number): string {
  const path = `tool_choice.allowed_tools.tools[${i}]`
  const given = objectAt(tool, path)
  return textAt(isObject(given.function) ? given.function.name : given.name, `${path}.function.name`)
}

export function readFormat(body: JsonObject): OutputFormat {
  const format = readObject(body, 'response_format')
  if (format === null) return { type: 'text' }
  switch (oneOf(format.type, ['text', 'json_object', 'json_schema'], 'response_format.type')) {
    case 'text':
      return { type: 'text' }
    case 'json_object':
      return { type: 'json' }
    case 'json_schema': {
      const path = 'response_format.json_schema'
      const given = objectAt(format.json_schema, path)
      return {
        type: 'schema',
        name: textAt(given.name, `${path}.name`),
        description: readText(given, 'description', `${path}.description`),
        schema: objectAt(given.schema ?? {}, `${path}.schema`),
        strict: readFlag(given, 'strict', `${path}.strict`),
      }
    }
  }
}

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const

/** `reasoning_effort` as OpenAI has it, `reasoning` as OpenRouter has it, or `thinking` as Anthropic has it. */
export function readReasoningWish(body: JsonObject): ReasoningWish | null {
  if (body.reasoning_effort != null) {
    return { effort: oneOf(body.reasoning_effort, EFFORTS, 'reasoning_effort'), budget: null, summary: null }
  }
  const reasoning = readObject(body, 'reasoning')
  if (reasoning !== null) {
    if (reasoning.enabled === false) return { effort: 'none', budget: null, summary: null }
    const effort = reasoning.effort == null ? null : oneOf(reasoning.effort, EFFORTS, 'reasoning.effort')
    const budget = readInteger(reasoning, 'max_tokens', 0, 1e9, 'reasoning.max_tokens')
    return { effort: effort ?? (budget === null ? 'medium' : null), budget, summary: null }
  }
  const thinking = readObject(body, 'thinking')
  if (thinking === null) return null
  switch (oneOf(thinking.type, ['enabled', 'disabled', 'adaptive'], 'thinking.type')) {
    case 'disabled':
      return { effort: 'none', budget: null, summary: null }
    case 'adaptive':
      return { effort: 'high', budget: null, summary: null }
    case 'enabled': {
      const budget = readInteger(thinking, 'budget_tokens', 0, 1e9, 'thinking.budget_tokens')
      return { effort: budget === null ? 'medium' : null, budget, summary: null }
    }
  }
}
