import type { StreamEvent } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import type { SandboxConfig } from '../settings.ts'
import type { Message } from './converse.ts'
import { messages } from './errors.ts'
import { eventFrame, exceptionFrame } from './frame.ts'
import { reasoningOf } from './thoughts.ts'

/**
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html: messageStart, each block with one token a delta, messageStop with the reason,
 * metadata with the usage. Only a tool's block has a start.
 */
export function* converseEvents(message: Message, settings: SandboxConfig): Generator<StreamEvent> {
  let tokens = 0
  yield event('messageStart', { role: 'assistant' })
  for (const one of blockEvents(message)) {
    if (tokens === settings.stream_error_after && one.tokens > 0) return yield failure(settings)
    tokens += one.tokens
    yield one
  }
  if (tokens === settings.stream_error_after) return yield failure(settings)
  if (settings.no_done) return
  yield event('messageStop', { stopReason: message.stopReason, ...message.fields })
  const { usage, latencyMs } = message
  yield event('metadata', { metrics: { latencyMs }, ...message.tier, ...(usage && { usage }) })
}

function failure(settings: SandboxConfig): StreamEvent {
  const type = settings.error_code ?? 'modelStreamErrorException'
  const data = JSON.stringify({ message: settings.error_message ?? messages.modelStreamErrorException })
  return { data, bytes: exceptionFrame(type, data), tokens: 0 }
}

function* blockEvents({ thoughts, choice }: Message): Generator<StreamEvent> {
  let contentBlockIndex = 0
  if (thoughts.length > 0) {
    for (const text of thoughts) yield delta(contentBlockIndex, { reasoningContent: { text } }, 1)
    const { signature } = reasoningOf(thoughts.join('')).reasoningText as { signature: string }
    yield delta(contentBlockIndex, { reasoningContent: { signature } })
    yield event('contentBlockStop', { contentBlockIndex: contentBlockIndex++ })
  }
  if (choice.pieces.length > 0) {
    for (const text of choice.pieces) yield delta(contentBlockIndex, { text }, 1)
    yield event('contentBlockStop', { contentBlockIndex: contentBlockIndex++ })
  }
  for (const { id: toolUseId, name, pieces } of choice.toolCalls) {
    yield event('contentBlockStart', { contentBlockIndex, start: { toolUse: { toolUseId, name } } }, 1)
    // Without arguments nothing is streamed of them.
    const given = pieces.join('') === '{}' ? [] : pieces
    for (const input of given) yield delta(contentBlockIndex, { toolUse: { input } }, 1)
    yield event('contentBlockStop', { contentBlockIndex: contentBlockIndex++ })
  }
}

function delta(contentBlockIndex: number, given: JsonObject, tokens = 0): StreamEvent {
  return event('contentBlockDelta', { contentBlockIndex, delta: given }, tokens)
}

function event(type: string, payload: JsonObject, tokens = 0): StreamEvent {
  const bare = JSON.stringify(payload)
  // Bedrock pads what it sends, so that lengths on the wire tell nothing of the words.
  const data = JSON.stringify({ ...payload, p: 'abcdefghijklmnopqrstuvwxyz'.slice(0, bare.length % 26) })
  return { data, bytes: eventFrame(type, data), tokens }
}
