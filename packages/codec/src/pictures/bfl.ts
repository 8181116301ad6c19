import type { Nanos } from '@nemo/domain/money'
import type { JsonObject } from '../chat/request.ts'
import type { EncodedRequest, Target } from '../dialect.ts'
import { readBilledNanos, type WireError } from '../dialects/openai.ts'
import { isObject, oneOf, readText, textAt } from '../fields.ts'
import { ratioOf, readSize } from './size.ts'

const READ = new Set(['model', 'prompt', 'n', 'size', 'response_format', 'output_format', 'user', 'stream'])
const UNLIKE = [
  ...['quality', 'style', 'background', 'moderation', 'output_compression', 'partial_images'],
  // It would tell somebody else when it is done, and us nothing.
  ...['webhook_url', 'webhook_secret'],
]

/**
 * A request for OpenAI's images as Black Forest Labs' (https://docs.bfl.ai/api_integration/integration_guidelines), which makes one picture at a time, gives it as a link that
 * holds for ten minutes, and says first where to ask for it. Other fields, such as `safety_tolerance`, ride along. Throws a 400 that names the field.
 */
export function encodeImages(body: JsonObject, target: Target): EncodedRequest {
  for (const name of UNLIKE) {
    if (body[name] != null) target.unsupported(name, `Black Forest Labs has nothing like ${name}.`)
  }
  if (body.n != null && body.n !== 1) target.unsupported('n', 'Black Forest Labs makes one picture at a time.')
  if (body.response_format === 'b64_json')
    target.unsupported('response_format', 'Black Forest Labs gives pictures as links only.')
  const rest = Object.entries(body).filter(
    ([name, value]) => value != null && !READ.has(name) && !UNLIKE.includes(name),
  )
  const format = readText(body, 'output_format')
  return {
    path: `/${encodeURIComponent(target.model)}`,
    body: {
      ...Object.fromEntries(rest),
      prompt: textAt(body.prompt, 'prompt'),
      ...shapeOf(readSize(body), target.model),
      ...(format !== null && { output_format: oneOf(format, ['png', 'jpeg'], 'output_format') }),
    },
  }
}

/** Kontext and the ultra models are told a ratio, the others a width and a height: https://docs.bfl.ai/api-reference. */
function shapeOf(size: { width: number; height: number } | null, model: string): JsonObject {
  if (size === null) return {}
  if (!/kontext|ultra/.test(model)) return size
  return { aspect_ratio: ratioOf(size) }
}

/** The hosts of its regions, each of which answers for itself: https://docs.bfl.ai/api_integration/integration_guidelines */
const REGIONS = /^api(\.[a-z0-9-]+)?\.bfl\.ai$/

/**
 * Where to ask for a picture that isn't there yet: a place that was said just now, or null for the one asked at last. Undefined of any other answer. `asked` is the URL that
 * answered. Throws a SyntaxError on a place that isn't the provider's own: our key goes there.
 */
export function placeToAskAgain({ polling_url: said, status }: JsonObject, asked: URL): URL | null | undefined {
  if (status === 'Pending') return null
  if (typeof said !== 'string' || status !== undefined) return undefined
  const place = URL.canParse(said) ? new URL(said) : null
  const isSame = place?.origin === asked.origin
  const isRegion = place?.protocol === 'https:' && !place.port && REGIONS.test(place.hostname)
  if (place && !place.username && (isSame || (isRegion && REGIONS.test(asked.hostname)))) return place
  throw new SyntaxError('the place to ask for the picture is not the provider’s own')
}

/** What it is going to bill, in credits of a cent each (https://docs.bfl.ai/quick_start/pricing): the first answer says. */
export function readBilled({ cost }: JsonObject): Nanos | null {
  return typeof cost === 'number' ? readBilledNanos({ cost: cost / 100 }) : null
}

/** Throws a SyntaxError on what is no answer. */
export function decodeImages(answer: JsonObject): JsonObject[] {
  const { result } = answer
  if (answer.status !== 'Ready' || !isObject(result) || typeof result.sample !== 'string') {
    throw new SyntaxError(decodeError(answer)?.message ?? 'the answer has no picture')
  }
  return [{ url: result.sample, ...(typeof result.prompt === 'string' && { revised_prompt: result.prompt }) }]
}

/** https://docs.bfl.ai/api_integration/errors: a text, a list of what is wrong with which field, or the word for how a picture failed. */
export function decodeError(answer: unknown): WireError | null {
  if (!isObject(answer)) return null
  const { detail, status } = answer
  if (typeof detail === 'string') return { message: detail, param: null, code: null }
  const first = Array.isArray(detail) ? detail.find(isObject) : undefined
  if (first) return { message: String(first.msg), param: null, code: first.type ? String(first.type) : null }
  if (typeof status !== 'string' || status === 'Ready' || status === 'Pending') return null
  return { message: status, param: null, code: /moderated/i.test(status) ? 'content_policy_violation' : null }
}
