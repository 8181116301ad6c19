import { type Answer, answerTokens, argumentsOf, composeAnswer } from '../answer.ts'
import type { Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import type { Choice } from '../openai/choices.ts'
import { promptTokensOf } from '../prompt-tokens.ts'
import type { SandboxConfig } from '../settings.ts'
import { type ConverseRequest, readConverseRequest } from './converse-request.ts'
import { converseEvents } from './converse-stream.ts'
import { reasoningOf } from './thoughts.ts'

/** One answer, cut into tokens. */
export type Message = {
  thoughts: string[]
  choice: Choice
  stopReason: string
  /** Undefined where it is to be missing. */
  usage: JsonObject | undefined
  latencyMs: number
  /** `additionalModelResponseFields`, where one was asked for. */
  fields: JsonObject
  /** `serviceTier`, as it was asked for. */
  tier: JsonObject
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
export function converse(model: string, streamed: boolean, { body, settings }: Call): Reply {
  const request = readConverseRequest(body, model)
  const answer = composeAnswer(request, settings)
  const made = answer.choices[0]!
  const toolCalls = made.toolCalls.map((call) => ({ ...call, id: call.id.replace(/^call_/, 'tooluse_') }))
  const message: Message = {
    thoughts: answer.thoughts,
    choice: { ...made, toolCalls },
    stopReason: settings.finish_reason ?? stopReasonOf(made, body.guardrailConfig !== undefined),
    usage: usageOf(body, request, answer, settings),
    latencyMs: settings.latency_ms,
    ...tellings(body, made),
  }
  if (streamed && !settings.not_a_stream) {
    return { status: 200, framing: 'event-stream', content: { events: converseEvents(message, settings) } }
  }
  const json = JSON.stringify({
    metrics: { latencyMs: message.latencyMs },
    output: { message: { content: contentOf(message), role: 'assistant' } },
    stopReason: message.stopReason,
    ...message.fields,
    ...message.tier,
    ...(message.usage && { usage: message.usage }),
  })
  return { status: 200, content: { json, tokens: answerTokens(answer) } }
}

/** The sequence that stopped it is told only where `additionalModelResponseFieldPaths` asks for it, as of Claude. */
function tellings(body: JsonObject, { stopSequence }: Choice): Pick<Message, 'fields' | 'tier'> {
  const { additionalModelResponseFieldPaths: paths, serviceTier } = body
  const tells = stopSequence !== null && Array.isArray(paths) && paths.includes('/stop_sequence')
  return {
    fields: tells ? { additionalModelResponseFields: { stop_sequence: stopSequence } } : {},
    tier: isObject(serviceTier) ? { serviceTier } : {},
  }
}

function stopReasonOf({ refused, finishReason, stopSequence }: Choice, isGuarded: boolean): string {
  if (refused) return isGuarded ? 'guardrail_intervened' : 'content_filtered'
  if (finishReason === 'length') return 'max_tokens'
  if (finishReason === 'tool_calls') return 'tool_use'
  return stopSequence === null ? 'end_turn' : 'stop_sequence'
}

function contentOf({ thoughts, choice }: Message): JsonObject[] {
  const content: JsonObject[] = []
  if (thoughts.length > 0) content.push({ reasoningContent: reasoningOf(thoughts.join('')) })
  if (choice.pieces.length > 0) content.push({ text: choice.pieces.join('') })
  for (const { id, name, pieces } of choice.toolCalls) {
    content.push({ toolUse: { toolUseId: id, name, input: argumentsOf(pieces) ?? {} } })
  }
  return content
}

/**
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html: the input has neither what was read from the cache nor what was written to it. Of a prompt
 * with a `cachePoint` in it, half of what wasn't read was written, rounded down. A `usage` setting is reported as given, however absurd.
 */
function usageOf(
  body: JsonObject,
  request: ConverseRequest,
  answer: Answer,
  settings: SandboxConfig,
): JsonObject | undefined {
  if (settings.usage === 'missing') return undefined
  const given = settings.usage ?? {}
  const prompt = promptTokens(body, request)
  const read = given.cached_tokens ?? Math.min(settings.cached_tokens, prompt)
  const points = [
    ...JSON.stringify([body.toolConfig, body.system, body.messages]).matchAll(/"cachePoint":\{([^}]*)\}/g),
  ]
  const written = points.length > 0 && given.prompt_tokens === undefined ? Math.max(prompt - read, 0) >> 1 : 0
  const ttl = points.at(-1)?.[1]?.includes('"1h"') ? '1h' : '5m'
  const inputTokens = given.prompt_tokens ?? prompt - read - written
  const outputTokens = given.completion_tokens ?? answerTokens(answer)
  return {
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + read + written + outputTokens,
    cacheReadInputTokens: read,
    cacheWriteInputTokens: written,
    ...(written > 0 && { cacheDetails: [{ ttl, inputTokens: written }] }),
  }
}

function promptTokens({ system, toolConfig }: JsonObject, { turns }: ConverseRequest): number {
  const blocks = [...(Array.isArray(system) ? system.filter(isObject) : []), ...turns.flatMap(({ content }) => content)]
  const media = ['image', 'document', 'video', 'audio']
  return promptTokensOf({
    texts: [
      isObject(toolConfig) ? toolConfig.tools : undefined,
      ...blocks.flatMap(({ text, toolUse, toolResult, reasoningContent }) => [
        text,
        toolUse,
        toolResult,
        reasoningContent,
      ]),
    ],
    messages: turns.length + (system === undefined ? 0 : 1),
    parts: blocks.filter((block) => media.some((kind) => block[kind] !== undefined)).length,
  })
}
