/** OpenAI's chat completions, as providers speak them: https://platform.openai.com/docs/api-reference/chat */
import type { AnswerPart, Audio, ChatAnswer, Choice, FinishReason } from '../../chat/answer.ts'
import { addText } from '../../chat/content.ts'
import { effortOf } from '../../chat/effort.ts'
import { refuseAnthropicOnly } from '../../chat/openai-only.ts'
import type {
  ChatRequest,
  JsonObject,
  OutputFormat,
  ReasoningBlock,
  Tool,
  ToolCall,
  ToolChoice,
} from '../../chat/request.ts'
import { cutAndHashed } from '../../crc32.ts'
import type { Dialect, EncodedRequest, Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { readBilledNanos, readError, readErrorAmid, readUsage } from '../openai.ts'
import { OpenAiDecoder } from './decode-stream.ts'
import { writeCache, writeMessages } from './write-messages.ts'

export const openai: Dialect = {
  name: 'openai',
  framing: 'sse',
  heeds: ['prompt_cache_key'],
  // https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools
  toolNames: { outside: /[^a-zA-Z0-9_-]/g, lengthMax: 64 },
  encodeChat,
  decodeChat,
  decodeStream: () => new OpenAiDecoder(),
  decodeError: readError,
}

function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { outputCap = 'max_completion_tokens', systemRole = null } = target
  const { reasoning } = request
  refuseAnthropicOnly(request, target.unsupported)
  const tools = request.tools.flatMap((tool, i) => writeTool(tool, i, target))
  const body = defined({
    ...request.rest,
    ...request.openAiOnly,
    model: target.model,
    messages: writeMessages(request.messages, systemRole, target),
    tools: tools.length > 0 ? tools : null,
    // Without tools there is nothing to choose from, and saying how is refused.
    tool_choice: tools.length > 0 && request.toolChoice ? writeToolChoice(request.toolChoice) : null,
    parallel_tool_calls: tools.length > 0 ? request.parallelToolCalls : null,
    [outputCap]: request.outputMax,
    temperature: request.temperature,
    top_p: request.topP,
    // Not OpenAI's own, but of most that speak its dialect; whoever hasn't got it says so.
    top_k: request.topK,
    min_p: request.minP,
    repetition_penalty: request.repetitionPenalty,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    seed: request.seed,
    stop: request.stop.length > 0 ? request.stop : null,
    n: request.choices > 1 ? request.choices : null,
    logprobs: request.logprobs === null ? null : true,
    top_logprobs: request.logprobs || null,
    logit_bias: request.logitBias,
    response_format: writeFormat(request.format),
    reasoning_effort: reasoning && effortOf(reasoning),
    user: request.user === null ? null : shortened(request.user),
    service_tier: request.serviceTier,
    prompt_cache_key: request.promptCacheKey,
    ...(request.streamed && { stream: true, stream_options: { include_usage: true } }),
  })
  return { path: target.path ?? '/chat/completions', body }
}

const USER_LENGTH_MAX = 64

/** Names of users have an end at OpenAI; those that Anthropic’s coding agents give are longer (https://platform.openai.com/docs/api-reference/chat/create#chat-create-safety_identifier). */
function shortened(user: string): string {
  return user.length <= USER_LENGTH_MAX ? user : cutAndHashed(user, USER_LENGTH_MAX)
}

function writeTool(tool: Tool, i: number, target: Target): JsonObject[] {
  if (tool.type === 'other') {
    if (tool.of === 'openai') return [tool.raw]
    target.unsupported(`tools[${i}]`, `This provider has no tool of type ${String(tool.raw.type)}.`)
    return []
  }
  const { name, description, parameters, strict, cache } = tool
  const written = { type: 'function', function: defined({ name, description, parameters, strict }) }
  return [{ ...written, ...writeCache(cache, target) }]
}

function writeToolChoice(choice: ToolChoice): string | JsonObject {
  switch (choice.type) {
    case 'function':
      return { type: 'function', function: { name: choice.name } }
    case 'allowed': {
      const tools = choice.names.map((name) => ({ type: 'function', function: { name } }))
      return { type: 'allowed_tools', allowed_tools: { mode: choice.mode, tools } }
    }
    default:
      return choice.type
  }
}

function writeFormat(format: OutputFormat): JsonObject | null {
  switch (format.type) {
    case 'text':
      return null
    case 'json':
      return { type: 'json_object' }
    case 'schema': {
      const { name, description, schema, strict } = format
      return { type: 'json_schema', json_schema: defined({ name, description, schema, strict }) }
    }
  }
}

/** Without what is null. */
function defined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined))
}

function decodeChat(answer: JsonObject): ChatAnswer {
  const error = readErrorAmid(answer)
  if (error || !Array.isArray(answer.choices)) throw new SyntaxError(error?.message ?? 'the answer has no choices')
  return {
    id: textOrNull(answer.id),
    model: textOrNull(answer.model),
    createdAt: typeof answer.created === 'number' ? answer.created : null,
    choices: answer.choices.map((choice, i) => decodeChoice(choice, i, textOrNull(answer.id))),
    usage: readUsage(answer.usage),
    billedNanos: readBilledNanos(answer.usage),
    serviceTier: textOrNull(answer.service_tier),
    systemFingerprint: textOrNull(answer.system_fingerprint),
  }
}

function decodeChoice(choice: unknown, i: number, answerId: string | null): Choice {
  if (!isObject(choice) || !isObject(choice.message)) throw new SyntaxError('a choice has no message')
  const { message } = choice
  const refusal = textOrNull(message.refusal)
  const index = typeof choice.index === 'number' ? choice.index : i
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.filter(isObject) : []
  return {
    index,
    content: [
      ...readBlocks(message),
      ...readContent(message.content),
      ...(refusal === null ? [] : [{ type: 'refusal', text: refusal } as const]),
      ...calls.map((call, at) => readToolCall(call, callId(answerId, index, at))),
    ],
    audio: isObject(message.audio) ? readAudio(message.audio) : null,
    finish: finishReasonOf(choice.finish_reason),
    stopSequence: textOrNull(choice.stop_sequence) ?? textOrNull(choice.stop_reason),
    logprobs: choice.logprobs ?? null,
    annotations: Array.isArray(message.annotations) && message.annotations.length > 0 ? message.annotations : null,
  }
}

function readAudio({ id, data, transcript, expires_at }: JsonObject): Audio {
  return {
    id: textOrNull(id),
    data: textOrNull(data) ?? '',
    transcript: textOrNull(transcript),
    expiresAt: typeof expires_at === 'number' ? expires_at : null,
  }
}

/** Mistral's answers may be parts, of which some are thoughts (https://docs.mistral.ai/capabilities/reasoning/). */
export function readContent(content: unknown): AnswerPart[] {
  if (!Array.isArray(content)) return typeof content === 'string' ? [{ type: 'text', text: content }] : []
  const parts: AnswerPart[] = []
  for (const part of content.filter(isObject)) {
    if (part.type === 'text') addText(parts, textOrNull(part.text) ?? '')
    else if (part.type === 'thinking') {
      const thought = Array.isArray(part.thinking)
        ? part.thinking.map((piece) => (isObject(piece) ? (textOrNull(piece.text) ?? '') : '')).join('')
        : (textOrNull(part.thinking) ?? '')
      parts.push({ type: 'reasoning', text: thought, signature: null, encrypted: null, id: null })
    }
  }
  return parts
}

/** What was thought, by whatever name: `reasoning_details` (OpenRouter), `reasoning_content` (DeepSeek, xAI, Qwen), `reasoning` (Groq, vLLM). */
function readBlocks(message: JsonObject): ReasoningBlock[] {
  if (Array.isArray(message.reasoning_details) && message.reasoning_details.length > 0) {
    return message.reasoning_details.filter(isObject).map((detail) => ({
      type: 'reasoning',
      text: textOrNull(detail.text) ?? textOrNull(detail.summary),
      signature: textOrNull(detail.signature),
      encrypted: textOrNull(detail.data),
      id: textOrNull(detail.id),
    }))
  }
  const text = textOrNull(message.reasoning_content) ?? textOrNull(message.reasoning)
  return text ? [{ type: 'reasoning', text, signature: null, encrypted: null, id: null }] : []
}

/** What a call is called that came without an id, as from some servers: its result must name one, and no two calls of a conversation the same. */
export function callId(answerId: string | null, choice: number, call: number): string {
  return `call_${answerId || 'of'}_${choice}_${call}`
}

function readToolCall(call: JsonObject, otherwise: string): ToolCall {
  const called = isObject(call.function) ? call.function : isObject(call.custom) ? call.custom : {}
  return {
    type: 'call',
    id: textOrNull(call.id) || otherwise,
    name: textOrNull(called.name) ?? '',
    arguments: argumentsOf(called.arguments ?? called.input),
    signature: signatureOf(call),
  }
}

/** Text, though some servers give the object itself. */
export function argumentsOf(given: unknown): string {
  return given == null ? '' : typeof given === 'string' ? given : JSON.stringify(given)
}

export function signatureOf(call: JsonObject): string | null {
  const { extra_content: extra } = call
  return isObject(extra) && isObject(extra.google) ? textOrNull(extra.google.thought_signature) : null
}

/** Providers have words of their own for it. */
export function finishReasonOf(reason: unknown): FinishReason {
  switch (reason) {
    case 'length':
    case 'model_length':
    case 'max_tokens':
      return 'length'
    case 'tool_calls':
    case 'function_call':
      return 'tool_calls'
    case 'content_filter':
    case 'sensitive':
      return 'content_filter'
    default:
      return 'stop'
  }
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
