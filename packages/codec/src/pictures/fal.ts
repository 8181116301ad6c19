import type { JsonObject } from '../chat/request.ts'
import type { EncodedRequest, Target } from '../dialect.ts'
import type { WireError } from '../dialects/openai.ts'
import { isObject, oneOf, readDataUrl, readInteger, readText, textAt } from '../fields.ts'
import { readSize } from './size.ts'

const READ = new Set(['model', 'prompt', 'n', 'size', 'response_format', 'output_format', 'user', 'stream'])
const UNLIKE = ['quality', 'style', 'background', 'moderation', 'output_compression', 'partial_images']

/**
 * A request for OpenAI's images as fal's, which answers when the pictures are there (https://docs.fal.ai/model-apis/model-endpoints/synchronous-requests). Other fields, such as
 * `guidance_scale`, ride along. Throws a 400 that names the field.
 */
export function encodeImages(body: JsonObject, target: Target): EncodedRequest {
  for (const name of UNLIKE) {
    if (body[name] != null) target.unsupported(name, `fal has nothing like ${name}.`)
  }
  const rest = Object.entries(body).filter(
    ([name, value]) => value != null && !READ.has(name) && !UNLIKE.includes(name),
  )
  const format = readText(body, 'output_format')
  const size = readSize(body)
  return {
    path: `/${target.model.split('/').map(encodeURIComponent).join('/')}`,
    body: {
      ...Object.fromEntries(rest),
      prompt: textAt(body.prompt, 'prompt'),
      num_images: readInteger(body, 'n', 1, 10) ?? 1,
      ...(size && { image_size: size }),
      ...(format !== null && { output_format: oneOf(format, ['png', 'jpeg'], 'output_format') }),
      // Then the pictures come in the answer itself, and are kept nowhere.
      ...(body.response_format === 'b64_json' && { sync_mode: true }),
    },
  }
}

/** Throws a SyntaxError on what is no answer. */
export function decodeImages(answer: JsonObject): JsonObject[] {
  if (!Array.isArray(answer.images)) throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no images')
  return answer.images.filter(isObject).map(({ url }) => {
    if (typeof url !== 'string') throw new SyntaxError('an image has no URL')
    const inline = readDataUrl(url)
    return inline ? { b64_json: inline.data } : { url }
  })
}

/** https://docs.fal.ai/model-apis/errors: a text, or a list of what is wrong with which field. */
export function decodeError(answer: unknown): WireError | null {
  if (!isObject(answer)) return null
  const { detail } = answer
  if (typeof detail === 'string') return { message: detail, param: null, code: null }
  const first = Array.isArray(detail) ? detail.find(isObject) : undefined
  return first ? { message: String(first.msg), param: null, code: first.type ? String(first.type) : null } : null
}
