/** Cohere's chat, version 2: https://docs.cohere.com/reference/chat */
import type { Usage } from '@nemo/domain/usage'
import type { AnswerPart, ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { writeArguments } from '../../chat/arguments.ts'
import { addText, byKind } from '../../chat/content.ts'
import { defined, refuseAll, refuseAnthropicOnly, refuseOpenAiOnly, wishes } from '../../chat/openai-only.ts'
import type {
  ChatRequest,
  ContentPart,
  JsonObject,
  Message,
  ReasoningBlock,
  ToolCall,
  ToolMessage,
} from '../../chat/request.ts'
import type { Dialect, EncodedRequest, Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'
import { textOrNull } from '../openai/dialect.ts'
import { count, type WireError, withoutZeros } from '../openai.ts'
import { CohereDecoder } from './decode-stream.ts'

export const cohere: Dialect = {
  name: 'cohere',
  framing: 'sse',
  heeds: [],
  // It says nothing of a length: https://docs.cohere.com/v1/reference/chat#request.body.tools
  toolNames: { outside: /[^a-zA-Z0-9_]|^(?=\d)/g, lengthMax: Number.POSITIVE_INFINITY },
  encodeChat,
  decodeChat,
  decodeStream: () => new CohereDecoder(),
  decodeError,
}

function encodeChat(request: ChatRequest, target: Target): EncodedRequest {
  const { unsupported } = target
  refuseOpenAiOnly(request, unsupported)
  refuseAnthropicOnly(request, unsupported)
  refuseAll(
    {
      n: request.choices > 1 ? request.choices : null,
      ...wishes(request),
      service_tier: request.serviceTier === 'auto' || request.serviceTier === 'default' ? null : request.serviceTier,
      top_logprobs: request.logprobs || null,
      parallel_tool_calls: request.parallelToolCalls === false && request.tools.length > 0 ? false : null,
    },
    'Cohere',
    unsupported,
  )
  const body = defined({
    ...request.rest,
    model: target.model,
    messages: encodeMessages(request.messages, unsupported),
    ...encodeTools(request, unsupported),
    max_tokens: request.outputMax,
    temperature: request.temperature,
    // All of the probability is more than the API takes.
    p: request.topP === null ? null : Math.min(request.topP, 0.99),
    k: request.topK,
    seed: request.seed,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    stop_sequences: request.stop.length > 0 ? request.stop : null,
    logprobs: request.logprobs === null ? null : true,
    response_format: encodeFormat(request, unsupported),
    thinking: encodeThinking(request),
    // The API insists on being told.
    stream: request.streamed,
  })
  return { path: '/chat', body }
}

/** Results are text here. Pictures in them are shown behind all results of a turn, and say what they belong to. */
function encodeMessages(messages: readonly Message[], unsupported: Target['unsupported']): JsonObject[] {
  const encoded: JsonObject[] = []
  const shown: JsonObject[] = []
  messages.forEach((message, i) => {
    const path = `messages[${i}]`
    if (message.role !== 'tool' && shown.length > 0) encoded.push({ role: 'user', content: shown.splice(0) })
    const made = encodeMessage(message, path, unsupported)
    if (made !== null) encoded.push(made)
    if (message.role === 'tool') shown.push(...encodeMedia(message, path, unsupported))
  })
  return shown.length > 0 ? [...encoded, { role: 'user', content: shown }] : encoded
}

function encodeMedia(
  { toolCallId, content }: ToolMessage,
  path: string,
  unsupported: Target['unsupported'],
): JsonObject[] {
  const media = content.flatMap((part, i) =>
    part.type === 'text' ? [] : encodePart(part, `${path}.content[${i}]`, unsupported),
  )
  return media.length === 0 ? [] : [{ type: 'text', text: `The result of ${toolCallId}:` }, ...media]
}

function encodeMessage(message: Message, path: string, unsupported: Target['unsupported']): JsonObject | null {
  switch (message.role) {
    case 'system':
      return { role: 'system', content: message.content.map(({ text }) => text).join('\n') }
    case 'user':
      return { role: 'user', content: encodeContent(message.content, path, unsupported) }
    case 'assistant': {
      const { reasoning, toolCalls, ...said } = byKind(message.content)
      const text = (said.text ?? '') + (said.refusal ?? '')
      // One that neither says nor calls anything is refused.
      if (text === '' && toolCalls.length === 0) return null
      // What was thought before tools were called is told apart from what was said.
      const thought = reasoning.map((block) => block.text ?? '').join('')
      return {
        role: 'assistant',
        ...(text !== '' && { content: text }),
        ...(toolCalls.length > 0 && thought !== '' && { tool_plan: thought }),
        ...(toolCalls.length > 0 && {
          tool_calls: toolCalls.map(({ id, name, arguments: json }) => ({
            id,
            type: 'function',
            function: { name, arguments: writeArguments(json) },
          })),
        }),
      }
    }
    case 'tool':
      return {
        role: 'tool',
        tool_call_id: message.toolCallId,
        content: message.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n'),
      }
  }
}

function encodeContent(
  parts: readonly ContentPart[],
  path: string,
  unsupported: Target['unsupported'],
): string | JsonObject[] {
  if (parts.every((part) => part.type === 'text'))
    return parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
  return parts.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`, unsupported))
}

function encodePart(part: ContentPart, path: string, unsupported: Target['unsupported']): JsonObject[] {
  if (part.type === 'text') return [{ type: 'text', text: part.text }]
  if (part.type === 'image' && (part.source.kind === 'url' || part.source.kind === 'base64')) {
    const { source, detail } = part
    const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
    return [{ type: 'image_url', image_url: { url, ...(detail !== null && { detail }) } }]
  }
  unsupported(path, `Cohere does not take ${part.type} in a message.`)
  return []
}

/** Of a choice the API knows REQUIRED and NONE: to call one function is to be required to, with that one alone. */
function encodeTools({ tools, toolChoice }: ChatRequest, unsupported: Target['unsupported']): JsonObject {
  const names =
    toolChoice?.type === 'function' ? [toolChoice.name] : toolChoice?.type === 'allowed' ? toolChoice.names : null
  const functions = tools.flatMap((tool, i) => {
    if (tool.type === 'function') return names === null || names.includes(tool.name) ? [tool] : []
    unsupported(`tools[${i}]`, `Cohere has no tool of type ${String(tool.raw.type)}.`)
    return []
  })
  if (functions.length === 0) return {}
  const isRequired =
    toolChoice?.type === 'required' ||
    toolChoice?.type === 'function' ||
    (toolChoice?.type === 'allowed' && toolChoice.mode === 'required')
  return {
    tools: functions.map(({ name, description, parameters }) => ({
      type: 'function',
      function: defined({ name, description, parameters: parameters ?? { type: 'object', properties: {} } }),
    })),
    ...(functions.some(({ strict }) => strict) && { strict_tools: true }),
    ...(isRequired ? { tool_choice: 'REQUIRED' } : toolChoice?.type === 'none' ? { tool_choice: 'NONE' } : {}),
  }
}

/** https://docs.cohere.com/docs/structured-outputs: not beside tools. */
function encodeFormat({ format, tools }: ChatRequest, unsupported: Target['unsupported']): JsonObject | null {
  if (format.type !== 'text' && tools.some(({ type }) => type === 'function')) {
    unsupported('response_format', 'Cohere writes JSON only where there are no tools.')
    return null
  }
  switch (format.type) {
    case 'text':
      return null
    case 'json':
      return { type: 'json_object' }
    case 'schema':
      return { type: 'json_object', json_schema: format.schema }
  }
}

const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 512,
  low: 1_024,
  medium: 4_096,
  high: 16_384,
  xhigh: 31_000,
}

/** https://docs.cohere.com/docs/reasoning: in tokens. */
function encodeThinking({ reasoning }: ChatRequest): JsonObject | null {
  if (reasoning === null) return null
  if (reasoning.effort === 'none' || reasoning.budget === 0) return { type: 'disabled' }
  return { type: 'enabled', token_budget: reasoning.budget ?? BUDGETS[reasoning.effort ?? 'medium']! }
}

function decodeChat(answer: JsonObject): ChatAnswer {
  const { message } = answer
  if (!isObject(message)) throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no message')
  if (isFailure(answer.finish_reason)) throw new SyntaxError(`the answer ended for ${String(answer.finish_reason)}`)
  const content: AnswerPart[] = []
  for (const part of Array.isArray(message.content) ? message.content.filter(isObject) : []) {
    if (part.type === 'text') addText(content, textOrNull(part.text) ?? '')
    else if (part.type === 'thinking') content.push(thought(textOrNull(part.thinking) ?? ''))
  }
  if (typeof message.tool_plan === 'string' && message.tool_plan !== '') content.push(thought(message.tool_plan))
  if (Array.isArray(message.tool_calls)) content.push(...message.tool_calls.filter(isObject).map(toolCallOf))
  const annotations = Array.isArray(message.citations) ? message.citations.filter(isObject).map(annotationOf) : []
  return {
    id: textOrNull(answer.id),
    model: null,
    createdAt: null,
    choices: [
      {
        index: 0,
        content,
        audio: null,
        finish: finishOf(answer.finish_reason),
        stopSequence: null,
        logprobs: logprobsOf(answer.logprobs),
        annotations: annotations.length > 0 ? annotations : null,
      },
    ],
    usage: readCohereUsage(answer.usage),
    billedNanos: null,
    serviceTier: null,
    systemFingerprint: null,
  }
}

function thought(text: string): ReasoningBlock {
  return { type: 'reasoning', text, signature: null, encrypted: null, id: null }
}

export function toolCallOf(call: JsonObject): ToolCall {
  const called = isObject(call.function) ? call.function : {}
  return {
    type: 'call',
    id: textOrNull(call.id) ?? '',
    name: textOrNull(called.name) ?? '',
    arguments: textOrNull(called.arguments) ?? '',
    signature: null,
  }
}

/** What a statement rests on, as OpenAI annotates a source that is a file: of documents there is no URL. */
export function annotationOf(citation: JsonObject): JsonObject {
  const { start, end, text, sources } = citation
  return { type: 'citation', citation: { start_index: start, end_index: end, text, sources } }
}

/** Each is of a piece of text and all the tokens in it (https://docs.cohere.com/reference/chat#response.body.logprobs), whose own texts aren't told: the first has all of it, so that the tokens still come to the text. */
export function logprobsOf(given: unknown): unknown {
  if (!Array.isArray(given)) return null
  const content = given.filter(isObject).flatMap(({ text, logprobs }) =>
    (Array.isArray(logprobs) ? logprobs : []).map((logprob, i) => ({
      token: i === 0 ? (textOrNull(text) ?? '') : '',
      logprob,
      bytes: null,
      top_logprobs: [],
    })),
  )
  return { content, refusal: null }
}

/** What was said until then is no answer. */
export function isFailure(reason: unknown): boolean {
  return reason === 'ERROR' || reason === 'TIMEOUT'
}

export function finishOf(reason: unknown): FinishReason {
  switch (reason) {
    case 'MAX_TOKENS':
      return 'length'
    case 'TOOL_CALL':
      return 'tool_calls'
    case 'ERROR_TOXIC':
      return 'content_filter'
    default:
      return 'stop'
  }
}

/** What is billed, which is less than what the model read: Cohere doesn't bill its own preamble (https://docs.cohere.com/reference/chat#response.body.usage). */
export function readCohereUsage(wire: unknown): Usage | null {
  if (!isObject(wire)) return null
  const units = isObject(wire.billed_units) ? wire.billed_units : isObject(wire.tokens) ? wire.tokens : null
  if (units === null) return null
  const input = count(units.input_tokens ?? 0)
  const output = count(units.output_tokens ?? 0)
  const cached = count(wire.cached_tokens ?? 0)
  const search = count(units.search_units ?? 0)
  if (input === null || output === null || cached === null || search === null) return null
  if (input + output + search === 0) return null
  const cachedInput = Math.min(cached, input)
  return withoutZeros({ input: input - cachedInput, cachedInput, output, search })
}

export function decodeError(answer: unknown): WireError | null {
  return isObject(answer) && typeof answer.message === 'string'
    ? { message: answer.message, param: null, code: null }
    : null
}
