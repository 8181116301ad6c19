import type { AnswerPart, ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { addText } from '../../chat/content.ts'
import type { JsonObject, ReasoningBlock } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import { readCitation } from './citations.ts'
import { decodeError } from './errors.ts'
import { readConverseUsage } from './usage.ts'

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax. Throws a SyntaxError on what is none. */
export function decodeChat(answer: JsonObject): ChatAnswer {
  const message = isObject(answer.output) && isObject(answer.output.message) ? answer.output.message : null
  if (!message || !Array.isArray(message.content)) {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no message')
  }
  const content: AnswerPart[] = []
  const annotations: unknown[] = []
  let textLength = 0
  const say = (text: string) => {
    addText(content, text)
    textLength += text.length
  }
  for (const block of message.content.filter(isObject)) {
    if (typeof block.text === 'string') say(block.text)
    else if (isObject(block.citationsContent)) {
      const { content: cited, citations } = block.citationsContent
      const start = textLength
      say(
        objects(cited)
          .map((part) => textOrNull(part.text) ?? '')
          .join(''),
      )
      const place = { start, end: textLength }
      annotations.push(...objects(citations).map((citation) => readCitation(citation, place)))
    } else if (isObject(block.reasoningContent)) content.push(readThought(block.reasoningContent))
    else if (isObject(block.toolUse) && isCallersOwn(block.toolUse)) {
      const { toolUseId, name, input } = block.toolUse
      content.push({
        type: 'call',
        id: textOrNull(toolUseId) ?? '',
        name: textOrNull(name) ?? '',
        arguments: JSON.stringify(input ?? {}),
        signature: null,
      })
    }
  }
  const failure = content.some(({ type }) => type !== 'reasoning') ? null : failureOf(answer.stopReason)
  if (failure !== null) content.push({ type: 'refusal', text: failure })
  return {
    id: null,
    model: null,
    createdAt: null,
    choices: [
      {
        index: 0,
        content,
        audio: null,
        finish: finishOf(answer.stopReason),
        stopSequence: stopSequenceOf(answer),
        logprobs: null,
        annotations: annotations.length > 0 ? annotations : null,
      },
    ],
    usage: readConverseUsage(answer.usage),
    billedNanos: null,
    serviceTier: serviceTierOf(answer),
    systemFingerprint: null,
  }
}

function readThought({ reasoningText, redactedContent }: JsonObject): ReasoningBlock {
  const encrypted = textOrNull(redactedContent)
  if (encrypted !== null) return { type: 'reasoning', text: null, signature: null, encrypted, id: null }
  const { text, signature } = isObject(reasoningText) ? reasoningText : {}
  return {
    type: 'reasoning',
    text: textOrNull(text) ?? '',
    signature: textOrNull(signature),
    encrypted: null,
    id: null,
  }
}

/** What Bedrock runs itself, such as Nova's grounding, nobody has to answer: what came of it is in the text. */
export function isCallersOwn({ type }: JsonObject): boolean {
  return type !== 'server_tool_use'
}

/**
 * Why it ended (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax). An answer that filled the context window is cut short
 * as one that came to its cap. One that the model garbled is over, and nothing more came of it.
 */
export function finishOf(reason: unknown): FinishReason {
  switch (reason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length'
    case 'tool_use':
      return 'tool_calls'
    case 'guardrail_intervened':
    case 'content_filtered':
    case 'refusal':
      return 'content_filter'
    default:
      return 'stop'
  }
}

/** What is to be told of an answer that says nothing since the model garbled it: no other API knows that, and an empty answer that ended well would tell nobody why. */
export function failureOf(reason: unknown): string | null {
  return reason === 'malformed_tool_use' || reason === 'malformed_model_output'
    ? `The model ended without an answer: ${reason}.`
    : null
}

/** Told only where it was asked for. */
export function stopSequenceOf({ additionalModelResponseFields: fields }: JsonObject): string | null {
  return isObject(fields) ? textOrNull(fields.stop_sequence) : null
}

export function serviceTierOf({ serviceTier }: JsonObject): string | null {
  return isObject(serviceTier) ? textOrNull(serviceTier.type) : null
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}
