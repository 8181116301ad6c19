import { inputTokens, outputTokens, type Usage } from '@nemo/domain/usage'
import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import { textOfAudio } from '../../chat/audio.ts'
import type { JsonObject, ReasoningBlock, ToolCall } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import type { AnswerContext } from '../../surface.ts'
import { SIGNATURE } from './read-input.ts'

/** https://platform.openai.com/docs/api-reference/responses/object */
export function writeAnswer(answer: ChatAnswer, context: AnswerContext): JsonObject {
  const choice = answer.choices[0]
  const output: JsonObject[] = []
  choice?.reasoning.forEach((block, i) => {
    output.push(reasoningItem(`rs_${context.id}${i}`, block))
  })
  const text = choice?.text ?? (choice?.audio ? textOfAudio(choice.audio) : null)
  if (choice && (text !== null || choice.refusal !== null)) {
    const content = [
      ...(text === null ? [] : [textPart(text, choice.annotations ?? [], logprobsOf(choice.logprobs))]),
      ...(choice.refusal === null ? [] : [{ type: 'refusal', refusal: choice.refusal }]),
    ]
    output.push(messageItem(`msg_${context.id}`, content))
  }
  choice?.toolCalls.forEach((call, i) => {
    output.push(callItem(`fc_${context.id}${i}`, call))
  })
  const model = answer.model ?? context.model
  return envelope(context, { model, output, usage: answer.usage, end: endOf(choice?.finish ?? 'stop') })
}

/** How a response ended, in its words. */
export interface End {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  readonly reason: string | null
  readonly error: JsonObject | null
}

export function endOf(finish: FinishReason): End {
  if (finish === 'length') return { status: 'incomplete', reason: 'max_output_tokens', error: null }
  if (finish === 'content_filter') return { status: 'incomplete', reason: 'content_filter', error: null }
  return { status: 'completed', reason: null, error: null }
}

/** All that a response says of itself, and of what it was asked. */
export function envelope(
  { id, createdAt, body }: AnswerContext,
  said: {
    readonly model: string
    readonly output: readonly JsonObject[]
    readonly usage: Usage | null
    readonly end: End
  },
): JsonObject {
  const { end, usage } = said
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: createdAt,
    status: end.status,
    background: false,
    error: end.error,
    incomplete_details: end.reason === null ? null : { reason: end.reason },
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: said.model,
    output: said.output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    store: body.store ?? false,
    temperature: body.temperature ?? null,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? null,
    truncation: body.truncation ?? 'disabled',
    usage: usage && writeUsage(usage),
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  }
}

export function writeUsage(usage: Usage): JsonObject {
  const [input, output] = [inputTokens(usage), outputTokens(usage)]
  const written = (usage.cacheWrite ?? 0) + (usage.cacheWriteHour ?? 0)
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: (usage.cachedInput ?? 0) + (usage.cachedAudioInput ?? 0),
      ...(written > 0 && { cache_write_tokens: written }),
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 },
    total_tokens: input + output,
  }
}

export function textPart(
  text: string,
  annotations: readonly unknown[] = [],
  logprobs: readonly unknown[] = [],
): JsonObject {
  return { type: 'output_text', text, annotations: annotations.flatMap(flat), logprobs }
}

/** Of the text's tokens, which here stand by themselves. Clients expect bytes to be there. */
export function logprobsOf(logprobs: unknown): unknown[] {
  const tokens = isObject(logprobs) && Array.isArray(logprobs.content) ? logprobs.content.filter(isObject) : []
  return tokens.map((token) => ({
    ...withBytes(token),
    top_logprobs: Array.isArray(token.top_logprobs) ? token.top_logprobs.filter(isObject).map(withBytes) : [],
  }))
}

function withBytes(token: JsonObject): JsonObject {
  return { ...token, bytes: token.bytes ?? [] }
}

/** Chat completions put the citation into a member of the annotation; here it stands flat. */
function flat(annotation: unknown): unknown[] {
  const { type, ...rest } = annotation as { type: string } & Record<string, unknown>
  return [{ type, ...((rest[type] as object | undefined) ?? rest) }]
}

export function messageItem(id: string, content: readonly JsonObject[], status = 'completed'): JsonObject {
  return { id, type: 'message', status, role: 'assistant', content }
}

export function callItem(id: string, call: ToolCall, status = 'completed'): JsonObject {
  return { id, type: 'function_call', status, call_id: call.id, name: call.name, arguments: call.arguments }
}

export function reasoningItem(id: string, { text, signature, encrypted }: ReasoningBlock): JsonObject {
  const kept = encrypted ?? (signature === null ? null : SIGNATURE + signature)
  return {
    id,
    type: 'reasoning',
    summary: text ? [{ type: 'summary_text', text }] : [],
    ...(kept !== null && { encrypted_content: kept }),
  }
}
