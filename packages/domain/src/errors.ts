/**
 * A refusal the caller may read. `message`, `param` and `code` go out in OpenAI's error body; nothing else does.
 * Status, codes and types are those of `docs/errors.md`.
 */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly param: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly details: Readonly<Record<string, unknown>>
  /** The limit that refused, where one did. */
  readonly limitId: string | null

  constructor(
    status: number,
    code: string,
    message: string,
    extras: {
      param?: string
      headers?: Record<string, string>
      details?: Record<string, unknown>
      limitId?: string
      cause?: unknown
    } = {},
  ) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.param = extras.param ?? null
    this.headers = extras.headers ?? {}
    this.details = extras.details ?? {}
    this.limitId = extras.limitId ?? null
  }

  /** OpenAI's error body, all four keys present, and beside them what a program may want to read. */
  get body(): { error: { message: string; type: string; param: string | null; code: string } } {
    return {
      error: { message: this.message, type: typeOf(this.status), param: this.param, code: this.code, ...this.details },
    }
  }
}

export function invalidRequest(param: string, message: string): ApiError {
  return new ApiError(400, 'invalid_request', message, { param })
}

/** Missing, malformed, unknown, revoked and expired keys, and those used from a wrong address, all read alike, so that an answer tells nothing about which keys exist. */
export function invalidApiKey(): ApiError {
  return new ApiError(
    401,
    'invalid_api_key',
    'Incorrect API key provided. Send a valid virtual key as "Authorization: Bearer sk-nemo-…".',
  )
}

/** Of an endpoint that there is for anyone to see, but not for this key. */
export function endpointNotAllowed(endpoint: string): ApiError {
  return new ApiError(403, 'permission_denied', `This key may not call /v1/${endpoint}.`)
}

export function modelNotFound(model: string): ApiError {
  return new ApiError(404, 'model_not_found', `The model '${model}' does not exist or you do not have access to it.`, {
    param: 'model',
  })
}

export function requestTooLarge(limitBytes: number): ApiError {
  return new ApiError(413, 'request_too_large', `The request body is larger than the ${limitBytes} bytes allowed.`)
}

export function serverError(cause: unknown): ApiError {
  return new ApiError(
    500,
    'internal_error',
    'Something failed inside the gateway. The request id finds it in the log.',
    {
      cause,
    },
  )
}

function typeOf(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error'
    case 402:
      return 'billing_error'
    case 403:
      return 'permission_error'
    case 429:
      return 'rate_limit_error'
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error'
  }
}
