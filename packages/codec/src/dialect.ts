import type { Usage } from '@nemo/domain/usage'
import type { ChatAnswer, StreamPart } from './chat/answer.ts'
import type { Hint } from './chat/hints.ts'
import type { ChatRequest, JsonObject } from './chat/request.ts'
import type { NameRule } from './chat/tool-names.ts'
import type { WireError } from './dialects/openai.ts'

export type DialectName = 'openai' | 'anthropic' | 'gemini' | 'converse' | 'cohere'

/** Where a dialect is spoken: at its maker's, or at a cloud that wraps it in paths and envelopes of its own. */
export type Hosting = 'native' | 'vertex' | 'bedrock' | 'azure' | 'sagemaker'

/** A provider's wire format, for chat. Pure: it makes and reads values, and does no I/O. */
export interface Dialect {
  readonly name: DialectName
  /** How the pieces of a streamed answer are told apart on the wire. */
  readonly framing: 'sse' | 'event-stream'
  /** The hints that it has a field for. */
  readonly heeds: readonly Hint[]
  /** What it takes as the name of a tool: whoever encodes a request has fitted its names to this before. */
  readonly toolNames: NameRule
  /** Throws a 400 that names the field on what can't be asked of this dialect; see `Target.unsupported`. */
  encodeChat(request: ChatRequest, target: Target): EncodedRequest
  /** `model` is the one that was asked, for answers that don't say who answered. Throws a SyntaxError on what is no answer of this dialect. */
  decodeChat(answer: JsonObject, model?: string): ChatAnswer
  /** A decoder for one stream. `choices` is how many answers the request asked for, 1 unless it is said: a dialect without an event for the end can tell by it what is missing. */
  decodeStream(choices?: number, model?: string): StreamDecoder
  /** What an answer says of an error; null when it says of none. */
  decodeError(answer: unknown): WireError | null
}

/** What a request is encoded for. */
export interface Target {
  /** What the provider calls the model. */
  readonly model: string
  readonly hosting: Hosting
  /** The most output tokens of the model, as far as the catalogue knows: for APIs that insist on a cap. */
  readonly outputTokensMax: number | null
  /** Where providers of one dialect differ: which field caps an answer, the path, how system messages are marked, whether thinking is budgeted in tokens. */
  readonly outputCap?: 'max_completion_tokens' | 'max_tokens'
  readonly path?: string | null
  readonly systemRole?: 'system' | null
  /** Whether a provider of OpenAI's dialect takes marks for its prompt cache, as Anthropic has them. */
  readonly cacheControl?: boolean
  /** Whether it takes back what was thought; true unless it is said. */
  readonly takesThoughts?: boolean
  /**
   * Called with each field that the provider can't honour. Throws the 400, or, where the organization chose to drop what isn't supported, takes
   * note of it and returns: then the field is left out.
   */
  readonly unsupported: (param: string, why: string) => void
}

export interface EncodedRequest {
  /** To be put behind the base URL; begins with `/`, and has a query where the API wants one. */
  readonly path: string
  readonly body: JsonObject
  /** Beside those of the transport. Lowercase names. */
  readonly headers?: Readonly<Record<string, string>>
}

/** One event of a stream: an SSE event's `event:` name and data, or a binary event's type and payload. */
export interface WireEvent {
  readonly type: string | null
  readonly data: string
}

/** Its state is that of one stream. */
export interface StreamDecoder {
  /** The parts that an event brings, in order. Throws a SyntaxError on an event that can't be read. */
  decode(event: WireEvent): readonly StreamPart[]
  /** Whether the event came that ends a stream of this dialect. One that stops without it was cut. */
  readonly done: boolean
  /** Of a dialect without such an event: whether what came is whole. It is asked when no more bytes come. */
  readonly isWhole?: boolean
  /** What is known to have been billed before the usage tells; see `AnswerStream`. */
  readonly seen?: Usage
}

/** A safe segment of an upstream URL: model ids may have slashes, colons and `@` in them, and must never lead elsewhere in the path. */
export function modelSegment(model: string): string {
  if (/^\.+$/.test(model)) return model.replaceAll('.', '%2E')
  return encodeURIComponent(model).replaceAll('%3A', ':').replaceAll('%40', '@')
}
