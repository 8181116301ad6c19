import { ApiError } from '@nemo/domain/errors'

/** The body's JSON object. Throws a 400 that says where it is none. */
export function parse(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new ApiError(
      400,
      'invalid_request',
      `We could not parse the JSON body of your request: ${(error as Error).message}`,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError(400, 'invalid_request', 'The request body must be a JSON object.')
  }
  return value as Record<string, unknown>
}
