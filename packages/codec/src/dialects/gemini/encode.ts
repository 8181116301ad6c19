import { defined, refuseAll, refuseOpenAiOnly } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject, Tool, ToolChoice } from '../../chat/request.ts'
import { type EncodedRequest, modelSegment, type Target } from '../../dialect.ts'
import { encodeContents, signsCalls } from './encode-contents.ts'

/** What else `generationConfig` has (https://ai.google.dev/api/generate-content#generationconfig); all other fields that ride along stand beside it. */
const OF_GENERATION = new Set([
  ...['responseModalities', 'mediaResolution', 'speechConfig', 'imageConfig', 'responseSchema', 'audioTimestamp'],
  ...['enableEnhancedCivicAnswers', 'routingConfig', 'modelSelectionConfig', 'enableAffectiveDialog'],
])

/** https://ai.google.dev/api/generate-content; on Vertex https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference */
export function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  refuseOpenAiOnly(request, unsupported)
  refuseAll(
    {
      logit_bias: request.logitBias,
      min_p: request.minP,
      repetition_penalty: request.repetitionPenalty,
      parallel_tool_calls: request.parallelToolCalls === false && request.tools.length > 0 ? false : null,
      service_tier: request.serviceTier === 'auto' || request.serviceTier === 'default' ? null : request.serviceTier,
    },
    'Gemini',
    unsupported,
  )
  const { system, contents } = encodeContents(request.messages, target)
  const rest = Object.entries(request.rest)
  const given = request.rest.generationConfig as JsonObject | undefined
  const generationConfig = defined({
    ...given,
    ...Object.fromEntries(rest.filter(([name]) => OF_GENERATION.has(name))),
    maxOutputTokens: request.outputMax,
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    seed: request.seed,
    frequencyPenalty: request.frequencyPenalty,
    presencePenalty: request.presencePenalty,
    stopSequences: request.stop.length > 0 ? request.stop : null,
    candidateCount: request.choices > 1 ? request.choices : null,
    responseLogprobs: request.logprobs === null ? null : true,
    logprobs: request.logprobs || null,
    ...encodeFormat(request),
    thinkingConfig: encodeThinking(request, target.model),
  })
  const body = defined({
    ...Object.fromEntries(rest.filter(([name]) => !OF_GENERATION.has(name) && name !== 'generationConfig')),
    contents,
    systemInstruction: system.length > 0 ? { parts: system } : null,
    ...encodeTools(request, unsupported),
    generationConfig: Object.keys(generationConfig).length > 0 ? generationConfig : null,
  })
  const method = request.streamed ? 'streamGenerateContent?alt=sse' : 'generateContent'
  return { path: `${modelPath(target)}:${method}`, body }
}

export function modelPath({ model, hosting }: Pick<Target, 'model' | 'hosting'>): string {
  return hosting === 'vertex' ? `/publishers/google/models/${modelSegment(model)}` : `/models/${modelSegment(model)}`
}

/** https://ai.google.dev/gemini-api/docs/function-calling */
function encodeTools({ tools, toolChoice }: ChatRequest, unsupported: Target['unsupported']): JsonObject {
  const declarations = tools.flatMap((tool, i) => encodeTool(tool, i, unsupported))
  if (declarations.length === 0) return {}
  return {
    tools: [{ functionDeclarations: declarations }],
    ...(toolChoice !== null && { toolConfig: { functionCallingConfig: encodeChoice(toolChoice) } }),
  }
}

function encodeTool(tool: Tool, i: number, unsupported: Target['unsupported']): JsonObject[] {
  if (tool.type === 'other') {
    unsupported(`tools[${i}]`, `Gemini has no tool of type ${String(tool.raw.type)}.`)
    return []
  }
  const { name, description, parameters } = tool
  return [defined({ name, description, parametersJsonSchema: parameters })]
}

function encodeChoice(choice: ToolChoice): JsonObject {
  switch (choice.type) {
    case 'none':
      return { mode: 'NONE' }
    case 'required':
      return { mode: 'ANY' }
    case 'function':
      return { mode: 'ANY', allowedFunctionNames: [choice.name] }
    case 'allowed':
      return choice.mode === 'required'
        ? { mode: 'ANY', allowedFunctionNames: choice.names }
        : { mode: 'VALIDATED', allowedFunctionNames: choice.names }
    case 'auto':
      return { mode: 'AUTO' }
  }
}

/** https://ai.google.dev/gemini-api/docs/structured-output */
function encodeFormat({ format }: ChatRequest): JsonObject {
  switch (format.type) {
    case 'text':
      return {}
    case 'json':
      return { responseMimeType: 'application/json' }
    case 'schema':
      return { responseMimeType: 'application/json', responseJsonSchema: format.schema }
  }
}

/** What Google's own OpenAI-compatible API makes of an effort (https://ai.google.dev/gemini-api/docs/openai#thinking). */
const BUDGETS: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 1_024,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
  xhigh: 24_576,
}

/** Models from Gemini 3 on take a level, those before it a budget (https://ai.google.dev/gemini-api/docs/thinking). */
function encodeThinking({ reasoning }: ChatRequest, model: string): JsonObject | null {
  if (reasoning === null) return null
  const { effort, budget } = reasoning
  if (budget !== null) return { thinkingBudget: budget, includeThoughts: budget > 0 }
  if (effort === null) return { includeThoughts: true }
  if (signsCalls(model)) {
    const level = effort === 'none' ? 'minimal' : effort === 'xhigh' ? 'high' : effort
    return { thinkingLevel: level, includeThoughts: effort !== 'none' }
  }
  return { thinkingBudget: BUDGETS[effort]!, includeThoughts: effort !== 'none' }
}
