import { ApiError, invalidRequest, requestTooLarge, serverError } from '@nemo/domain/errors'
import type { z } from 'zod'

export const BODY_BYTES_MAX = 1024 * 1024

/** What there isn't, and what is another's: one answer, which names nothing. */
export function notFound(noun: string): ApiError {
  return new ApiError(404, 'not_found', `There is no such ${noun}.`)
}

/** The row, where there is one. Throws a 404 that names the noun. */
export function found<T>(noun: string, row: T | null): T {
  if (row === null) throw notFound(noun)
  return row
}

export function conflict(code: string, message: string, param?: string): ApiError {
  return new ApiError(409, code, message, param === undefined ? {} : { param })
}

export function tooMany(seconds: number): ApiError {
  return new ApiError(429, 'rate_limit_exceeded', `Too many calls. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
}

/** The first thing that a schema found wrong, named by its path: `limits[0].bound`. */
export function invalid(error: z.ZodError, fallback: string): ApiError {
  const issue = error.issues[0]!
  const unknown = issue.code === 'unrecognized_keys' ? [issue.keys[0]!] : []
  const path = [...issue.path, ...unknown].reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`,
    '',
  )
  return invalidRequest(path || fallback, issue.message)
}

/** Whatever was thrown, as what the caller may read of it. */
export function refusalOf(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause
  const { code, statusCode } = cause as { code?: string; statusCode?: number }
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return requestTooLarge(BODY_BYTES_MAX)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError(415, 'unsupported_media_type', 'Send JSON, with "content-type: application/json".')
    // A deadlock, which Postgres ended by picking this one.
    case '40P01':
      return new ApiError(503, 'busy', 'This met another change of the same. Try again.', {
        headers: { 'retry-after': '1' },
        cause,
      })
    // Raised by the trigger of table `members`.
    case 'NM001':
      return conflict('last_owner', 'An organization keeps an owner: make somebody else one first.')
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError(statusCode, 'invalid_request', (cause as Error).message.slice(0, 300), { cause })
  }
  return serverError(cause)
}

/** A link of a mail that is unknown, used, revoked or expired: which of these, isn't said. */
export function linkInvalid(): ApiError {
  return new ApiError(400, 'link_invalid', 'This link was used, has expired, or never was one of ours.', {
    param: 'token',
  })
}

export function hasOrganization(): ApiError {
  return conflict('has_organization', 'You belong to an organization already, and to one at a time: leave it first.')
}

export function aboveYourRole(): ApiError {
  return new ApiError(403, 'above_your_role', 'That is above your own role.')
}
