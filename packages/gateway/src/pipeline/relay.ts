import type { ServerResponse } from 'node:http'
import { readUsage } from '@nemo/codec/dialects/openai'
import type { Usage } from '@nemo/domain/usage'
import type { Exchange } from '../exchange.ts'
import type { Fault } from '../routing/fault.ts'
import { HANG_UP, type Reply } from './call.ts'
import type { ResolvedRequest } from './resolve.ts'

/** What the call came to, once all but its end has been given to the client. */
export interface Outcome {
  readonly end: 'complete' | 'cut' | 'hung-up'
  /** What the provider billed, or, where it didn't say, what was seen of it. */
  readonly usage: Usage
  /** Whether the usage was counted here because the provider gave none. */
  readonly estimated: boolean
  readonly fault: Fault | null
  /** The provider's usage event, for a client that asked for it. */
  readonly usageEvent: Record<string, unknown> | null
}

/**
 * Gives a stream to the client as it comes, all but its end: what settles the call needs the usage, and the client's last bytes carry
 * the cost. An answer that isn't streamed is all end. `begin` writes the headers.
 */
export async function relay(
  reply: Reply,
  request: ResolvedRequest,
  exchange: Exchange,
  readerTimeoutMs: number,
  begin: () => void,
): Promise<Outcome> {
  const { inputTokens } = request.expectation
  switch (reply.kind) {
    case 'hung-up':
      // The provider has read the prompt at least, if it was sent.
      return reply.deployment
        ? outcome('hung-up', { input: inputTokens, request: 1 }, true)
        : outcome('hung-up', {}, false)
    case 'answer': {
      const usage = withUnits(request, reply.json, readUsage(reply.json.usage))
      const output = request.endpoint === 'chat' ? textTokens(reply.bytes) : 0
      return outcome('complete', usage ?? { input: inputTokens, output, request: 1 }, usage === null)
    }
    case 'stream': {
      begin()
      const { live } = reply
      exchange.onHangUp(() => reply.abort(HANG_UP))
      const { response } = exchange
      const fault = await live.pour({
        write: (bytes) => response.write(bytes),
        onceDrained: (act) => onceDrained(response, readerTimeoutMs, act),
      })
      exchange.onHangUp(null)
      const { usage, tokensSeen, usageEvent } = live.chunks
      const counted = usage ? { ...usage, request: 1 } : { input: inputTokens, output: tokensSeen, request: 1 }
      const end = fault === null ? 'complete' : exchange.hungUp ? 'hung-up' : 'cut'
      return { ...outcome(end, counted, usage === null), fault, usageEvent }
    }
  }
}

/** A client that stops reading holds a connection and an upstream: after a while it counts as gone. */
function onceDrained(response: ServerResponse, timeoutMs: number, act: () => void): void {
  const timer = setTimeout(() => response.destroy(), timeoutMs)
  const stop = () => clearTimeout(timer)
  response.once('close', stop).once('drain', () => {
    response.off('close', stop)
    stop()
    act()
  })
}

function outcome(end: Outcome['end'], usage: Usage, estimated: boolean): Outcome {
  return { end, usage, estimated, fault: null, usageEvent: null }
}

/** An answer counts as a request, and each picture in it as an image. Picture models that bill by the piece report no tokens. */
function withUnits(request: ResolvedRequest, json: Record<string, unknown>, usage: Usage | null): Usage | null {
  if (request.endpoint !== 'images') return usage && { ...usage, request: 1 }
  const images = Array.isArray(json.data) ? json.data.length : 1
  return { ...usage, image: images, request: 1 }
}

/** About what an answer holds beside its envelope, at four bytes a token. */
function textTokens(answer: Buffer): number {
  const ENVELOPE_BYTES = 300
  return Math.ceil(Math.max(answer.length - ENVELOPE_BYTES, 0) / 4)
}
