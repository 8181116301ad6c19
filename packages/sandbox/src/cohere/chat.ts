import { hash } from 'node:crypto'
import { type Answer, answerTokens, composeAnswer } from '../answer.ts'
import type { Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import type { Choice, ToolCall } from '../openai/choices.ts'
import { promptTokensOf } from '../prompt-tokens.ts'
import type { SandboxConfig } from '../settings.ts'
import { type ChatRequest, readChatRequest } from './chat-request.ts'
import { chatEvents } from './chat-stream.ts'
import { callsOf } from './messages.ts'

/** One answer, cut into tokens. */
export type Message = {
  id: string
  /** What was thought, as content or as a plan of the calls that follow. */
  thinking: string[]
  plan: string[]
  text: string[]
  calls: ToolCall[]
  finishReason: string
  /** Undefined where it is to be missing. */
  usage: JsonObject | undefined
}

/** https://docs.cohere.com/reference/chat */
export function chat({ body, bytes, settings }: Call): Reply {
  const request = readChatRequest(body)
  const answer = composeAnswer(request, settings)
  const message = messageOf(answer, request, bytes, settings)
  if (request.stream && !settings.not_a_stream) {
    return { status: 200, content: { events: chatEvents(message, settings) } }
  }
  const json = JSON.stringify({
    id: message.id,
    finish_reason: message.finishReason,
    message: {
      role: 'assistant',
      ...(message.plan.length > 0 && { tool_plan: message.plan.join('') }),
      ...(message.calls.length > 0 && { tool_calls: message.calls.map(toolCall) }),
      ...(message.thinking.length + message.text.length > 0 && { content: contentOf(message) }),
    },
    ...(message.usage && { usage: message.usage }),
  })
  return { status: 200, content: { json, tokens: answerTokens(answer) } }
}

function messageOf(answer: Answer, request: ChatRequest, bytes: Buffer, settings: SandboxConfig): Message {
  const { thoughts } = answer
  const choice = answer.choices[0]!
  const isPlan = choice.toolCalls.length > 0 && !request.thinks
  const digest = hash('sha1', bytes, 'hex')
  return {
    id: [8, 12, 16, 20, 32].map((end, i, ends) => digest.slice(ends[i - 1] ?? 0, end)).join('-'),
    thinking: isPlan ? [] : thoughts,
    plan: isPlan ? thoughts : [],
    text: choice.pieces,
    calls: choice.toolCalls.map((call) => ({ ...call, id: call.id.replace(/^call/, call.name) })),
    finishReason: settings.finish_reason ?? finishReasonOf(choice),
    usage: usageOf(request, answer, settings),
  }
}

function finishReasonOf({ finishReason, stopSequence }: Choice): string {
  if (finishReason === 'length') return 'MAX_TOKENS'
  if (finishReason === 'tool_calls') return 'TOOL_CALL'
  return stopSequence === null ? 'COMPLETE' : 'STOP_SEQUENCE'
}

function toolCall({ id, name, pieces }: ToolCall): JsonObject {
  return { id, type: 'function', function: { name, arguments: pieces.join('') } }
}

function contentOf({ thinking, text }: Message): JsonObject[] {
  const content: JsonObject[] = []
  if (thinking.length > 0) content.push({ type: 'thinking', thinking: thinking.join('') })
  if (text.length > 0) content.push({ type: 'text', text: text.join('') })
  return content
}

/** Cohere's own preamble is read, and isn't billed. */
const preambleTokens = 66

/** A `usage` setting is reported as given, however absurd. */
function usageOf({ messages, tools }: ChatRequest, answer: Answer, settings: SandboxConfig): JsonObject | undefined {
  if (settings.usage === 'missing') return undefined
  const given = settings.usage ?? {}
  const input_tokens = given.prompt_tokens ?? promptTokens(messages, tools)
  const output_tokens = given.completion_tokens ?? answerTokens(answer)
  return {
    billed_units: { input_tokens, output_tokens },
    tokens: { input_tokens: input_tokens + preambleTokens, output_tokens },
    cached_tokens: given.cached_tokens ?? Math.min(settings.cached_tokens, input_tokens),
  }
}

function promptTokens(messages: JsonObject[], tools: JsonObject[]): number {
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content.filter(isObject) : []))
  const texts = messages.flatMap((message) => [
    typeof message.content === 'string' ? message.content : '',
    message.tool_plan,
    ...callsOf(message).flatMap(({ function: called }) => (isObject(called) ? [called.name, called.arguments] : [])),
  ])
  return promptTokensOf({
    texts: [tools, ...texts, ...parts.flatMap(({ text, thinking, document }) => [text, thinking, document])],
    messages: messages.length,
    parts: parts.filter(({ type }) => type === 'image_url').length,
  })
}
