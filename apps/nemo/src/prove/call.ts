import { type Agent, type IncomingMessage, request } from 'node:http'
import { parseUsd } from '@nemo/domain/money'
import type { CallPlan } from './call-plan.ts'

/** What a client saw of one call. */
export interface Sight {
  readonly requestId: string | null
  /** Null where there was no answer at all. */
  readonly status: number | null
  readonly code: string | null
  /** Whether the answer came in full: the last byte of it, and of a stream its `[DONE]`. */
  readonly complete: boolean
  readonly hungUp: boolean
  /** What it was told that it is charged; null where it wasn't told. */
  readonly costNanos: bigint | null
  /** The limit of a refusal, as the error body has it. */
  readonly limit: RefusedLimit | null
}

export interface RefusedLimit {
  readonly name: string
  readonly bound: string
  readonly used: string
  readonly held: string
  readonly needed: string
}

const PATIENCE_MS = 20_000

/** Makes one call as a client that may hang up at any moment. Never rejects. */
export function makeCall(port: number, key: string, plan: CallPlan, agent: Agent): Promise<Sight> {
  const body = Buffer.from(JSON.stringify(plan.body))
  return new Promise((resolve) => {
    let response: IncomingMessage | null = null
    let text = ''
    let hungUp = false
    let over = false
    const hangUp = () => {
      hungUp = true
      sent.destroy()
    }
    const finish = (ended: boolean) => {
      if (over) return
      over = true
      for (const timer of timers) clearTimeout(timer)
      resolve(sightOf(response, text, ended, hungUp, plan.streamed))
    }
    const sent = request({
      host: '127.0.0.1',
      port,
      agent,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': body.length,
      },
    })
    const timers = [setTimeout(hangUp, PATIENCE_MS)]
    // From when the call has a connection: before, it waits its turn in the pool.
    if (plan.hangUpAfterMs !== null) sent.once('socket', () => timers.push(setTimeout(hangUp, plan.hangUpAfterMs!)))
    sent.on('response', (incoming) => {
      response = incoming
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('end', () => finish(incoming.complete))
      incoming.on('error', () => finish(false))
      incoming.on('close', () => finish(false))
    })
    sent.on('error', () => finish(false))
    sent.on('close', () => finish(false))
    sent.end(body)
  })
}

function sightOf(
  response: IncomingMessage | null,
  text: string,
  ended: boolean,
  hungUp: boolean,
  streamed: boolean,
): Sight {
  const status = response?.statusCode ?? null
  const isStream =
    streamed && status === 200 && String(response?.headers['content-type']).startsWith('text/event-stream')
  const cost = response?.headers['x-nemo-request-cost'] ?? response?.trailers['x-nemo-request-cost']
  const error = status !== null && status !== 200 && ended ? errorOf(text) : null
  return {
    requestId: response ? String(response.headers['x-nemo-request-id'] ?? '') || null : null,
    status,
    code: error?.code ?? null,
    complete: ended && (!isStream || text.endsWith('data: [DONE]\n\n')),
    hungUp: hungUp && !ended,
    costNanos: typeof cost === 'string' ? parseUsd(cost) : null,
    limit: error?.limit ?? null,
  }
}

function errorOf(text: string): { code: string | null; limit: RefusedLimit | null } {
  try {
    const { error } = JSON.parse(text)
    return { code: error.code, limit: error.limit ?? null }
  } catch {
    return { code: 'not JSON', limit: null }
  }
}
