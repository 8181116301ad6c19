import type { JsonObject } from '../chat/request.ts'
import type { EncodedRequest, Target } from '../dialect.ts'
import type { WireError } from '../dialects/openai.ts'
import { isObject, readInteger, textAt } from '../fields.ts'
import { ratioOf, readSize } from './size.ts'

const READ = new Set(['model', 'prompt', 'n', 'size', 'response_format', 'user', 'stream'])
const UNLIKE = ['quality', 'style', 'background', 'moderation', 'output_compression', 'partial_images']

/** A request that may have to go as a form. */
type Encoded = EncodedRequest & { readonly isForm: boolean }

/**
 * A request for OpenAI's images as Stability's. Its services of today take a form and make one picture (https://platform.stability.ai/docs/api-reference#tag/Generate): `stable-image-core`,
 * `stable-image-ultra` and the models `sd3…`. Any other model is one of version 1, which takes JSON (https://platform.stability.ai/docs/api-reference#tag/SDXL-1.0-and-SD1.6). Other fields, such as
 * `cfg_scale`, ride along. The pictures come in base64 only. Throws a 400 that names the field.
 */
export function encodeImages(body: JsonObject, target: Target): Encoded {
  for (const name of UNLIKE) {
    if (body[name] != null) target.unsupported(name, `Stability has nothing like ${name}.`)
  }
  if (body.response_format === 'url')
    target.unsupported('response_format', 'Stability gives pictures as b64_json only.')
  const rest = Object.entries(body).filter(
    ([name, value]) => value != null && !READ.has(name) && !UNLIKE.includes(name),
  )
  const service = serviceOf(target.model)
  return {
    headers: { accept: 'application/json' },
    ...(service === null
      ? inVersion1(body, Object.fromEntries(rest), target)
      : asForm(body, Object.fromEntries(rest), target, service)),
  }
}

/** Where a model of today is made; null of one of version 1. */
function serviceOf(model: string): string | null {
  if (model.startsWith('sd3')) return 'sd3'
  return /^stable-image-(core|ultra)$/.exec(model)?.[1] ?? null
}

const RATIOS = ['16:9', '1:1', '21:9', '2:3', '3:2', '4:5', '5:4', '9:16', '9:21']

function asForm(body: JsonObject, rest: JsonObject, target: Target, service: string): Encoded {
  if (body.n != null && body.n !== 1) target.unsupported('n', 'Stability makes one picture at a time.')
  const size = readSize(body)
  const ratio = size && ratioOf(size)
  const isRatio = ratio !== null && RATIOS.includes(ratio)
  if (ratio !== null && !isRatio)
    target.unsupported('size', `Stability makes pictures whose sides are ${RATIOS.join(', ')}.`)
  return {
    path: `/v2beta/stable-image/generate/${service}`,
    isForm: true,
    body: {
      ...rest,
      prompt: textAt(body.prompt, 'prompt'),
      ...(service === 'sd3' && { model: target.model }),
      ...(isRatio && { aspect_ratio: ratio }),
    },
  }
}

function inVersion1(body: JsonObject, rest: JsonObject, target: Target): Encoded {
  const { output_format: format, ...others } = rest
  if (format !== undefined) target.unsupported('output_format', 'Stability’s version 1 has nothing like output_format.')
  return {
    path: `/v1/generation/${encodeURIComponent(target.model)}/text-to-image`,
    isForm: false,
    body: {
      ...others,
      text_prompts: [{ text: textAt(body.prompt, 'prompt') }],
      samples: readInteger(body, 'n', 1, 10) ?? 1,
      ...readSize(body),
    },
  }
}

/** Throws a SyntaxError on what is no answer, and where all pictures were held back. */
export function decodeImages(answer: JsonObject): JsonObject[] {
  if (typeof answer.image === 'string') return [{ b64_json: answer.image }]
  if (!Array.isArray(answer.artifacts))
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no pictures')
  const shown = answer.artifacts.filter(isObject).filter(({ finishReason }) => finishReason !== 'ERROR')
  return shown.map(({ base64 }) => {
    if (typeof base64 !== 'string') throw new SyntaxError('a picture has no bytes')
    return { b64_json: base64 }
  })
}

/** Version 1 has a message, the services of today a list of what is wrong. */
export function decodeError(answer: unknown): WireError | null {
  if (!isObject(answer)) return null
  const { message, errors, name } = answer
  const said = typeof message === 'string' ? message : Array.isArray(errors) ? errors.join(' ') : null
  return said === null ? null : { message: said, param: null, code: typeof name === 'string' ? name : null }
}
