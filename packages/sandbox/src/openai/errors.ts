import type { Reply } from '../dialect.ts'
import type { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'

/** https://platform.openai.com/docs/guides/error-codes: a body with all four keys, whatever went wrong. */
export function refusalReply(refusal: Refusal): Reply {
  const type = refusal.status >= 500 ? 'server_error' : 'invalid_request_error'
  const json = errorBody(refusal.message, type, refusal.param, refusal.code)
  return { status: refusal.status, headers: refusal.headers, content: { json, tokens: 0 } }
}

/** An outage: what OpenAI answers with this status, unless the settings say it in their own words. */
export function failureReply(status: number, settings: SandboxConfig): Reply {
  const headers: Record<string, string> = {}
  if (settings.retry_after !== null) {
    // The header counts whole seconds; `retry-after-ms` is what OpenAI's own SDKs look at first.
    headers['retry-after'] = String(Math.ceil(settings.retry_after))
    headers['retry-after-ms'] = String(Math.round(settings.retry_after * 1000))
  }
  return { status, headers, content: { json: failureBody(status, settings), tokens: 0 } }
}

/** The same body rides in a stream's error event, when headers are long gone. */
export function failureBody(status: number, settings: SandboxConfig): string {
  const known = failures[status] ?? failures[status >= 500 ? 500 : 400]!
  return errorBody(settings.error_message ?? known.message, known.type, null, settings.error_code ?? known.code)
}

function errorBody(message: string, type: string, param: string | null, code: string | null): string {
  return JSON.stringify({ error: { message, type, param, code } })
}

type Failure = { message: string; type: string; code: string | null }

const failures: Record<number, Failure> = {
  400: { message: 'The request is invalid.', type: 'invalid_request_error', code: 'invalid_request' },
  401: { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' },
  403: {
    message: 'You have insufficient permissions for this operation.',
    type: 'invalid_request_error',
    code: 'insufficient_permissions',
  },
  404: { message: 'The model does not exist.', type: 'invalid_request_error', code: 'model_not_found' },
  408: { message: 'Request timed out.', type: 'timeout', code: 'request_timeout' },
  409: { message: 'The resource was updated by another request.', type: 'invalid_request_error', code: 'conflict' },
  413: { message: 'The request is too large.', type: 'invalid_request_error', code: 'request_too_large' },
  422: { message: 'Unable to process the request.', type: 'invalid_request_error', code: 'unprocessable_entity' },
  429: { message: 'Rate limit reached for requests.', type: 'requests', code: 'rate_limit_exceeded' },
  500: {
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
    code: null,
  },
  502: { message: 'Bad gateway.', type: 'server_error', code: null },
  503: {
    message: 'The engine is currently overloaded, please try again later.',
    type: 'service_unavailable_error',
    code: 'service_unavailable',
  },
  504: { message: 'The engine did not answer in time.', type: 'server_error', code: 'timeout' },
  529: { message: 'Overloaded.', type: 'overloaded_error', code: 'overloaded' },
}
