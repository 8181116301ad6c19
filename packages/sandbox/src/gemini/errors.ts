import type { Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'

/** google.rpc.Status as JSON: https://cloud.google.com/apis/design/errors#http_mapping */
export function refusalReply({ status, message, headers, code }: Refusal): Reply {
  const details = code === KEY_INVALID ? [keyInvalid] : []
  const name = code === null || code === KEY_INVALID ? statusOf(status) : code
  return { status, headers, content: { json: errorBody(status, message, name, details), tokens: 0 } }
}

/** A key that isn't one is an invalid argument to Google; its details say what is meant. */
export const KEY_INVALID = 'API_KEY_INVALID'

const keyInvalid = {
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason: KEY_INVALID,
  domain: 'googleapis.com',
  metadata: { service: 'generativelanguage.googleapis.com' },
}

/** An outage: what Google answers with this status, unless the settings say it in their own words. */
export function failureReply(status: number, settings: SandboxConfig): Reply {
  const headers = settings.retry_after === null ? {} : { 'retry-after': String(Math.ceil(settings.retry_after)) }
  return { status, headers, content: { json: failureBody(status, settings), tokens: 0 } }
}

/** The same body rides in a stream's event, when headers are long gone. */
export function failureBody(status: number, settings: SandboxConfig): string {
  const name = settings.error_code ?? statusOf(status)
  const details: JsonObject[] = []
  if (settings.retry_after !== null) {
    details.push({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${settings.retry_after}s` })
  }
  return errorBody(status, settings.error_message ?? messages[statusOf(status)] ?? 'Unknown error.', name, details)
}

export function refused(message: string): Refusal {
  return new Refusal(400, message)
}

/** `path` is the message that the field stands in, as protocol buffers name it; '' at the top. */
export function unknownField(name: string, path: string): Refusal {
  const where = path === '' ? '' : ` at '${path}'`
  return refused(`Invalid JSON payload received. Unknown name "${name}"${where}: Cannot find field.`)
}

function errorBody(code: number, message: string, status: string, details: JsonObject[]): string {
  return JSON.stringify({ error: { code, message, status, ...(details.length > 0 && { details }) } })
}

function statusOf(status: number): string {
  return names[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT')
}

const names: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

const messages: Record<string, string> = {
  INVALID_ARGUMENT: 'Request contains an invalid argument.',
  UNAUTHENTICATED: 'Request had invalid authentication credentials.',
  PERMISSION_DENIED: 'The caller does not have permission',
  NOT_FOUND: 'Requested entity was not found.',
  RESOURCE_EXHAUSTED: 'You exceeded your current quota, please check your plan and billing details.',
  INTERNAL:
    'An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting',
  UNAVAILABLE: 'The model is overloaded. Please try again later.',
  DEADLINE_EXCEEDED: 'Deadline expired before operation could complete.',
}
