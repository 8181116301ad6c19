import { dataOf, endOfNextEvent } from '../sse.ts'

/** What ends a stream of chat completion chunks that its provider hasn't ended. */
export interface EarlyEnd {
  /** Says of every choice that it ends here for want of length, as a provider does that came to its cap. */
  readonly last: Record<string, unknown>
  readonly usage: Record<string, unknown>
}

/**
 * The chunks that end a stream early, alike in id, time and model to those among the bytes that came before them
 * (https://platform.openai.com/docs/api-reference/chat-streaming). `more` stands beside the choices of the last one.
 */
export function endEarly(
  before: Buffer,
  end: { readonly choices: number; readonly input: number; readonly output: number; readonly more: object },
): EarlyEnd {
  const { choices: _, usage: __, ...chunk } = firstChunk(before)
  const choices = Array.from({ length: end.choices }, (_, index) => ({ index, delta: {}, finish_reason: 'length' }))
  const usage = {
    prompt_tokens: end.input,
    completion_tokens: end.output,
    total_tokens: end.input + end.output,
  }
  return { last: { ...chunk, choices, ...end.more }, usage: { ...chunk, choices: [], usage } }
}

function firstChunk(bytes: Buffer): Record<string, unknown> {
  for (let start = 0, end = endOfNextEvent(bytes, 0); end > 0; start = end, end = endOfNextEvent(bytes, end)) {
    try {
      const chunk: unknown = JSON.parse(dataOf(bytes.subarray(start, end)) ?? '')
      if (typeof chunk === 'object' && chunk !== null && !isNameless(chunk)) return chunk as Record<string, unknown>
    } catch {
      // A comment, or something that the client couldn't read either.
    }
  }
  return { object: 'chat.completion.chunk' }
}

/** What Azure says of the prompt, before the answer begins (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-streaming). */
function isNameless(chunk: { id?: unknown }): boolean {
  return chunk.id === ''
}
