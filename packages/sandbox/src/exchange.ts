import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestRecord } from './stats.ts'

/** One request being answered. Whatever waits here stops waiting the moment the connection is gone. */
export type Exchange = {
  request: IncomingMessage
  response: ServerResponse
  record: RequestRecord
  startedAt: number
  gone: boolean
  /** The sandbox itself ends the connection, so its close is no hang-up. */
  cut: boolean
  wake: (() => void) | undefined
}

export function openExchange(request: IncomingMessage, response: ServerResponse, record: RequestRecord): Exchange {
  const exchange: Exchange = {
    request,
    response,
    record,
    startedAt: performance.now(),
    gone: false,
    cut: false,
    wake: undefined,
  }
  response.on('close', () => {
    exchange.gone = true
    exchange.wake?.()
  })
  return exchange
}

export function requestId(): string {
  return `req_${randomUUID().replaceAll('-', '')}`
}

export function pause(exchange: Exchange, ms: number): Promise<void> {
  return until(exchange, (done) => {
    const timer = setTimeout(done, ms)
    return () => clearTimeout(timer)
  })
}

/** Lets the event loop turn, so that a hang-up is noticed and writes reach the network one by one. */
export function breathe(exchange: Exchange): Promise<void> {
  return until(exchange, (done) => {
    const turn = setImmediate(done)
    return () => clearImmediate(turn)
  })
}

export function drained(exchange: Exchange): Promise<void> {
  return until(exchange, (done) => {
    exchange.response.once('drain', done)
    return () => exchange.response.off('drain', done)
  })
}

/** Holds the connection open until somebody else closes it. */
export function hang(exchange: Exchange): Promise<void> {
  return until(exchange, () => () => {})
}

function until(exchange: Exchange, start: (done: () => void) => () => void): Promise<void> {
  if (exchange.gone) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      exchange.wake = undefined
      stop()
      resolve()
    }
    exchange.wake = done
    const stop = start(done)
  })
}
