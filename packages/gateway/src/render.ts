import { hash } from 'node:crypto'
import type { SurfaceError } from '@nemo/codec/surface'
import type { ApiError } from '@nemo/domain/errors'
import type { Exchange } from './exchange.ts'

/** Answers with an error, in the shape of the API that the caller speaks, OpenAI's where it is none. Where an answer has begun already, cuts it short: half an answer must not look whole. */
export function sendError(exchange: Exchange, error: ApiError, headers: readonly string[] = identity(exchange)): void {
  const { response, surface } = exchange
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = JSON.stringify(surface ? surface.writeError(surfaceError(error)) : error.body)
  response.writeHead(error.status, [
    ...['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))],
    ...headers,
    ...Object.entries(error.headers).flat(),
  ])
  response.end(body)
}

/** Answers with JSON. */
export function sendJson(exchange: Exchange, value: unknown, status = 200, headers: readonly string[] = []): void {
  sendBytes(exchange, Buffer.from(JSON.stringify(value)), status, headers)
}

/** The same, written already. */
export function sendBytes(exchange: Exchange, json: Buffer, status = 200, headers: readonly string[] = []): void {
  exchange.response.writeHead(status, [
    ...['content-type', 'application/json', 'content-length', String(json.length)],
    ...identity(exchange),
    ...headers,
  ])
  exchange.response.end(json)
}

/** Answers anyone with JSON that may be kept for a minute, or with 304 who has it already. */
export function sendCacheable(exchange: Exchange, value: unknown): void {
  const etag = `"${hash('sha1', JSON.stringify(value), 'base64url')}"`
  const headers = ['cache-control', 'public, max-age=60', 'access-control-allow-origin', '*', 'etag', etag]
  if (exchange.request.headers['if-none-match'] === etag) {
    exchange.response.writeHead(304, [...identity(exchange), ...headers]).end()
  } else sendJson(exchange, value, 200, headers)
}

/** Which request this answers, and how long it took: in all, and of that here. */
export function identity({ requestId, elapsedMs }: Exchange, overheadMs = elapsedMs): string[] {
  return [
    ...['x-request-id', requestId, 'x-nemo-request-id', requestId],
    ...['x-nemo-latency-ms', elapsedMs.toFixed(1), 'x-nemo-overhead-ms', overheadMs.toFixed(2)],
  ]
}

function surfaceError({ status, message, param, code, details, body }: ApiError): SurfaceError {
  return { status, message, type: body.error.type, param, code, details }
}
