import type { JsonObject } from '../chat/request.ts'
import type { EncodedRequest, Target } from '../dialect.ts'
import type { WireError } from '../dialects/openai.ts'
import { isObject, readInteger, textAt } from '../fields.ts'
import { readSize } from './size.ts'

const READ = new Set(['model', 'prompt', 'n', 'size', 'response_format', 'user', 'stream'])
const UNLIKE = ['quality', 'style', 'background', 'moderation', 'output_format', 'output_compression', 'partial_images']

/**
 * A request for OpenAI's images as Stability's version 1, which takes and gives JSON (https://platform.stability.ai/docs/api-reference#tag/SDXL-1.0-and-SD1.6). Other fields, such as `cfg_scale`, ride along. The
 * pictures come in base64 only. Throws a 400 that names the field.
 */
export function encodeImages(body: JsonObject, target: Target): EncodedRequest {
  for (const name of UNLIKE) {
    if (body[name] != null) target.unsupported(name, `Stability has nothing like ${name}.`)
  }
  if (body.response_format === 'url')
    target.unsupported('response_format', 'Stability gives pictures as b64_json only.')
  const rest = Object.entries(body).filter(
    ([name, value]) => value != null && !READ.has(name) && !UNLIKE.includes(name),
  )
  return {
    path: `/generation/${encodeURIComponent(target.model)}/text-to-image`,
    headers: { accept: 'application/json' },
    body: {
      ...Object.fromEntries(rest),
      text_prompts: [{ text: textAt(body.prompt, 'prompt') }],
      samples: readInteger(body, 'n', 1, 10) ?? 1,
      ...readSize(body),
    },
  }
}

/** Throws a SyntaxError on what is no answer, and where all pictures were held back. */
export function decodeImages(answer: JsonObject): JsonObject[] {
  if (!Array.isArray(answer.artifacts))
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no pictures')
  const shown = answer.artifacts.filter(isObject).filter(({ finishReason }) => finishReason !== 'ERROR')
  return shown.map(({ base64 }) => {
    if (typeof base64 !== 'string') throw new SyntaxError('a picture has no bytes')
    return { b64_json: base64 }
  })
}

export function decodeError(answer: unknown): WireError | null {
  return isObject(answer) && typeof answer.message === 'string'
    ? { message: answer.message, param: null, code: typeof answer.name === 'string' ? answer.name : null }
    : null
}
