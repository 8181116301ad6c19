import type { StreamEvent } from '../dialect.ts'
import type { SandboxConfig } from '../settings.ts'
import type { ChatRequest } from './chat-request.ts'
import type { Choice } from './choices.ts'
import { failureBody } from './errors.ts'

type Stream = {
  id: string
  request: ChatRequest
  choices: Choice[]
  usage: object | undefined
  settings: SandboxConfig
}

/**
 * https://platform.openai.com/docs/api-reference/chat/streaming: the role, one token a chunk, the finish reason, the
 * usage if `stream_options.include_usage` asked for it, [DONE].
 */
export function* chatEvents({ id, request, choices, usage, settings }: Stream): Generator<StreamEvent> {
  // All that differs between chunks stands between these two, so a chunk costs one small JSON.stringify.
  const opening = `{"id":"${id}","object":"chat.completion.chunk","created":${settings.created},"model":${JSON.stringify(
    request.model,
  )},"service_tier":"default","system_fingerprint":"fp_sandbox","choices":[`
  const closing = request.includeUsage ? '],"usage":null}' : ']}'
  let tokens = 0
  for (const delta of inTurn(choices)) {
    if (tokens === settings.stream_error_after && (delta.tokens > 0 || delta.finishReason !== undefined)) {
      yield { data: failureBody(500, settings), tokens: 0 }
      return
    }
    tokens += delta.tokens
    const finish = delta.finishReason === undefined ? 'null' : JSON.stringify(delta.finishReason)
    const choice = `{"index":${delta.index},"delta":${delta.json},"logprobs":null,"finish_reason":${finish}}`
    yield { data: opening + choice + closing, tokens: delta.tokens }
  }
  if (request.includeUsage && usage !== undefined) {
    yield { data: `${opening}],"usage":${JSON.stringify(usage)}}`, tokens: 0 }
  }
  if (!settings.no_done) yield { data: '[DONE]', tokens: 0 }
}

type Delta = { index: number; json: string; tokens: 0 | 1; finishReason?: string }

/** Several choices are streamed side by side, a delta of each at a time. */
function* inTurn(choices: Choice[]): Generator<Delta> {
  let running = choices.map(deltas)
  while (running.length > 0) {
    const next: typeof running = []
    for (const one of running) {
      const { value, done } = one.next()
      if (done) continue
      yield value
      next.push(one)
    }
    running = next
  }
}

function* deltas({ index, refused, pieces, toolCalls, finishReason }: Choice): Generator<Delta> {
  const silent = refused || toolCalls.length > 0
  yield { index, json: `{"role":"assistant","content":${silent ? 'null' : '""'},"refusal":null}`, tokens: 0 }
  const field = refused ? 'refusal' : 'content'
  for (const piece of pieces) yield { index, json: `{"${field}":${JSON.stringify(piece)}}`, tokens: 1 }
  for (const [position, call] of toolCalls.entries()) {
    const opened = { index: position, id: call.id, type: 'function', function: { name: call.name, arguments: '' } }
    yield { index, json: JSON.stringify({ tool_calls: [opened] }), tokens: 1 }
    for (const piece of call.pieces) {
      const more = { index: position, function: { arguments: piece } }
      yield { index, json: JSON.stringify({ tool_calls: [more] }), tokens: 1 }
    }
  }
  yield { index, json: '{}', tokens: 0, finishReason }
}
