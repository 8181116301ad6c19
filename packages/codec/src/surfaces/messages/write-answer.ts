import { inputTokens, outputTokens, type Usage } from '@nemo/domain/usage'
import type { AnswerPart, ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { parseArguments } from '../../chat/arguments.ts'
import { textOfAudio } from '../../chat/audio.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { AnswerContext } from '../../surface.ts'

/** https://platform.claude.com/docs/en/api/messages: one answer, of blocks. */
export function writeAnswer(answer: ChatAnswer, context: AnswerContext): JsonObject {
  const choice = answer.choices[0]
  const content = (choice?.content ?? []).flatMap(writePart)
  if (choice?.audio && !content.some(({ type }) => type === 'text')) content.push(textBlock(textOfAudio(choice.audio)))
  const has = (type: AnswerPart['type']) => choice?.content.some((part) => part.type === type) ?? false
  return {
    id: messageId(answer.id, context),
    type: 'message',
    role: 'assistant',
    model: answer.model ?? context.model,
    content,
    stop_reason: choice ? stopReason(choice.finish, choice.stopSequence, has('refusal'), has('call')) : 'end_turn',
    stop_sequence: choice?.stopSequence ?? null,
    usage: { ...writeUsage(answer.usage ?? {}), service_tier: writeServiceTier(answer.serviceTier) },
  }
}

/** Ids begin with `msg_` here; others' are told behind it. */
export function messageId(given: string | null, context: AnswerContext): string {
  if (given === null) return `msg_${context.id}`
  return given.startsWith('msg_') ? given : `msg_${given}`
}

/** Where nobody signed a thought there is an empty signature: SDKs want one to be there. */
function writePart(part: AnswerPart): JsonObject[] {
  switch (part.type) {
    case 'reasoning': {
      const { text, signature, encrypted } = part
      return encrypted === null
        ? [{ type: 'thinking', thinking: text ?? '', signature: signature ?? '' }]
        : [{ type: 'redacted_thinking', data: encrypted }]
    }
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [textBlock(part.text)]
    case 'call':
      return [{ type: 'tool_use', id: part.id, name: part.name, input: parseArguments(part.arguments) }]
  }
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text, citations: null }
}

/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
export function stopReason(
  finish: FinishReason,
  stopSequence: string | null,
  isRefused: boolean,
  hasCalls: boolean,
): string {
  if (finish === 'length') return 'max_tokens'
  if (finish === 'content_filter' || isRefused) return 'refusal'
  // Some say `stop` though they call.
  if (finish === 'tool_calls' || hasCalls) return 'tool_use'
  return stopSequence === null ? 'end_turn' : 'stop_sequence'
}

/** What was read from the cache and what was written to it stand beside `input_tokens`, not within. */
export function writeUsage(usage: Usage): JsonObject {
  const { cacheWrite = 0, cacheWriteHour = 0, reasoning = 0, search = 0 } = usage
  const cached = (usage.cachedInput ?? 0) + (usage.cachedAudioInput ?? 0)
  const written = cacheWrite + cacheWriteHour
  return {
    input_tokens: inputTokens(usage) - cached - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    cache_creation: { ephemeral_5m_input_tokens: cacheWrite, ephemeral_1h_input_tokens: cacheWriteHour },
    output_tokens: outputTokens(usage),
    ...(reasoning > 0 && { output_tokens_details: { thinking_tokens: reasoning } }),
    ...(search > 0 && { server_tool_use: { web_search_requests: search, web_fetch_requests: 0 } }),
  }
}

export function writeServiceTier(tier: string | null): string {
  return tier === 'priority' || tier === 'batch' ? tier : 'standard'
}
