import type { Reply } from '../dialect.ts'
import type { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'

/** https://platform.claude.com/docs/en/api/errors */
export function refusalReply({ status, message, headers }: Refusal): Reply {
  return { status, headers, content: { json: errorBody(typeOf(status), message), tokens: 0 } }
}

/** An outage: what Anthropic answers with this status, unless the settings say it in their own words. */
export function failureReply(status: number, settings: SandboxConfig): Reply {
  // The header counts whole seconds.
  const headers = settings.retry_after === null ? {} : { 'retry-after': String(Math.ceil(settings.retry_after)) }
  return { status, headers, content: { json: failureBody(status, settings), tokens: 0 } }
}

/** The same body rides in a stream's error event, when headers are long gone. */
export function failureBody(status: number, settings: SandboxConfig): string {
  const type = typeOf(status)
  return errorBody(settings.error_code ?? type, settings.error_message ?? messages[type] ?? 'Internal server error')
}

function errorBody(type: string, message: string): string {
  return JSON.stringify({ type: 'error', error: { type, message } })
}

function typeOf(status: number): string {
  return types[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
}

const types: Record<number, string> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

const messages: Record<string, string> = {
  invalid_request_error: 'The request is invalid.',
  authentication_error: 'invalid x-api-key',
  billing_error: 'Your credit balance is too low to access the Anthropic API.',
  permission_error: 'Your API key does not have permission to use the specified resource.',
  not_found_error: 'Not found',
  rate_limit_error: 'This request would exceed your rate limit.',
  timeout_error: 'Request timed out.',
  overloaded_error: 'Overloaded',
}
