import { isObject, type JsonObject } from '../json.ts'
import { readTurns, refused, type Turn } from './conversation.ts'
import { served } from './models.ts'
import { sealingText } from './thinking.ts'

/** What the sandbox reads of https://platform.claude.com/docs/en/api/messages. */
export type MessagesRequest = {
  model: string
  turns: Turn[]
  stream: boolean
  /** Bounds thoughts and visible tokens together. */
  tokensMax: number
  stop: string[]
  /** The tools an answer calls, in this order, as OpenAI's functions; empty when it is to be text. */
  callable: JsonObject[]
  parallelCalls: boolean
  /** Set when the text is to be JSON. */
  schema: unknown
  thinks: boolean
  mayThink: boolean
  sealsThoughts: boolean
}

/** Throws the 400 or 404 that Anthropic would. */
export function readMessagesRequest(body: JsonObject): MessagesRequest {
  const turns = checkMessagesBody(body, true)
  const tools = clientTools(body)
  const choice = isObject(body.tool_choice) ? body.tool_choice : {}
  const thinking = isObject(body.thinking) ? body.thinking.type : undefined
  return {
    model: String(body.model),
    turns,
    stream: body.stream === true,
    tokensMax: body.max_tokens as number,
    stop: (body.stop_sequences ?? []) as string[],
    callable: readCallable(tools, choice, turns),
    parallelCalls: choice.disable_parallel_tool_use !== true,
    schema: readSchema(body),
    thinks: thinking === 'enabled' || thinking === 'adaptive',
    mayThink: thinking !== 'disabled' && thinking !== 'between_tools',
    sealsThoughts: JSON.stringify(body.messages).includes(sealingText),
  }
}

const known = new Set([
  ...['model', 'messages', 'max_tokens', 'system', 'stream', 'temperature', 'top_p', 'top_k', 'stop_sequences'],
  ...['tools', 'tool_choice', 'thinking', 'output_config', 'output_format', 'metadata', 'service_tier', 'container'],
  ...['cache_control', 'context_management', 'mcp_servers', 'inference_geo', 'speed', 'diagnostics', 'sandbox'],
])

/** Version 2026-10-21 has no sampling, not even at its defaults (https://platform.claude.com/docs/en/api/versioning). */
export function checkVersion(body: JsonObject, version: unknown): void {
  if (version !== '2026-10-21') return
  for (const name of ['temperature', 'top_p', 'top_k']) {
    if (name in body) throw refused(`${name}: Extra inputs are not permitted`)
  }
}

/** Checks all that a message and a count of its tokens have in common, and `max_tokens` for the one that needs it. */
export function checkMessagesBody(body: JsonObject, isMessage: boolean): Turn[] {
  served(body.model)
  for (const name of Object.keys(body)) if (!known.has(name)) throw refused(`${name}: Extra inputs are not permitted`)
  if (isMessage) checkMaxTokens(body)
  const turns = readTurns(body.messages)
  checkSystem(body.system)
  checkRange(body, 'temperature', 1)
  checkRange(body, 'top_p', 1)
  checkTools(body)
  checkStop(body.stop_sequences)
  checkThinking(body, turns)
  checkSchema(readSchema(body), 'output_config.format.schema')
  const marks = JSON.stringify([body.system, body.tools, body.messages]).split('"cache_control":{').length - 1
  if (marks > 4) throw refused(`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`)
  return turns
}

function checkMaxTokens({ max_tokens: most }: JsonObject): void {
  if (most === undefined) throw refused('max_tokens: Field required')
  if (!Number.isInteger(most)) throw refused('max_tokens: Input should be a valid integer')
  if ((most as number) < 1) throw refused('max_tokens: must be greater than or equal to 1')
}

function checkSystem(system: unknown): void {
  if (system === undefined || typeof system === 'string') return
  if (!Array.isArray(system)) throw refused('system: Input should be a valid list')
  system.forEach((block, i) => {
    if (!isObject(block) || block.type !== 'text') throw refused(`system.${i}.type: Input should be 'text'`)
    if (block.text === '') throw refused('system: text content blocks must be non-empty')
  })
}

function checkRange(body: JsonObject, name: string, most: number): void {
  const value = body[name]
  if (value === undefined) return
  if (typeof value !== 'number') throw refused(`${name}: Input should be a valid number`)
  if (value < 0 || value > most) throw refused(`${name}: range: 0..${most}`)
}

function clientTools(body: JsonObject): JsonObject[] {
  const tools = Array.isArray(body.tools) ? body.tools.filter(isObject) : []
  return tools.filter(({ type }) => type === undefined || type === 'custom')
}

function checkTools(body: JsonObject): void {
  const { tools = [], tool_choice: choice } = body
  if (!Array.isArray(tools)) throw refused('tools: Input should be a valid list')
  tools.forEach((tool, i) => {
    if (!isObject(tool)) throw refused(`tools.${i}: Input should be a valid dictionary`)
    if (tool.type !== undefined && tool.type !== 'custom') {
      if (/_\d{8}$/.test(String(tool.type))) return
      throw refused(`tools.${i}: Input tag '${String(tool.type)}' is no tool's`)
    }
    if (typeof tool.name !== 'string' || !/^[a-zA-Z0-9_-]{1,128}$/.test(tool.name)) {
      throw refused(`tools.${i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`)
    }
    if (!isObject(tool.input_schema)) throw refused(`tools.${i}.custom.input_schema: Field required`)
    if (tool.input_schema.type !== 'object')
      throw refused(`tools.${i}.custom.input_schema.type: Input should be 'object'`)
    if (tool.strict === true) checkSchema(tool.input_schema, `tools.${i}.custom.input_schema`)
  })
  if (choice === undefined) return
  if (!isObject(choice) || !['auto', 'any', 'tool', 'none'].includes(String(choice.type))) {
    throw refused('tool_choice: Input should be auto, any, tool or none')
  }
  if (tools.length === 0) throw refused('tool_choice: tool_choice may only be specified while providing tools')
  if (choice.type === 'tool' && !tools.some((tool) => isObject(tool) && tool.name === choice.name)) {
    throw refused(`tool_choice: Tool '${String(choice.name)}' not found in provided tools`)
  }
}

function checkStop(stop: unknown): void {
  if (stop === undefined) return
  if (!Array.isArray(stop)) throw refused('stop_sequences: Input should be a valid list')
  if (stop.some((one) => typeof one !== 'string' || one.trim() === '')) {
    throw refused('stop_sequences: each stop sequence must contain non-whitespace')
  }
}

/** https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility */
function checkThinking(body: JsonObject, turns: Turn[]): void {
  const { thinking, max_tokens: most, tool_choice: choice } = body
  if (thinking === undefined) return
  const types = ['enabled', 'disabled', 'adaptive', 'between_tools']
  if (!isObject(thinking) || !types.includes(String(thinking.type))) {
    throw refused(`thinking: Input should be one of ${types.join(', ')}`)
  }
  if (thinking.type !== 'enabled') return
  const budget = thinking.budget_tokens
  if (!Number.isInteger(budget)) throw refused('thinking.enabled.budget_tokens: Field required')
  if ((budget as number) < 1024) {
    throw refused('thinking.enabled.budget_tokens: Input should be greater than or equal to 1024')
  }
  if (typeof most === 'number' && most <= (budget as number)) {
    throw refused('`max_tokens` must be greater than `thinking.budget_tokens`')
  }
  if (typeof body.temperature === 'number' && body.temperature !== 1) {
    throw refused('`temperature` may only be set to 1 when thinking is enabled')
  }
  if (isObject(choice) && (choice.type === 'any' || choice.type === 'tool')) {
    throw refused('Thinking may not be enabled when tool_choice forces tool use.')
  }
  const spoken = turns.findLast(({ role }) => role === 'assistant')
  const first = String(spoken?.blocks[0]?.type)
  if (spoken?.blocks.some(({ type }) => type === 'tool_use') && !first.includes('thinking')) {
    throw refused(
      `${spoken.path}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${first}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block.`,
    )
  }
}

function readSchema(body: JsonObject): unknown {
  const config = isObject(body.output_config) ? body.output_config : {}
  const format = config.format ?? body.output_format
  if (format === undefined || format === null) return undefined
  if (!isObject(format) || format.type !== 'json_schema') {
    throw refused("output_config.format.type: Input should be 'json_schema'")
  }
  if (!isObject(format.schema)) throw refused('output_config.format.schema: Field required')
  return format.schema
}

/** https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations */
function checkSchema(schema: unknown, path: string): void {
  if (Array.isArray(schema)) for (const one of schema) checkSchema(one, path)
  if (!isObject(schema)) return
  if (schema.type === 'object' && schema.additionalProperties !== false) {
    throw refused(`${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`)
  }
  for (const inner of Object.values(schema)) checkSchema(inner, path)
}

function readCallable(tools: JsonObject[], choice: JsonObject, turns: Turn[]): JsonObject[] {
  // After a tool's result the answer is text, or an agent's loop would never end.
  if (choice.type === 'none' || turns.at(-1)?.blocks.some(({ type }) => type === 'tool_result')) return []
  const chosen = choice.type === 'tool' ? tools.filter(({ name }) => name === choice.name) : tools
  return chosen.map(({ name, input_schema: parameters }) => ({ name, parameters }))
}
