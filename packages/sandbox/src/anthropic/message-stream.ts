import type { StreamEvent } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import type { SandboxConfig } from '../settings.ts'
import { failureBody } from './errors.ts'
import { type Message, searchBlocks } from './messages.ts'
import { seal, sign } from './thinking.ts'

/**
 * https://platform.claude.com/docs/en/build-with-claude/streaming: message_start, each block with one token a delta, message_delta with the reason and the usage, message_stop.
 */
export function* messageEvents(message: Message, settings: SandboxConfig): Generator<StreamEvent> {
  let tokens = 0
  let pinged = false
  yield event('message_start', { message: opening(message) })
  for (const one of blockEvents(message)) {
    if (tokens === settings.stream_error_after && one.tokens > 0) return yield failure(settings)
    tokens += one.tokens
    yield one
    if (!pinged) yield event('ping', {})
    pinged = true
  }
  if (tokens === settings.stream_error_after) return yield failure(settings)
  const { stopReason: stop_reason, stopSequence: stop_sequence, stopDetails: stop_details } = message
  yield event('message_delta', {
    delta: { stop_reason, stop_sequence, ...(stop_details && { stop_details }) },
    ...(message.usage && { usage: countedBy(message.usage) }),
  })
  if (!settings.no_done) yield event('message_stop', {})
}

function failure(settings: SandboxConfig): StreamEvent {
  return { event: 'error', data: failureBody(529, settings), tokens: 0 }
}

function opening({ id, model, usage }: Message): JsonObject {
  const begun = { id, type: 'message', role: 'assistant', model, content: [], stop_reason: null, stop_sequence: null }
  const toldLater = { output_tokens: 1, output_tokens_details: null, server_tool_use: null }
  return { ...begun, ...(usage && { usage: { ...usage, ...toldLater } }) }
}

/** The counts of the whole message; what it was written to the cache for stood in message_start. */
function countedBy({ cache_creation: _, service_tier: __, ...usage }: JsonObject): JsonObject {
  return usage
}

function* blockEvents({ thoughts, isSealed, queries, choice }: Message): Generator<StreamEvent> {
  let index = 0
  if (thoughts.length > 0) {
    const text = thoughts.join('')
    if (isSealed) {
      yield event(
        'content_block_start',
        { index, content_block: { type: 'redacted_thinking', data: seal(text) } },
        thoughts.length,
      )
    } else {
      yield event('content_block_start', { index, content_block: { type: 'thinking', thinking: '', signature: '' } })
      for (const thinking of thoughts) yield delta(index, { type: 'thinking_delta', thinking }, 1)
      yield delta(index, { type: 'signature_delta', signature: sign(text) })
    }
    yield event('content_block_stop', { index: index++ })
  }
  for (const [asked, found] of queries.map(searchBlocks)) {
    yield event('content_block_start', { index, content_block: { ...asked, input: {} } })
    yield delta(index, { type: 'input_json_delta', partial_json: JSON.stringify(asked.input) })
    yield event('content_block_stop', { index: index++ })
    yield event('content_block_start', { index, content_block: found })
    yield event('content_block_stop', { index: index++ })
  }
  if (choice.pieces.length > 0) {
    yield event('content_block_start', { index, content_block: { type: 'text', text: '', citations: null } })
    for (const text of choice.pieces) yield delta(index, { type: 'text_delta', text }, 1)
    yield event('content_block_stop', { index: index++ })
  }
  for (const { id, name, pieces } of choice.toolCalls) {
    yield event('content_block_start', { index, content_block: { type: 'tool_use', id, name, input: {} } }, 1)
    yield delta(index, { type: 'input_json_delta', partial_json: '' })
    // Without arguments nothing is streamed of them.
    const given = pieces.join('') === '{}' ? [] : pieces
    for (const partial_json of given) yield delta(index, { type: 'input_json_delta', partial_json }, 1)
    yield event('content_block_stop', { index: index++ })
  }
}

function delta(index: number, given: JsonObject, tokens = 0): StreamEvent {
  return event('content_block_delta', { index, delta: given }, tokens)
}

function event(type: string, more: JsonObject, tokens = 0): StreamEvent {
  return { event: type, data: JSON.stringify({ type, ...more }), tokens }
}
