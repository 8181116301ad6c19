import type { ApiError } from '@nemo/domain/errors'
import type { Exchange } from './exchange.ts'

/** Answers with OpenAI's error body. Where an answer has begun already, cuts it short: half an answer must not look whole. */
export function sendError(exchange: Exchange, error: ApiError, headers: readonly string[] = identity(exchange)): void {
  const { response } = exchange
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = JSON.stringify(error.body)
  const extra = Object.entries(error.headers).flat()
  // A body that wasn't read to its end would be taken for the next request on the connection.
  if (!exchange.request.complete) extra.push('connection', 'close')
  response.writeHead(error.status, [
    ...['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))],
    ...headers,
    ...extra,
  ])
  response.end(body)
}

/** Answers with JSON. */
export function sendJson(exchange: Exchange, value: unknown, status = 200, headers: readonly string[] = []): void {
  const body = JSON.stringify(value)
  exchange.response.writeHead(status, [
    ...['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))],
    ...identity(exchange),
    ...headers,
  ])
  exchange.response.end(body)
}

function identity({ requestId }: Exchange): string[] {
  return ['x-request-id', requestId, 'x-nemo-request-id', requestId]
}
