import type { StreamEvent } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import type { Choice } from '../openai/choices.ts'
import type { SandboxConfig } from '../settings.ts'
import { failureBody } from './errors.ts'
import { blocked, type Content, callParts, finishReasonOf, groundingOf, signatureAfter, usageOf } from './generate.ts'

/**
 * https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent: chunks that are answers of their own, one token each; a call is whole. The last of a
 * candidate has its reason, and nothing says that the stream has ended.
 */
export function* contentChunks(content: Content, settings: SandboxConfig): Generator<StreamEvent> {
  if (settings.refusal) return yield chunk({ promptFeedback: blocked }, 0, content, settings)
  let tokens = 0
  for (const piece of inTurn(content.answer.choices.map((choice) => pieces(choice, content, settings)))) {
    if (tokens === settings.stream_error_after) return yield failure(settings)
    tokens += piece.tokens
    yield chunk({ candidates: [piece.candidate] }, tokens, content, settings, piece.tokens)
  }
  if (tokens === settings.stream_error_after) yield failure(settings)
}

function failure(settings: SandboxConfig): StreamEvent {
  return { data: failureBody(503, settings), tokens: 0 }
}

function chunk(said: JsonObject, sofar: number, content: Content, settings: SandboxConfig, tokens = 0): StreamEvent {
  const usageMetadata = usageOf(content, settings, sofar)
  return { data: JSON.stringify({ ...said, ...(usageMetadata && { usageMetadata }), ...content.head }), tokens }
}

type Piece = { candidate: JsonObject; tokens: number }

/** Several candidates are streamed side by side, a piece of each at a time. */
function* inTurn(running: Generator<Piece>[]): Generator<Piece> {
  let left = running
  while (left.length > 0) {
    const next: typeof left = []
    for (const one of left) {
      const { value, done } = one.next()
      if (done) continue
      yield value
      next.push(one)
    }
    left = next
  }
}

function* pieces(choice: Choice, content: Content, settings: SandboxConfig): Generator<Piece> {
  const { index } = choice
  const of = (parts: JsonObject[], tokens: number): Piece => ({
    candidate: { content: { parts, role: 'model' }, index },
    tokens,
  })
  if (content.request.showsThoughts) for (const text of content.answer.thoughts) yield of([{ text, thought: true }], 0)
  for (const text of choice.pieces) yield of([{ text }], 1)
  for (const [i, part] of callParts(choice, content).entries()) {
    yield of([part], choice.toolCalls[i]!.pieces.length + 1)
  }
  // A text is signed behind its end, in a part of its own.
  const signature = choice.pieces.length > 0 ? signatureAfter(content) : {}
  const finishReason = settings.finish_reason ?? finishReasonOf(choice)
  const last = of([{ text: '', ...signature }], 0)
  yield {
    ...last,
    candidate: { ...last.candidate, ...(!settings.no_done && { finishReason }), ...groundingOf(content) },
  }
}
