import type { Question } from '../answer.ts'
import { isObject, type JsonObject } from '../json.ts'
import { functionsOf, readContents, type Turn } from './contents.ts'
import { refused } from './errors.ts'
import {
  checkFields,
  declarationFields,
  generationFields,
  readSchema,
  requestFields,
  thinkingFields,
  toolFields,
} from './known-fields.ts'

/** What the sandbox reads of https://ai.google.dev/api/generate-content#request-body. */
export type GenerateRequest = Question & {
  turns: Turn[]
  showsThoughts: boolean
  /** Whether the model signs what it calls, and wants the signature back. */
  signs: boolean
  isImage: boolean
  /** `standard`, `flex` or `priority`. */
  serviceTier: string
}

/** Throws the 400 that Google would. */
export function readGenerateRequest(body: JsonObject, model: string, isVertex: boolean): GenerateRequest {
  checkFields(body, requestFields, '')
  const signs = /gemini-(?:[3-9]|\d{2})/.test(model)
  const turns = readContents(body.contents, signs, isVertex)
  const config = readConfig(body.generationConfig)
  const thinking = readThinking(config.thinkingConfig, model)
  const functions = readFunctions(body.tools)
  if (config.responseMimeType === 'application/json' && functions.length > 0 && !signs) {
    throw refused("Function calling with a response mime type: 'application/json' is unsupported")
  }
  if (body.systemInstruction !== undefined) {
    const { systemInstruction: system } = body
    if (!isObject(system) || !Array.isArray(system.parts)) throw refused("Invalid value at 'system_instruction'")
  }
  return {
    model,
    messages: turns.map(({ role, parts }) => ({ role, parts })),
    tokensMax: (config.maxOutputTokens as number | undefined) ?? Number.POSITIVE_INFINITY,
    stop: (config.stopSequences as string[] | undefined) ?? [],
    callable: readCallable(body.toolConfig, functions, turns),
    parallelCalls: true,
    schema: readAnswerSchema(config),
    choices: (config.candidateCount as number | undefined) ?? 1,
    thinking,
    turns,
    showsThoughts: isObject(config.thinkingConfig) && config.thinkingConfig.includeThoughts === true,
    signs,
    isImage: Array.isArray(config.responseModalities) && config.responseModalities.includes('IMAGE'),
    serviceTier: readTier(body.serviceTier),
  }
}

/** https://ai.google.dev/gemini-api/docs/flex-inference, …/priority-inference */
function readTier(tier: unknown): string {
  if (tier === undefined) return 'standard'
  if (tier === 'standard' || tier === 'flex' || tier === 'priority') return tier
  throw refused(`Invalid value at 'service_tier', "${String(tier)}"`)
}

const ranges: Record<string, [number, number]> = {
  temperature: [0, 2],
  topP: [0, 1],
  topK: [0, 1e6],
  candidateCount: [1, 8],
  maxOutputTokens: [1, 65_536],
  presencePenalty: [-2, 2],
  frequencyPenalty: [-2, 2],
  logprobs: [0, 20],
}

function readConfig(config: unknown): JsonObject {
  if (config === undefined) return {}
  if (!isObject(config)) throw refused("Invalid value at 'generation_config'")
  checkFields(config, generationFields, 'generation_config')
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = config[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || value < least || value > most) {
      throw refused(`* GenerateContentRequest.generation_config.${name}: must be in the range [${least}, ${most}].\n`)
    }
  }
  const { stopSequences: stop } = config
  if (stop !== undefined && !(Array.isArray(stop) && stop.every((one) => typeof one === 'string'))) {
    throw refused("Invalid value at 'generation_config.stop_sequences'")
  }
  if (Array.isArray(stop) && stop.length > 5) {
    throw refused('The number of stop sequences must be at most 5.')
  }
  if (config.logprobs !== undefined && config.responseLogprobs !== true) {
    throw refused('Logprobs is not set to be returned: response_logprobs must be true.')
  }
  return config
}

/** https://ai.google.dev/gemini-api/docs/thinking */
function readThinking(thinking: unknown, model: string): Question['thinking'] {
  if (thinking === undefined) return 'maybe'
  if (!isObject(thinking)) throw refused("Invalid value at 'generation_config.thinking_config'")
  checkFields(thinking, thinkingFields, 'generation_config.thinking_config')
  const { thinkingBudget: budget, thinkingLevel: level } = thinking
  if (budget !== undefined && level !== undefined) {
    throw refused('You can only set only one of thinking budget and thinking level.')
  }
  if (level !== undefined) {
    if (/gemini-[12]/.test(model)) throw refused('Thinking level is not supported for this model.')
    if (!['minimal', 'low', 'medium', 'high'].includes(String(level).toLowerCase())) {
      throw refused(`Invalid value at 'generation_config.thinking_config.thinking_level', "${String(level)}"`)
    }
  }
  if (budget !== undefined && !(Number.isInteger(budget) && (budget as number) >= -1)) {
    throw refused("Invalid value at 'generation_config.thinking_config.thinking_budget'")
  }
  return budget === 0 ? 'never' : 'asked'
}

/** As OpenAI's: a name and a JSON Schema. */
function readFunctions(tools: unknown): JsonObject[] {
  if (tools === undefined) return []
  if (!Array.isArray(tools)) throw refused("Invalid value at 'tools'")
  return tools.flatMap((tool, i) => {
    if (!isObject(tool)) throw refused(`Invalid value at 'tools[${i}]'`)
    checkFields(tool, toolFields, `tools[${i}]`)
    const declarations = tool.functionDeclarations ?? []
    if (!Array.isArray(declarations)) throw refused(`Invalid value at 'tools[${i}].function_declarations'`)
    return declarations.map((one, j) => readFunction(one, `tools[${i}].function_declarations[${j}]`))
  })
}

function readFunction(declaration: unknown, path: string): JsonObject {
  if (!isObject(declaration)) throw refused(`Invalid value at '${path}'`)
  checkFields(declaration, declarationFields, path)
  const { name, parameters, parametersJsonSchema } = declaration
  if (typeof name !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/.test(name)) {
    throw refused(
      `* GenerateContentRequest.${path}.name: Invalid function name. Must start with a letter or an underscore.\n`,
    )
  }
  if (parameters !== undefined && parametersJsonSchema !== undefined) {
    throw refused(`* GenerateContentRequest.${path}: only one of parameters and parameters_json_schema may be set.\n`)
  }
  return { name, parameters: parametersJsonSchema ?? readSchema(parameters, `${path}.parameters`) }
}

/** https://ai.google.dev/api/caching#FunctionCallingConfig */
function readCallable(toolConfig: unknown, functions: JsonObject[], turns: Turn[]): JsonObject[] {
  const config =
    isObject(toolConfig) && isObject(toolConfig.functionCallingConfig) ? toolConfig.functionCallingConfig : {}
  const { mode = 'AUTO', allowedFunctionNames: allowed } = config
  if (!['AUTO', 'ANY', 'NONE', 'VALIDATED'].includes(String(mode))) {
    throw refused(`Invalid value at 'tool_config.function_calling_config.mode', "${String(mode)}"`)
  }
  if (mode === 'ANY' && functions.length === 0) {
    throw refused('Function calling config is set without function_declarations.')
  }
  let callable = functions
  if (Array.isArray(allowed) && allowed.length > 0) {
    if (mode !== 'ANY' && mode !== 'VALIDATED') {
      throw refused('Allowed function names may be set only when function calling mode is ANY or VALIDATED.')
    }
    const stray = allowed.find((name) => !functions.some((one) => one.name === name))
    if (stray !== undefined) throw refused(`Allowed function name '${String(stray)}' is not in function_declarations.`)
    callable = functions.filter(({ name }) => allowed.includes(name))
  }
  // After a function's response the answer is text, or an agent's loop would never end.
  return mode === 'NONE' || functionsOf(turns.at(-1)!, 'functionResponse').length > 0 ? [] : callable
}

/** https://ai.google.dev/gemini-api/docs/structured-output */
function readAnswerSchema({ responseMimeType: type, responseSchema, responseJsonSchema }: JsonObject): unknown {
  const schema = responseJsonSchema ?? readSchema(responseSchema, 'generation_config.response_schema')
  if (schema === undefined) {
    return type === 'application/json' ? { type: 'object', properties: { answer: { type: 'string' } } } : undefined
  }
  if (responseJsonSchema !== undefined && responseSchema !== undefined) {
    throw refused('Only one of response_schema and response_json_schema may be set.')
  }
  if (type !== 'application/json' && type !== 'text/x.enum') {
    throw refused('Response schema is set, but response_mime_type is not application/json.')
  }
  return schema
}
