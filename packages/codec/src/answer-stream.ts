import type { Nanos } from '@nemo/domain/money'
import type { Usage } from '@nemo/domain/usage'
import type { WireError } from './dialects/openai.ts'
import type { StreamEnd, SurfaceError } from './surface.ts'

/**
 * A provider's stream on its way to a caller: bytes in as they come, split anywhere, and bytes out as the caller is to have them. Whether they are the same bytes,
 * or others that say the same, is its own affair.
 */
export interface AnswerStream {
  /** The bytes to hand on now: whole events only. Throws a RangeError on an event without end, and a SyntaxError on one that can't be read. */
  push(chunk: Buffer): Buffer
  /** Says that no more bytes come. */
  end(): Buffer
  /** Events so far that are part of an answer: until the first one an error still has a status to be told by. */
  readonly events: number
  /** About how many output tokens went by, for a stream that breaks off before its usage. */
  readonly tokensSeen: number
  /** What the provider billed, once it said. */
  readonly usage: Usage | null
  /** What is known to have been billed before it says: its input, where it has told it, and what it did on its own servers. Of no account beside `usage`. */
  readonly seen: Usage
  readonly billedNanos: Nanos | null
  readonly serviceTier: string | null
  /** An error that the provider sent amid the stream. What comes after it is not handed on. */
  readonly error: WireError | null
  /** Whether the event came that ends a stream. One that stops without it was cut. */
  readonly done: boolean
  /** Whether events may be left out before an end that is made here: not where they open and close blocks. */
  readonly mayBeShortened: boolean
  /** What the caller gets last, once the call is settled. */
  finish(end: StreamEnd): string
  /** What a caller gets last of a stream that broke off. */
  fail(error: SurfaceError): string
}
