import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { onePixelPng } from '../png.ts'
import { randomFrom, seedOf, seedPart } from '../random.ts'
import { Refusal } from '../refusal.ts'
import type { SandboxConfig } from '../settings.ts'
import { textTokens } from '../tokens.ts'
import { invalidValue, optionalBoolean, optionalInteger, optionalOneOf, required, wrongType } from './fields.ts'
import { readModel } from './models.ts'

/** https://platform.openai.com/docs/api-reference/images/create. Every image is one pixel, whatever its size says. */
export function createImages({ body, settings, origin }: Call): Reply {
  const prompt = required(body, 'prompt')
  if (typeof prompt !== 'string') throw wrongType('prompt', 'a string')
  const model = readModel(body, 'dall-e-2')
  const dalle = model.startsWith('dall-e-')
  const count = optionalInteger(body, 'n', 1, model === 'dall-e-3' ? 1 : 10) ?? 1
  const quality = optionalOneOf(body, 'quality', ['auto', 'low', 'medium', 'high', 'standard', 'hd']) ?? 'auto'
  const size = readSize(body)
  const format = readFormat(body, model)
  if (optionalBoolean(body, 'stream')) throw invalidValue('stream', 'the sandbox does not stream images')

  const seed = seedOf(prompt)
  const data = Array.from({ length: count }, (_, index) => {
    const colour = colourOf(seedPart(seed, index))
    const image: JsonObject =
      format === 'url'
        ? { url: `${origin}/sandbox/images/${colour}.png` }
        : { b64_json: onePixelPng(colour).toString('base64') }
    if (model === 'dall-e-3') image.revised_prompt = prompt
    return image
  })
  const reply: JsonObject = { created: settings.created, data }
  const settled = quality === 'low' || quality === 'high' ? quality : 'medium'
  if (!dalle) {
    Object.assign(reply, { background: 'opaque', output_format: 'png', size, quality: settled })
    if (settings.usage !== 'missing') reply.usage = usageOf(prompt, count * imageTokens(settled, size), settings)
  }
  return { status: 200, content: { json: JSON.stringify(reply), tokens: 0 } }
}

function readSize(body: JsonObject): string {
  const size = body.size ?? 'auto'
  if (typeof size !== 'string' || !/^(auto|[1-9]\d{1,4}x[1-9]\d{1,4})$/.test(size)) {
    throw invalidValue('size', "expected 'auto' or a size such as '1024x1024'")
  }
  return size === 'auto' ? '1024x1024' : size
}

function readFormat(body: JsonObject, model: string): 'url' | 'b64_json' {
  const given = optionalOneOf(body, 'response_format', ['url', 'b64_json'])
  if (given !== undefined && model.startsWith('gpt-image-')) {
    // The GPT image models always answer in base64, and refuse to be asked.
    throw new Refusal(400, "Unknown parameter: 'response_format'.", {
      param: 'response_format',
      code: 'unknown_parameter',
    })
  }
  return given ?? (model.startsWith('dall-e-') ? 'url' : 'b64_json')
}

function colourOf(seed: number): string {
  return Math.floor(randomFrom(seed)() * 0x1000000)
    .toString(16)
    .padStart(6, '0')
}

function usageOf(prompt: string, imageTokens: number, settings: SandboxConfig): JsonObject {
  const given = settings.usage === 'missing' ? null : settings.usage
  const input_tokens = given?.prompt_tokens ?? textTokens(prompt)
  const output_tokens = given?.completion_tokens ?? imageTokens
  return {
    input_tokens,
    output_tokens,
    total_tokens: input_tokens + output_tokens,
    input_tokens_details: { text_tokens: input_tokens, image_tokens: 0 },
  }
}

/**
 * Output tokens of one image of gpt-image-1: https://platform.openai.com/docs/guides/image-generation#cost-and-latency.
 * Other sizes count as the square, `auto` as medium.
 */
export function imageTokens(quality: 'low' | 'medium' | 'high', size: string): number {
  const [square, portrait, landscape] = tokensByQuality[quality]
  return size === '1024x1536' ? portrait : size === '1536x1024' ? landscape : square
}

const tokensByQuality = {
  low: [272, 408, 400],
  medium: [1056, 1584, 1568],
  high: [4160, 6240, 6208],
} as const
