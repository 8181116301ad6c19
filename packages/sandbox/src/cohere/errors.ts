import type { Reply } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'

/** https://docs.cohere.com/reference/errors: a message, and the status says the rest. */
export function refusalReply({ status, message, headers }: Refusal): Reply {
  return { status, headers, content: { json: JSON.stringify({ message }), tokens: 0 } }
}

/** An outage: what Cohere answers with this status, unless the settings say it in their own words. */
export function failureReply(status: number, settings: SandboxConfig): Reply {
  const headers = settings.retry_after === null ? {} : { 'retry-after': String(Math.ceil(settings.retry_after)) }
  return {
    status,
    headers,
    content: { json: JSON.stringify({ message: failureMessage(status, settings) }), tokens: 0 },
  }
}

export function failureMessage(status: number, settings: SandboxConfig): string {
  return settings.error_message ?? messages[status] ?? messages[status >= 500 ? 500 : 400]!
}

export function refused(message: string, status = 400): Refusal {
  return new Refusal(status, message)
}

const messages: Record<number, string> = {
  400: 'invalid request',
  401: 'invalid api token',
  403: 'you do not have access to this resource',
  404: 'the resource was not found',
  422: 'unprocessable entity',
  429: 'You have reached the rate limit of your key. Please wait and try again later.',
  498: 'invalid token: the token has been blocked',
  499: 'request cancelled',
  500: 'internal server error, this has been reported to our developers',
  501: 'not implemented',
  503: 'the service is unavailable, please try again later',
  504: 'the request timed out',
}
