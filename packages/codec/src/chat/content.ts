import type { AnswerPart } from './answer.ts'
import type { ReasoningBlock, ToolCall } from './request.ts'

/** What an assistant's content comes to where each kind has a place of its own. */
export interface ByKind {
  readonly reasoning: readonly ReasoningBlock[]
  /** Null where nothing was said, as with tool calls alone. */
  readonly text: string | null
  readonly refusal: string | null
  readonly toolCalls: readonly ToolCall[]
}

/** The content of an answer or of an assistant's message, for APIs that don't tell in which order its kinds came. */
export function byKind(content: readonly AnswerPart[]): ByKind {
  const reasoning: ReasoningBlock[] = []
  const toolCalls: ToolCall[] = []
  let text: string | null = null
  let refusal: string | null = null
  for (const part of content) {
    switch (part.type) {
      case 'reasoning':
        reasoning.push(part)
        break
      case 'text':
        text = (text ?? '') + part.text
        break
      case 'refusal':
        refusal = (refusal ?? '') + part.text
        break
      case 'call':
        toolCalls.push(part)
    }
  }
  return { reasoning, text, refusal, toolCalls }
}

/** Adds what is said: a text goes on until something else comes. */
export function addText(content: AnswerPart[], text: string): void {
  const last = content.at(-1)
  if (last?.type === 'text') content[content.length - 1] = { type: 'text', text: last.text + text }
  else content.push({ type: 'text', text })
}
