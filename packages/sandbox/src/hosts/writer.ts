import type { Dialect, Endpoint, Reply } from '../dialect.ts'
import { openai } from '../openai/dialect.ts'
import { Refusal } from '../refusal.ts'

/** Writer's chat: OpenAI's requests and answers at a path of its own (https://dev.writer.com/api-reference/completion-api/chat-completion), and errors of its own. */
export const writer: Dialect = {
  ...openai,
  endpoint,
  refuse: ({ status, message, headers }) => reply(status, message, headers),
  fail: (status, { error_message }) => reply(status, error_message ?? 'The request could not be processed.', {}),
  rateLimitHeaders: () => ({}),
  headers: (requestId) => ({ 'x-request-id': requestId }),
}

function endpoint(method: string, path: string): Endpoint {
  if (path !== '/v1/chat') throw new Refusal(404, `Not found: ${path}`)
  return openai.endpoint(method, '/v1/chat/completions')
}

/** https://dev.writer.com/api-reference/error-codes */
function reply(status: number, message: string, headers: Record<string, string>): Reply {
  const tpe = types[status] ?? (status >= 500 ? 'InternalServerError' : 'BadRequest')
  const errors = [{ description: message, key: `error.${status}`, extras: {} }]
  return { status, headers, content: { json: JSON.stringify({ tpe, errors, extras: {} }), tokens: 0 } }
}

const types: Record<number, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
}
