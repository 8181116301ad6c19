import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import type { AssistantPart, TextPart } from './request.ts'

/** A whole answer, freed of how any one API spells it. A dialect reads one; a surface writes it for the caller. */
export interface ChatAnswer {
  /** The provider's own id; null where it has none. */
  readonly id: string | null
  /** What the provider says answered. */
  readonly model: string | null
  /** Seconds since 1970; null where the provider doesn't say. */
  readonly createdAt: number | null
  readonly choices: readonly Choice[]
  /** In disjoint classes; null where the provider reported none. */
  readonly usage: Usage | null
  /** Where it reported none: what it is seen to have done on its own servers, and bills. */
  readonly seen?: Usage
  /** What the provider says that it billed, where it does. */
  readonly billedNanos: Nanos | null
  /** The tier that served it, where that bears on the price: `flex`, `priority`, `batch`, … */
  readonly serviceTier: string | null
  readonly systemFingerprint: string | null
}

export interface Choice {
  readonly index: number
  /** What the model thought, said and called, in its own order. */
  readonly content: readonly AnswerPart[]
  /** What was said aloud; null where nothing was. */
  readonly audio: Audio | null
  readonly finish: FinishReason
  /** The stop sequence that ended it, where the provider tells. */
  readonly stopSequence: string | null
  /** OpenAI's `logprobs` object; null where none were asked for. */
  readonly logprobs: unknown
  /** OpenAI's `annotations` (citations), and null where there are none. */
  readonly annotations: readonly unknown[] | null
}

export type AnswerPart = Exclude<AssistantPart, TextPart> | Pick<TextPart, 'type' | 'text'>

/** As OpenAI has it (https://platform.openai.com/docs/guides/audio). */
export interface Audio {
  /** By which it can be meant in a later message; null where the provider keeps none. */
  readonly id: string | null
  /** Base64, in the format that was asked for. */
  readonly data: string
  /** What it says; null where the provider doesn't tell. */
  readonly transcript: string | null
  /** Seconds since 1970. */
  readonly expiresAt: number | null
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

/** What a stream brings, piece by piece. Whatever dialect it came in, the same answer is the same parts. */
export type StreamPart =
  /** First, once. */
  | {
      readonly type: 'start'
      readonly id: string | null
      readonly model: string | null
      readonly createdAt: number | null
    }
  | { readonly type: 'text'; readonly choice: number; readonly text: string }
  | { readonly type: 'refusal'; readonly choice: number; readonly text: string }
  /** More of what is said aloud. What is null didn't come with this piece; `data` is base64 by itself. */
  | {
      readonly type: 'audio'
      readonly choice: number
      readonly id: string | null
      readonly data: string | null
      readonly transcript: string | null
      readonly expiresAt: number | null
    }
  /** More of a reasoning block; `block` counts the blocks of a choice from 0. What is null didn't come with this piece. */
  | {
      readonly type: 'reasoning'
      readonly choice: number
      readonly block: number
      readonly text: string | null
      readonly signature: string | null
      readonly encrypted: string | null
      readonly id?: string | null
    }
  /** A call begins; `call` counts the calls of a choice from 0. Its arguments follow in pieces, or not at all. */
  | {
      readonly type: 'tool-call'
      readonly choice: number
      readonly call: number
      readonly id: string
      readonly name: string
      readonly signature: string | null
    }
  | { readonly type: 'arguments'; readonly choice: number; readonly call: number; readonly json: string }
  | { readonly type: 'logprobs'; readonly choice: number; readonly logprobs: unknown }
  | { readonly type: 'annotations'; readonly choice: number; readonly annotations: readonly unknown[] }
  | {
      readonly type: 'finish'
      readonly choice: number
      readonly reason: FinishReason
      readonly stopSequence: string | null
    }
  /** What was used, as far as it is known; the last one counts. */
  | {
      readonly type: 'usage'
      readonly usage: Usage
      readonly billedNanos: Nanos | null
      readonly serviceTier: string | null
    }
  /** The provider failed amid the stream. Nothing comes after it. */
  | { readonly type: 'error'; readonly message: string; readonly code: string | null }
