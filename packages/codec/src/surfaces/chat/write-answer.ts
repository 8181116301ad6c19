import type { AnswerPart, Audio, ChatAnswer, Choice } from '../../chat/answer.ts'
import { byKind } from '../../chat/content.ts'
import type { JsonObject, ReasoningBlock, ToolCall } from '../../chat/request.ts'
import type { AnswerContext } from '../../surface.ts'
import { Runs } from './runs.ts'
import { writeUsage } from './usage.ts'

/** https://platform.openai.com/docs/api-reference/chat/object */
export function writeAnswer(answer: ChatAnswer, context: AnswerContext): JsonObject {
  return {
    id: answer.id ?? `chatcmpl-${context.id}`,
    object: 'chat.completion',
    created: answer.createdAt ?? context.createdAt,
    model: answer.model ?? context.model,
    choices: answer.choices.map(writeChoice),
    ...(answer.usage && { usage: writeUsage(answer.usage) }),
    ...(answer.serviceTier !== null && { service_tier: answer.serviceTier }),
    ...(answer.systemFingerprint !== null && { system_fingerprint: answer.systemFingerprint }),
  }
}

function writeChoice(choice: Choice): JsonObject {
  const { index, content, audio, finish, stopSequence, logprobs, annotations } = choice
  const { reasoning, text, refusal, toolCalls } = byKind(content)
  return {
    index,
    message: {
      role: 'assistant',
      content: text,
      refusal,
      ...(audio !== null && { audio: writeAudio(audio, index) }),
      ...(reasoning.length > 0 && writeReasoning(content)),
      ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(writeToolCall) }),
      ...(annotations !== null && { annotations }),
    },
    logprobs: logprobs ?? null,
    finish_reason: finish,
    ...(stopSequence !== null && { stop_sequence: stopSequence }),
  }
}

/** Clients expect all four: where the provider keeps nothing, it is gone already. */
function writeAudio({ id, data, transcript, expiresAt }: Audio, index: number): JsonObject {
  return { id: id ?? audioId(index), data, transcript: transcript ?? '', expires_at: expiresAt ?? 0 }
}

export function audioId(choice: number): string {
  return `audio_${choice}`
}

function writeReasoning(content: readonly AnswerPart[]): JsonObject {
  const runs = new Runs()
  const details: JsonObject[] = []
  let text = ''
  for (const part of content) {
    if (part.type === 'text') runs.text(part.text.length)
    else if (part.type === 'call') runs.call()
    else if (part.type === 'reasoning') {
      text += part.text ?? ''
      details.push({ ...writeBlock(part, details.length), ...runs.take() })
    }
  }
  return { ...(text !== '' && { reasoning_content: text }), reasoning_details: details }
}

/** As OpenRouter has it (https://openrouter.ai/docs/use-cases/reasoning-tokens): what must go back to its provider unchanged travels here. */
export function writeBlock(
  { text, signature, encrypted, id }: Omit<ReasoningBlock, 'type'>,
  index: number,
): JsonObject {
  return {
    ...(encrypted === null
      ? { type: 'reasoning.text', ...(text !== null && { text }), ...(signature !== null && { signature }) }
      : { type: 'reasoning.encrypted', data: encrypted }),
    ...(id !== null && { id }),
    index,
  }
}

export function writeToolCall(call: ToolCall): JsonObject {
  return {
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
    ...writeSignature(call.signature),
  }
}

/** Gemini's, as its own OpenAI-compatible API has it (https://ai.google.dev/gemini-api/docs/thought-signatures). */
export function writeSignature(signature: string | null): JsonObject {
  return signature === null ? {} : { extra_content: { google: { thought_signature: signature } } }
}
