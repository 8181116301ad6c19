import type { Usage } from '@nemo/domain/usage'
import type { ChatAnswer, StreamPart } from './chat/answer.ts'
import type { ChatRequest, JsonObject } from './chat/request.ts'

/** An API that callers speak: how its requests are read, and its answers, streams and errors written. */
export interface Surface {
  readonly name: 'chat' | 'messages' | 'responses'
  /** Throws a 400 that names the field on what isn't a request of this API. `body` has no `nemo_*` fields. */
  readRequest(body: JsonObject): ChatRequest
  writeAnswer(answer: ChatAnswer, context: AnswerContext): JsonObject
  writeStream(context: AnswerContext): StreamWriter
  /** The body of an error of ours, which is in OpenAI's shape, as this API has it. */
  writeError(error: SurfaceError): JsonObject
}

export interface SurfaceError {
  readonly status: number
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string
  readonly details: JsonObject
}

/** What an answer is to say of its circumstances. */
export interface AnswerContext {
  /** Unique, and to be used where the provider gave no id: 24 or more letters and digits. */
  readonly id: string
  /** Where the provider named none. */
  readonly model: string
  /** Seconds since 1970, where the provider doesn't say. */
  readonly createdAt: number
  /** The request as read and as it came, of which some APIs tell part again in the answer. */
  readonly request: ChatRequest
  readonly body: JsonObject
}

/** Writes one stream. Its state is that of the stream. */
export interface StreamWriter {
  /** Whether what was written may be left out before the end: not where events open and close blocks. */
  readonly mayBeShortened: boolean
  /** The text of the events that the parts become, with their blank lines; empty where they make none. Keeps back what can't be said before the end. */
  write(parts: readonly StreamPart[]): string
  /** What ends the stream cleanly. */
  end(end: StreamEnd): string
  /** What ends it otherwise. */
  fail(error: SurfaceError): string
}

export interface StreamEnd {
  readonly usage: Usage
  /** Whether the caller of chat completions asked for the usage chunk. */
  readonly wantsUsage: boolean
  /** US dollars, for those who read it; null where nothing was charged. */
  readonly cost: number | null
  /** Where the stream was ended here, before its provider did: what the last chunk is to say beside `length`. */
  readonly early: JsonObject | null
}
