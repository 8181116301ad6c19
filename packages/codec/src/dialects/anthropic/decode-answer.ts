import type { AnswerPart, ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { addText } from '../../chat/content.ts'
import type { JsonObject } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { decodeError } from './dialect.ts'
import { readServiceTier, readUsage, searchesWith, seenOf } from './usage.ts'

/**
 * A message (https://platform.claude.com/docs/en/api/messages). Blocks of tools that Anthropic runs itself are left out: what came of them is in the text. Throws a
 * SyntaxError on what is no message.
 */
export function decodeChat(answer: JsonObject): ChatAnswer {
  if (!Array.isArray(answer.content)) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no content')
  }
  const content: AnswerPart[] = []
  const annotations: unknown[] = []
  let textLength = 0
  for (const block of answer.content.filter(isObject)) {
    switch (block.type) {
      case 'text': {
        const text = textOf(block.text)
        const place = { start: textLength, end: textLength + text.length }
        textLength = place.end
        addText(content, text)
        if (Array.isArray(block.citations)) {
          annotations.push(...block.citations.filter(isObject).map((citation) => readCitation(citation, place)))
        }
        break
      }
      case 'thinking':
        content.push({
          type: 'reasoning',
          text: textOf(block.thinking),
          signature: textOrNull(block.signature),
          encrypted: null,
          id: null,
        })
        break
      case 'redacted_thinking':
        content.push({ type: 'reasoning', text: null, signature: null, encrypted: textOf(block.data), id: null })
        break
      case 'tool_use':
        content.push({
          type: 'call',
          id: textOf(block.id),
          name: textOf(block.name),
          arguments: JSON.stringify(block.input ?? {}),
          signature: null,
        })
    }
  }
  const refusal = refusalOf(answer)
  if (refusal !== null) content.push({ type: 'refusal', text: refusal })
  const usage = isObject(answer.usage) ? answer.usage : {}
  const used = readUsage(usage)
  const searches = answer.content.reduce((sum: number, block) => sum + searchesWith(block), 0)
  const finish = finishOf(answer.stop_reason)
  return {
    id: textOrNull(answer.id),
    model: textOrNull(answer.model),
    createdAt: null,
    choices: [
      {
        index: 0,
        content,
        audio: null,
        finish,
        stopSequence: textOrNull(answer.stop_sequence),
        logprobs: null,
        annotations: annotations.length > 0 ? annotations : null,
      },
    ],
    usage: used,
    ...(used === null && { seen: seenOf({}, searches) }),
    billedNanos: null,
    serviceTier: readServiceTier(usage),
    systemFingerprint: null,
  }
}

/**
 * Why it ended (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons). A turn that was paused, and one that filled the context window, are cut short as
 * one that came to its cap: there was more to say.
 */
export function finishOf(reason: unknown): FinishReason {
  switch (reason) {
    case 'max_tokens':
    case 'pause_turn':
    case 'model_context_window_exceeded':
      return 'length'
    case 'tool_use':
      return 'tool_calls'
    case 'refusal':
      return 'content_filter'
    default:
      return 'stop'
  }
}

/** What a refusal says of itself, beside the text that had been said before it. */
export function refusalOf(message: JsonObject): string | null {
  const { stop_details: details } = message
  return message.stop_reason === 'refusal' && isObject(details) ? textOrNull(details.explanation) : null
}

/** A citation of a page of the web as OpenAI has it; any other as it came. `place` is where the cited text stands. */
export function readCitation(citation: JsonObject, place: { readonly start: number; readonly end: number }): unknown {
  if (typeof citation.url !== 'string') return citation
  const { url, title } = citation
  return {
    type: 'url_citation',
    url_citation: { url, title: textOf(title), start_index: place.start, end_index: place.end },
  }
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
