import type { Chance } from './chance.ts'
import { MODEL } from './world.ts'

/** One call, drawn before it is made: what is asked, what the provider makes of it, and when the client has had enough. */
export interface CallPlan {
  readonly streamed: boolean
  readonly hangUpAfterMs: number | null
  readonly body: object
}

/** Draws a call. The provider reads its misbehaviour from the request itself, so that the seed decides that too. */
export function drawCall(chance: Chance): CallPlan {
  const streamed = chance.once(2)
  const tokens = chance.whole(4, 64)
  return {
    streamed,
    hangUpAfterMs: chance.once(15) ? chance.whole(0, 150) : null,
    body: {
      model: MODEL,
      messages: [{ role: 'user', content: 'word '.repeat(chance.whole(1, 40)) }],
      max_tokens: tokens,
      ...(streamed && { stream: true, ...(chance.once(2) && { stream_options: { include_usage: true } }) }),
      sandbox: {
        tokens: chance.whole(1, tokens),
        latency_ms: chance.whole(0, 60),
        ...(streamed && chance.once(3) && { chunk_ms: chance.whole(1, 8) }),
        ...drawFault(chance, streamed),
      },
    },
  }
}

/** A call that nothing goes wrong with, and that takes little: to see whether it is admitted. */
export function modestCall(): CallPlan {
  return {
    streamed: false,
    hangUpAfterMs: null,
    body: { model: MODEL, messages: [{ role: 'user', content: 'word' }], max_tokens: 8, sandbox: { tokens: 4 } },
  }
}

function drawFault(chance: Chance, streamed: boolean): object {
  switch (chance.whole(0, 29)) {
    case 0:
    case 1:
      // The bill is longer than was promised: beyond what is held, and now and then by far.
      return { usage: { completion_tokens: chance.whole(65, chance.once(5) ? 5_000 : 200) } }
    case 2:
      return { usage: 'missing' }
    case 3:
      return { status: chance.of([500, 503, 429, 400]) }
    case 4:
      return { cut_at_byte: chance.whole(0, 900) }
    case 5:
      return streamed ? { stream_error_after: chance.whole(0, 4) } : { reset: 'before' }
    case 6:
      return { hang: chance.of(['before', 'amid']), hang_after: chance.whole(0, 4) }
    case 7:
      return streamed ? { no_done: true } : { malformed: true }
    default:
      return {}
  }
}
