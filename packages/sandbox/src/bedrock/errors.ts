import type { Reply } from '../dialect.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'

/** The type of an error is in a header, its body has the message alone: https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html */
export function refusalReply({ status, message, headers, code }: Refusal): Reply {
  return reply(status, code ?? typeOf(status), message, headers)
}

/** An outage: what Bedrock answers with this status, unless the settings say it in their own words. */
export function failureReply(status: number, settings: SandboxConfig): Reply {
  const headers = settings.retry_after === null ? {} : { 'retry-after': String(Math.ceil(settings.retry_after)) }
  const type = settings.error_code ?? typeOf(status)
  return reply(status, type, settings.error_message ?? messages[type] ?? 'The request could not be processed.', headers)
}

/** An error as AWS's services with JSON tell it. */
export function reply(status: number, type: string, message: string, headers: Record<string, string>): Reply {
  const typed = { ...headers, 'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/` }
  return { status, headers: typed, content: { json: JSON.stringify({ message }), tokens: 0 } }
}

/** A 400. */
export function refused(message: string): Refusal {
  return new Refusal(400, message, { code: 'ValidationException' })
}

/** A 403 of the type. */
export function denied(type: string, message: string): Refusal {
  return new Refusal(403, message, { code: type })
}

export function accessDenied(message: string): Refusal {
  return denied('AccessDeniedException', message)
}

function typeOf(status: number): string {
  return types[status] ?? (status >= 500 ? 'InternalServerException' : 'ValidationException')
}

const types: Record<number, string> = {
  401: 'UnrecognizedClientException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  405: 'UnknownOperationException',
  408: 'ModelTimeoutException',
  409: 'ConflictException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
}

export const messages: Record<string, string> = {
  ValidationException: 'The request is invalid.',
  UnrecognizedClientException: 'The security token included in the request is invalid.',
  AccessDeniedException: "You don't have access to the model with the specified model ID.",
  ResourceNotFoundException: 'The model is not found.',
  ModelTimeoutException: 'Model has timed out in processing the request. Try your request again.',
  ModelErrorException: 'The model returned an error.',
  ThrottlingException: 'Too many requests, please wait before trying again.',
  InternalServerException: 'The system encountered an unexpected error during processing. Try your request again.',
  ServiceUnavailableException: 'Bedrock is unable to process your request.',
  modelStreamErrorException: 'The system encountered an unexpected error during processing. Try your request again.',
}
