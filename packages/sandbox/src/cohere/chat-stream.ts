import type { StreamEvent } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import type { SandboxConfig } from '../settings.ts'
import type { Message } from './chat.ts'
import { failureMessage } from './errors.ts'

/**
 * https://docs.cohere.com/v2/docs/streaming and https://docs.cohere.com/docs/tool-use-streaming: message-start, each content with one token a delta, the plan, the calls,
 * message-end with the reason and the usage.
 */
export function* chatEvents(message: Message, settings: SandboxConfig): Generator<StreamEvent> {
  let tokens = 0
  yield event('message-start', {
    id: message.id,
    delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
  })
  for (const one of messageEvents(message)) {
    if (tokens === settings.stream_error_after && one.tokens > 0) return yield failure(settings)
    tokens += one.tokens
    yield one
  }
  if (tokens === settings.stream_error_after) return yield failure(settings)
  if (settings.no_done) return
  const { finishReason: finish_reason, usage } = message
  yield event('message-end', { id: message.id, delta: { finish_reason, ...(usage && { usage }) } })
}

/** A failure amid a stream is an end with another reason. */
function failure(settings: SandboxConfig): StreamEvent {
  const delta = { finish_reason: settings.error_code ?? 'ERROR', error: failureMessage(500, settings) }
  return event('message-end', { delta })
}

function* messageEvents({ thinking, plan, text, calls }: Message): Generator<StreamEvent> {
  let index = 0
  if (thinking.length > 0) yield* contentEvents(index++, 'thinking', thinking)
  if (text.length > 0) yield* contentEvents(index, 'text', text)
  for (const tool_plan of plan) yield event('tool-plan-delta', { delta: { message: { tool_plan } } }, 1)
  for (const [position, { id, name, pieces }] of calls.entries()) {
    const opened = { id, type: 'function', function: { name, arguments: '' } }
    yield event('tool-call-start', { index: position, delta: { message: { tool_calls: opened } } }, 1)
    for (const json of pieces) {
      const more = { function: { arguments: json } }
      yield event('tool-call-delta', { index: position, delta: { message: { tool_calls: more } } }, 1)
    }
    yield event('tool-call-end', { index: position })
  }
}

function* contentEvents(index: number, type: 'thinking' | 'text', pieces: string[]): Generator<StreamEvent> {
  yield event('content-start', { index, delta: { message: { content: { type, [type]: '' } } } })
  for (const piece of pieces) {
    yield event('content-delta', { index, delta: { message: { content: { [type]: piece } } } }, 1)
  }
  yield event('content-end', { index })
}

function event(type: string, more: JsonObject, tokens = 0): StreamEvent {
  return { event: type, data: JSON.stringify({ type, ...more }), tokens }
}
