import { isObject } from '../../fields.ts'
import type { WireError } from '../openai.ts'

/** `{message}`, and sometimes the error's name in `__type` (https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html). */
export function decodeError(answer: unknown): WireError | null {
  if (!isObject(answer)) return null
  const { __type: type, message = answer.Message } = answer
  const code = typeof type === 'string' ? type.slice(type.indexOf('#') + 1) : null
  if (typeof message === 'string') return { message, param: null, code }
  return code === null ? null : { message: code, param: null, code }
}
