import type { JsonObject } from '../../chat/request.ts'
import type { SurfaceError } from '../../surface.ts'

/** https://platform.claude.com/docs/en/api/errors, with what a program may want to read beside Anthropic's two fields. */
export function writeError({ status, message, param, code, details }: SurfaceError): JsonObject {
  return { type: 'error', error: { type: typeOf(status), message, param, code, ...details } }
}

function typeOf(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error'
    case 402:
      return 'billing_error'
    case 403:
      return 'permission_error'
    case 404:
      return 'not_found_error'
    case 409:
      return 'conflict_error'
    case 413:
      return 'request_too_large'
    case 429:
      return 'rate_limit_error'
    case 504:
      return 'timeout_error'
    case 503:
    case 529:
      return 'overloaded_error'
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error'
  }
}
