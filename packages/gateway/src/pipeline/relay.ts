import { TOKENS_FOUND } from '@nemo/codec/hosted-tools'
import type { StreamEnd } from '@nemo/codec/surface'
import type { ApiError } from '@nemo/domain/errors'
import type { Nanos } from '@nemo/domain/money'
import type { Picture } from '@nemo/domain/picture'
import { inputTokens, type Usage, type UsageClass } from '@nemo/domain/usage'
import type { Gateway } from '../gateway.ts'
import type { Fault } from '../routing/fault.ts'
import type { Deployment } from '../snapshot/catalogue.ts'
import type { Admission } from './admit.ts'
import { HANG_UP, withoutSecret } from './attempt.ts'
import type { Reply } from './call.ts'
import type { CallRecord } from './call-record.ts'
import { beginStream } from './deliver.ts'
import { textTokens } from './expect.ts'
import { PaidSink } from './paid-sink.ts'
import { breakerSettings } from './policy.ts'
import type { ResolvedRequest } from './resolve.ts'
import { Slices } from './slices.ts'

/** What the call came to, once all but its end has been given to the client. */
export interface Outcome {
  /** `exhausted`: nothing more could be held, and the stream was ended here. */
  readonly end: 'complete' | 'exhausted' | 'cut' | 'hung-up'
  /** What the provider billed, or, where it didn't say, what was seen of it. */
  readonly usage: Usage
  /** Whether the usage was counted here because the provider gave none. */
  readonly estimated: boolean
  /** What went wrong at the provider, or with the client. */
  readonly fault: Fault | null
  /** Which limit ended the stream. */
  readonly refusal: ApiError | null
  /** What the provider says that it billed, and the tier it served from. */
  readonly billedNanos: Nanos | null
  readonly serviceTier: string | null
  /** Of pictures, what it says that it made. */
  readonly picture: Picture | null
  /** What the end of a stream is to say where it was ended here. */
  readonly early: StreamEnd['early']
}

/**
 * Gives a stream to the client as it comes, all but its end: what settles the call needs the usage, and the client's last bytes carry
 * the cost. An answer that isn't streamed is all end.
 */
export async function relay(
  gateway: Gateway,
  call: CallRecord,
  request: ResolvedRequest,
  admission: Admission,
  reply: Reply,
): Promise<Outcome> {
  const { inputTokens: inputEstimated } = request.expectation
  switch (reply.kind) {
    case 'hung-up':
      // The provider has read the prompt at least, if it was sent.
      return reply.deployment
        ? outcome('hung-up', { input: inputEstimated, request: 1 }, true)
        : outcome('hung-up', {}, false)
    case 'answer': {
      const { bytes, usage, seen = {}, billedNanos, serviceTier, picture = null } = reply.answer
      const counted = usage
        ? { ...usage, request: 1 }
        : usageSeen(inputEstimated, seen, textTokens(request.endpoint, bytes))
      return { ...outcome('complete', counted, usage === null), billedNanos, serviceTier, picture }
    }
    case 'stream':
      return relayStream(gateway, call, request, admission, reply).finally(() =>
        gateway.observed.end(reply.deployment.id),
      )
  }
}

async function relayStream(
  gateway: Gateway,
  call: CallRecord,
  request: ResolvedRequest,
  admission: Admission,
  reply: Extract<Reply, { kind: 'stream' }>,
): Promise<Outcome> {
  const { exchange } = call
  beginStream(gateway, call)
  exchange.onHangUp(() => reply.live.abort(HANG_UP))
  const slices = new Slices(gateway.ledger, admission, request)
  const sink = new PaidSink(exchange.response, reply.live, slices, gateway.settings.idleTimeoutMs)
  const broken = await reply.live.pour(sink)
  const fault = broken && withoutSecret(broken, reply.deployment.upstream)
  sink.isOver = true
  exchange.onHangUp(null)

  const { usage, seen, billedNanos, serviceTier, tokensSeen } = reply.live.chunks
  if (fault && !sink.refusal && !exchange.hungUp) noteCut(gateway, call, reply.deployment, fault)
  const end = fault === null ? 'complete' : sink.refusal ? 'exhausted' : exchange.hungUp ? 'hung-up' : 'cut'
  // Of a stream that was broken off nobody pays for more than was held.
  const output = end === 'complete' ? tokensSeen : Math.min(tokensSeen, slices.held)
  const counted = usage ? { ...usage, request: 1 } : usageSeen(request.expectation.inputTokens, seen, output)
  const known = { ...outcome(end, counted, usage === null), billedNanos, serviceTier }
  if (end === 'complete') sink.writeWithheld()
  return end === 'exhausted' ? { ...known, refusal: sink.refusal, early: sink.end() } : { ...known, fault }
}

/** What a call came to whose provider didn't say it to the end: what is seen of it, its input as estimated unless that was told, and what each search brought to read. */
function usageSeen(inputEstimated: number, seen: Usage, output: number): Usage {
  let input = inputTokens(seen) > 0 ? (seen.input ?? 0) : inputEstimated
  for (const [tool, tokens] of Object.entries(TOKENS_FOUND)) input += (seen[tool as UsageClass] ?? 0) * tokens
  return { ...seen, input, output, request: 1 }
}

/** A stream that breaks off tells against its deployment as much as one that never began. */
function noteCut({ health, settings }: Gateway, { key }: CallRecord, { id }: Deployment, fault: Fault): void {
  health.failed(key.organizationId, id, fault, breakerSettings(settings, key.routing), performance.now())
}

function outcome(end: Outcome['end'], usage: Usage, estimated: boolean): Outcome {
  const unknown = { billedNanos: null, serviceTier: null, picture: null }
  return { end, usage, estimated, fault: null, refusal: null, early: null, ...unknown }
}
