import { inputTokens, outputTokens, type Usage } from '@nemo/domain/usage'
import type { ChatAnswer, Choice, FinishReason } from '../../chat/answer.ts'
import { textOfAudio } from '../../chat/audio.ts'
import type { JsonObject, ReasoningBlock, ToolCall } from '../../chat/request.ts'
import { isObject } from '../../fields.ts'
import type { AnswerContext } from '../../surface.ts'
import { SEALED, SIGNATURE } from './read-input.ts'

/** https://platform.openai.com/docs/api-reference/responses/object */
export function writeAnswer(answer: ChatAnswer, context: AnswerContext): JsonObject {
  const choice = answer.choices[0]
  const output = choice ? outputOf(choice, context.id) : []
  const model = answer.model ?? context.model
  return envelope(context, { model, output, usage: answer.usage, end: endOf(choice?.finish ?? 'stop') })
}

/** One item after the other. What is cited is told with the text that it is cited in; the tokens of all of them with the first. */
function outputOf({ content, audio, annotations, logprobs }: Choice, id: string): JsonObject[] {
  const spoken = audio && !content.some(({ type }) => type === 'text')
  const said = spoken ? [...content, { type: 'text', text: textOfAudio(audio) } as const] : content
  const lastText = said.findLastIndex(({ type }) => type === 'text')
  const output: JsonObject[] = []
  let cited = annotations ?? []
  let tokens = logprobsOf(logprobs)
  let start = 0
  said.forEach((part, i) => {
    switch (part.type) {
      case 'reasoning':
        output.push(reasoningItem(`rs_${id}${i}`, part))
        break
      case 'text': {
        const end = start + part.text.length
        const isHere = (annotation: unknown) => i === lastText || endIndexOf(annotation) <= end
        output.push(messageItem(`msg_${id}${i}`, [textPart(part.text, cited.filter(isHere), tokens, start)]))
        cited = cited.filter((annotation) => !isHere(annotation))
        tokens = []
        start = end
        break
      }
      case 'refusal':
        output.push(messageItem(`msg_${id}${i}`, [{ type: 'refusal', refusal: part.text }]))
        break
      case 'call':
        output.push(callItem(`fc_${id}${i}`, part))
    }
  })
  return output
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

/** `start` is where the text begins in all that was said, which is where places of citations count from. */
export function textPart(
  text: string,
  annotations: readonly unknown[] = [],
  logprobs: readonly unknown[] = [],
  start = 0,
): JsonObject {
  return { type: 'output_text', text, annotations: annotations.map((one) => flat(one, start)), logprobs }
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

/** Chat completions put the citation into a member of the annotation; here it stands flat, and its place is one in its own text. */
function flat(annotation: unknown, start: number): JsonObject {
  const { start_index: from, end_index: to, ...rest } = citationOf(annotation)
  return {
    type: (annotation as JsonObject).type,
    ...rest,
    ...(typeof from === 'number' && { start_index: from - start }),
    ...(typeof to === 'number' && { end_index: to - start }),
  }
}

function citationOf(annotation: unknown): JsonObject {
  const { type, ...rest } = annotation as { type: string } & JsonObject
  return (rest[type] as JsonObject | undefined) ?? rest
}

function endIndexOf(annotation: unknown): number {
  const { end_index: end } = citationOf(annotation)
  return typeof end === 'number' ? end : 0
}

export function messageItem(id: string, content: readonly JsonObject[], status = 'completed'): JsonObject {
  return { id, type: 'message', status, role: 'assistant', content }
}

export function callItem(id: string, call: Omit<ToolCall, 'type'>, status = 'completed'): JsonObject {
  return { id, type: 'function_call', status, call_id: call.id, name: call.name, arguments: call.arguments }
}

export function reasoningItem(itemId: string, block: Omit<ReasoningBlock, 'type'>): JsonObject {
  const { text, signature, encrypted, id } = block
  // What has a name is OpenAI's, who knows it again as it is.
  const sealed = encrypted !== null && id === null ? SEALED + encrypted : encrypted
  const kept = sealed ?? (signature === null ? null : SIGNATURE + signature)
  return {
    id: itemId,
    type: 'reasoning',
    summary: text ? [{ type: 'summary_text', text }] : [],
    ...(kept !== null && { encrypted_content: kept }),
  }
}
