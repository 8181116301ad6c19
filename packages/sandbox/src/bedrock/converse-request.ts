import type { Question } from '../answer.ts'
import { isObject, type JsonObject } from '../json.ts'
import { refused } from './errors.ts'
import { checkKeys, checkPattern, readMessages, type Turn } from './messages.ts'

/** What the sandbox reads of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. */
export type ConverseRequest = Question & { turns: Turn[] }

const known = [
  ...['messages', 'system', 'inferenceConfig', 'toolConfig', 'guardrailConfig', 'additionalModelRequestFields'],
  ...['promptVariables', 'additionalModelResponseFieldPaths', 'requestMetadata', 'performanceConfig', 'serviceTier'],
  ...['outputConfig', 'sandbox'],
]

/** Throws the 400 that Bedrock would. */
export function readConverseRequest(body: JsonObject, model: string): ConverseRequest {
  checkKeys(body, known)
  const { toolConfig, additionalModelRequestFields: additional } = body
  const turns = readMessages(body.messages, toolConfig !== undefined)
  checkSystem(body.system)
  const config = readInferenceConfig(body.inferenceConfig)
  const tools = readTools(toolConfig)
  return {
    model,
    messages: turns.map(({ role, content }) => ({ role, content })),
    tokensMax: (config.maxTokens as number | undefined) ?? Number.POSITIVE_INFINITY,
    stop: (config.stopSequences as string[] | undefined) ?? [],
    callable: readCallable(toolConfig, tools, turns),
    parallelCalls: true,
    schema: readSchema(body.outputConfig),
    choices: 1,
    thinking: readThinking(additional),
    turns,
  }
}

function checkSystem(system: unknown): void {
  if (system === undefined) return
  if (!Array.isArray(system)) throw refused('The value at system must be a list.')
  system.forEach((block, i) => {
    if (isObject(block) && (block.cachePoint ?? block.guardContent) !== undefined) return
    if (!isObject(block) || typeof block.text !== 'string' || block.text === '') {
      throw refused(
        `The text field in the SystemContentBlock object at system.${i} is blank. Add text to the text field, and try again.`,
      )
    }
  })
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html */
function readInferenceConfig(config: unknown): JsonObject {
  if (config === undefined) return {}
  if (!isObject(config)) throw refused('The value at inferenceConfig must be an object.')
  checkKeys(config, ['maxTokens', 'temperature', 'topP', 'stopSequences'])
  const { maxTokens, stopSequences: stop } = config
  for (const name of ['temperature', 'topP'] as const) {
    const value = config[name]
    if (value === undefined || (typeof value === 'number' && value >= 0 && value <= 1)) continue
    throw refused(
      `1 validation error detected: Value '${String(value)}' at 'inferenceConfig.${name}' failed to satisfy constraint: Member must have value less than or equal to 1`,
    )
  }
  if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && (maxTokens as number) >= 1)) {
    throw refused(
      `1 validation error detected: Value '${String(maxTokens)}' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1`,
    )
  }
  if (stop !== undefined && !(Array.isArray(stop) && stop.every((one) => typeof one === 'string' && one !== ''))) {
    throw refused(
      `1 validation error detected: Value at 'inferenceConfig.stopSequences' failed to satisfy constraint: Member must have length greater than or equal to 1`,
    )
  }
  return config
}

/** As OpenAI's functions: a name and a JSON Schema. */
function readTools(config: unknown): JsonObject[] {
  if (config === undefined) return []
  if (!isObject(config)) throw refused('The value at toolConfig must be an object.')
  checkKeys(config, ['tools', 'toolChoice'])
  if (!Array.isArray(config.tools) || config.tools.length === 0) {
    throw refused(
      `1 validation error detected: Value at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1`,
    )
  }
  return config.tools.flatMap((tool, i) => {
    const path = `toolConfig.tools.${i}`
    if (isObject(tool) && (tool.cachePoint ?? tool.systemTool) !== undefined) return []
    if (!isObject(tool) || !isObject(tool.toolSpec)) throw refused(`The value at ${path} is not a valid Tool.`)
    const { name, description, inputSchema } = tool.toolSpec
    checkKeys(tool.toolSpec, ['name', 'description', 'inputSchema', 'strict'])
    checkPattern(name, /^[a-zA-Z0-9_-]{1,64}$/, `${path}.toolSpec.name`)
    if (description === '') {
      throw refused(
        `1 validation error detected: Value '' at '${path}.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1`,
      )
    }
    const schema = isObject(inputSchema) ? inputSchema.json : undefined
    if (!isObject(schema) || schema.type !== 'object') {
      throw refused(`The value at ${path}.toolSpec.inputSchema.json.type must be one of the following: object.`)
    }
    return [{ name, parameters: schema }]
  })
}

function readCallable(config: unknown, tools: JsonObject[], turns: Turn[]): JsonObject[] {
  const choice = isObject(config) && config.toolChoice !== undefined ? config.toolChoice : { auto: {} }
  const [kind, ...others] = isObject(choice) ? Object.keys(choice) : []
  if (!isObject(choice) || others.length > 0 || !['auto', 'any', 'tool'].includes(kind ?? '')) {
    throw refused(
      'The value at toolConfig.toolChoice is not a valid ToolChoice: exactly one member of the union must be set.',
    )
  }
  let callable = tools
  if (isObject(choice.tool)) {
    const { name } = choice.tool
    callable = tools.filter((tool) => tool.name === name)
    if (callable.length === 0) {
      throw refused(`The tool ${String(name)} at toolConfig.toolChoice.tool.name is not defined in toolConfig.tools.`)
    }
  }
  // After a tool's result the answer is text, or an agent's loop would never end.
  return turns.at(-1)!.content.some((block) => block.toolResult !== undefined) ? [] : callable
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html: a schema as text. */
function readSchema(config: unknown): unknown {
  if (config === undefined) return undefined
  if (!isObject(config)) throw refused('The value at outputConfig must be an object.')
  checkKeys(config, ['textFormat', 'effort'])
  const format = config.textFormat
  if (format === undefined) return undefined
  const structure = isObject(format) && format.type === 'json_schema' ? format.structure : undefined
  const given = isObject(structure) ? structure.jsonSchema : undefined
  if (!isObject(given) || typeof given.schema !== 'string') {
    throw refused('The value at outputConfig.textFormat.structure.jsonSchema.schema must be a string.')
  }
  try {
    return JSON.parse(given.schema)
  } catch {
    throw refused('The value at outputConfig.textFormat.structure.jsonSchema.schema is not valid JSON.')
  }
}

/** As Claude is asked to think, and Nova: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html */
function readThinking(additional: unknown): Question['thinking'] {
  const { thinking, reasoning_config, reasoningConfig } = isObject(additional) ? additional : {}
  const given = thinking ?? reasoning_config ?? reasoningConfig
  if (!isObject(given)) return 'maybe'
  if (given.type === 'enabled' && given.budget_tokens !== undefined && Number(given.budget_tokens) < 1024) {
    throw refused(
      'The model returned the following errors: thinking.enabled.budget_tokens: Input should be greater than or equal to 1024',
    )
  }
  return given.type === 'disabled' ? 'never' : 'asked'
}
