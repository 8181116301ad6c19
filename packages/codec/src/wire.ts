import type { Endpoint } from '@nemo/domain/catalogue'
import type { Nanos } from '@nemo/domain/money'
import type { Picture } from '@nemo/domain/picture'
import type { Usage } from '@nemo/domain/usage'
import type { AnswerStream } from './answer-stream.ts'
import type { ChatRequest, JsonObject } from './chat/request.ts'
import type { Target } from './dialect.ts'
import type { WireError } from './dialects/openai.ts'
import type { Edits, Member } from './json-members.ts'
import type { Provider } from './provider.ts'
import type { Surface } from './surface.ts'

/** A request as the gateway has understood it, for whichever provider it will go to. */
export interface WireRequest {
  readonly endpoint: Endpoint
  readonly surface: Surface
  /** The caller's bytes, their members, and what to change in them wherever they go. */
  readonly body: Buffer
  readonly members: readonly Member[]
  readonly edits: Edits
  /** What the caller asked, without what is ours. */
  readonly fields: JsonObject
  /** The caller's own headers, of which some are the provider's to read: `anthropic-beta`. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The same as the surface reads it; read when it is first needed. Throws a 400. */
  readonly chat: () => ChatRequest
  readonly streamed: boolean
  /** Whether a provider may keep what is said, where the caller wants it to. */
  readonly mayBeKept: boolean
  /** What the request comes to: a stream that is ended early says so of itself. */
  readonly choices: number
  readonly inputTokens: number
  /** For answers that have no id of their own; unique. */
  readonly id: string
  /** Seconds since 1970. */
  readonly createdAt: number
}

export interface WireTarget extends Target {
  readonly provider: Provider
  /** Whether the model is known to think before it answers. */
  readonly reasons: boolean
  /** The most output tokens of each choice, where the gateway sets a cap that the request doesn't have. */
  readonly cap: number | null
  /** Called with each hint that goes no further, since the provider has nothing like it. */
  readonly leftOut: (param: string) => void
}

/** By their names in lower case. */
export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>

/** How a request is put to one deployment, and how its answer is read. Pure. */
export interface Wire {
  /** Behind the base URL. */
  readonly path: string
  /** Beside those of the transport. Lowercase names; the body is JSON unless there is a `content-type`. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Whether its answer may say first where to ask for it. */
  readonly isPolled?: boolean
  /** The answer as the caller gets it; `headers` are the provider's, of which some count what was used, and `asked` is the URL that answered. Throws a SyntaxError on what is none. */
  readAnswer(bytes: Buffer, json: JsonObject, headers?: AnswerHeaders, asked?: URL): Answer
  readError(json: unknown): WireError | null
  openStream(): AnswerStream
}

/** An answer that isn't streamed, and what it came to. */
export interface Answer {
  readonly bytes: Buffer
  readonly usage: Usage | null
  /** Where the provider reported none: what it is seen to have done on its own servers, and bills. */
  readonly seen?: Usage
  readonly billedNanos: Nanos | null
  readonly serviceTier: string | null
  /** Of an answer that isn't there yet, where to ask for it: a place that was said just now, or null for the one asked at last. */
  readonly again?: URL | null
  /** Of pictures, what the provider says that it made, where that bears on what it bills. */
  readonly picture?: Picture | null
}
