/** Bedrock's Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
import type { Usage } from '@nemo/domain/usage'
import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { defined, refuseAll, refuseOpenAiOnly } from '../../chat/openai-only.ts'
import type { ChatRequest, JsonObject, ReasoningBlock, Tool, ToolCall, ToolChoice } from '../../chat/request.ts'
import { type Dialect, type EncodedRequest, modelSegment, type Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { count, type WireError, withoutZeros } from '../openai.ts'
import { ConverseDecoder } from './decode-stream.ts'
import { cachePoint, encodeMessages } from './encode-messages.ts'

export const converse: Dialect = {
  name: 'converse',
  framing: 'event-stream',
  encodeChat,
  decodeChat,
  decodeStream: () => new ConverseDecoder(),
  decodeError,
}

/** Fields of Converse itself; whatever else rides along goes to the model. */
const CONVERSE_FIELDS = new Set([
  'additionalModelResponseFieldPaths',
  'guardrailConfig',
  'performanceConfig',
  'promptVariables',
  'requestMetadata',
  'serviceTier',
])

function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  refuseOpenAiOnly(request, unsupported)
  refuseAll(
    {
      n: request.choices > 1 ? request.choices : null,
      logprobs: request.logprobs,
      logit_bias: request.logitBias,
      seed: request.seed,
      min_p: request.minP,
      frequency_penalty: request.frequencyPenalty || null,
      presence_penalty: request.presencePenalty || null,
      repetition_penalty: request.repetitionPenalty,
    },
    'Bedrock',
    unsupported,
  )
  if (request.format.type === 'json') unsupported('response_format', 'Bedrock has no JSON mode without a schema.')
  const { system, turns } = encodeMessages(request.messages, unsupported)
  const rest = Object.entries(request.rest)
  const additional = defined({
    top_k: request.topK,
    ...Object.fromEntries(rest.filter(([name]) => !CONVERSE_FIELDS.has(name))),
    ...encodeReasoning(request, target),
  })
  const body = defined({
    ...Object.fromEntries(rest.filter(([name]) => CONVERSE_FIELDS.has(name))),
    messages: turns,
    system: system.length > 0 ? system : null,
    inferenceConfig: defined({
      maxTokens: request.outputMax,
      temperature: request.temperature,
      topP: request.topP,
      stopSequences: request.stop.length > 0 ? request.stop : null,
    }),
    toolConfig: encodeTools(request, unsupported),
    outputConfig: encodeFormat(request),
    serviceTier: encodeServiceTier(request.serviceTier),
    additionalModelRequestFields: Object.keys(additional).length > 0 ? additional : null,
    requestMetadata: request.rest.requestMetadata ?? (request.user && { user: request.user.slice(0, 256) }),
  })
  return { path: `/model/${modelSegment(target.model)}/converse${request.streamed ? '-stream' : ''}`, body }
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html */
function encodeTools(
  { tools, toolChoice, messages }: ChatRequest,
  unsupported: Target['unsupported'],
): JsonObject | null {
  const wanted =
    toolChoice?.type === 'allowed'
      ? tools.filter((tool) => tool.type === 'other' || toolChoice.names.includes(tool.name))
      : tools
  // There is no "none": tools are left out, unless the conversation has calls, which the API takes only beside tools.
  const hasCalls = messages.some(
    (message) => message.role === 'tool' || (message.role === 'assistant' && message.toolCalls.length > 0),
  )
  if (wanted.length === 0 || (toolChoice?.type === 'none' && !hasCalls)) return null
  if (toolChoice?.type === 'none') {
    unsupported('tool_choice', 'Bedrock can’t be told to call no tool in a conversation that has calls already.')
  }
  return defined({
    tools: wanted.flatMap((tool, i) => encodeTool(tool, i, unsupported)),
    toolChoice: encodeToolChoice(toolChoice),
  })
}

function encodeTool(tool: Tool, i: number, unsupported: Target['unsupported']): JsonObject[] {
  if (tool.type === 'other') {
    unsupported(`tools[${i}]`, `Bedrock has no tool of type ${String(tool.raw.type)}.`)
    return []
  }
  const toolSpec = defined({
    name: tool.name,
    description: tool.description,
    inputSchema: { json: { type: 'object', ...(tool.parameters ?? { properties: {} }) } },
    strict: tool.strict || null,
  })
  return [{ toolSpec }, ...cachePoint(tool.cache)]
}

function encodeToolChoice(choice: ToolChoice | null): JsonObject | null {
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

/** https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html: the schema is text. */
function encodeFormat({ format }: ChatRequest): JsonObject | null {
  if (format.type !== 'schema') return null
  const jsonSchema = defined({
    name: format.name,
    description: format.description,
    schema: JSON.stringify(format.schema),
  })
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } }
}

function encodeServiceTier(tier: string | null): JsonObject | null {
  return tier === null || tier === 'auto' ? null : { type: tier }
}

const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 1_024,
  low: 2_048,
  medium: 8_192,
  high: 16_384,
  xhigh: 32_768,
}

/** What a model thinks with is the model's own: Claude's in tokens, gpt-oss's, Nova's and DeepSeek's as an effort. */
function encodeReasoning({ reasoning, outputMax }: ChatRequest, { model, unsupported }: Target): JsonObject {
  if (reasoning === null) return {}
  const { effort, budget } = reasoning
  if (/anthropic\.claude/.test(model)) {
    if (effort === 'none' || budget === 0) return {}
    const tokens = budget ?? BUDGETS[effort ?? 'medium']!
    if (outputMax !== null && tokens >= outputMax) {
      unsupported('reasoning_effort', `Claude thinks within max_tokens: it must be more than ${tokens}.`)
      return {}
    }
    return { thinking: { type: 'enabled', budget_tokens: tokens } }
  }
  if (budget !== null && effort === null) {
    unsupported('reasoning.max_tokens', 'This model takes an effort, not a budget of tokens.')
    return {}
  }
  if (/amazon\.nova/.test(model)) {
    return effort === 'none'
      ? { reasoningConfig: { type: 'disabled' } }
      : {
          reasoningConfig: {
            type: 'enabled',
            maxReasoningEffort: effort === 'minimal' ? 'low' : effort === 'xhigh' ? 'high' : effort,
          },
        }
  }
  return { reasoning_effort: effort }
}

function decodeChat(answer: JsonObject): ChatAnswer {
  const message = isObject(answer.output) && isObject(answer.output.message) ? answer.output.message : null
  if (!message || !Array.isArray(message.content)) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no message')
  }
  const reasoning: ReasoningBlock[] = []
  const toolCalls: ToolCall[] = []
  let text: string | null = null
  for (const block of message.content.filter(isObject)) {
    if (typeof block.text === 'string') text = (text ?? '') + block.text
    else if (isObject(block.reasoningContent)) {
      const { reasoningText, redactedContent } = block.reasoningContent
      const thought = isObject(reasoningText) ? reasoningText : {}
      const encrypted = textOrNull(redactedContent)
      reasoning.push({
        text: encrypted === null ? (textOrNull(thought.text) ?? '') : null,
        signature: textOrNull(thought.signature),
        encrypted,
        id: null,
      })
    } else if (isObject(block.toolUse)) {
      const { toolUseId, name, input } = block.toolUse
      toolCalls.push({
        id: textOrNull(toolUseId) ?? '',
        name: textOrNull(name) ?? '',
        arguments: JSON.stringify(input ?? {}),
        signature: null,
      })
    }
  }
  return {
    id: null,
    model: null,
    createdAt: null,
    choices: [
      {
        index: 0,
        reasoning,
        text,
        refusal: null,
        toolCalls,
        finish: finishOf(answer.stopReason),
        stopSequence: null,
        logprobs: null,
        annotations: null,
      },
    ],
    usage: readConverseUsage(answer.usage),
    billedNanos: null,
    serviceTier: isObject(answer.serviceTier) ? textOrNull(answer.serviceTier.type) : null,
    systemFingerprint: null,
  }
}

export function finishOf(reason: unknown): FinishReason {
  switch (reason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length'
    case 'tool_use':
      return 'tool_calls'
    case 'guardrail_intervened':
    case 'content_filtered':
      return 'content_filter'
    default:
      return 'stop'
  }
}

/**
 * `inputTokens` has neither what was read from the cache nor what was written to it; `cacheDetails` says for how long
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html).
 */
export function readConverseUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const input = count(wire.inputTokens ?? 0)
  const output = count(wire.outputTokens ?? 0)
  const cachedInput = count(wire.cacheReadInputTokens ?? 0)
  const written = count(wire.cacheWriteInputTokens ?? 0)
  if (input === null || output === null || cachedInput === null || written === null) return null
  const details = Array.isArray(wire.cacheDetails) ? wire.cacheDetails.filter(isObject) : []
  const hour = details.reduce((sum, { ttl, inputTokens }) => sum + (ttl === '1h' ? (count(inputTokens) ?? 0) : 0), 0)
  const cacheWriteHour = Math.min(hour, written)
  if (input + output + cachedInput + written === 0) return null
  return withoutZeros({ input, cachedInput, cacheWrite: written - cacheWriteHour, cacheWriteHour, output })
}

export function decodeError(answer: unknown): WireError | null {
  if (!isObject(answer)) return null
  const message = answer.message ?? answer.Message
  return typeof message === 'string' ? { message, param: null, code: textOrNull(answer.__type) } : null
}
