import { invalidRequest } from '@nemo/domain/errors'
import type { Usage } from '@nemo/domain/usage'
import { defined } from '../../chat/openai-only.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { EncodedRequest, Target } from '../../dialect.ts'
import { isObject, readInteger, readObject, readText, textAt } from '../../fields.ts'
import { modelPath } from './encode.ts'
import { partsOf } from './parts.ts'
import { readGeminiUsage } from './usage.ts'

type ImagesTarget = Pick<Target, 'model' | 'hosting' | 'unsupported'>

/** Values of OpenAI's fields (https://platform.openai.com/docs/api-reference/images/create) that ask for what comes anyway. */
const USUAL: Readonly<Record<string, readonly unknown[]>> = {
  quality: ['auto', 'standard'],
  background: ['auto', 'opaque'],
  moderation: ['auto'],
  response_format: ['b64_json'],
  style: [],
  stream: [false],
  partial_images: [0],
}

/** Fields that are read here, or that bear on no image. */
const READ = new Set([
  'model',
  'prompt',
  'n',
  'size',
  'output_format',
  'output_compression',
  'user',
  ...Object.keys(USUAL),
])

/**
 * A request for OpenAI's images, as Google wants it: of Gemini's image models by generateContent
 * (https://ai.google.dev/gemini-api/docs/image-generation), of Imagen by `predict`
 * (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api). Other fields ride along. Throws a 400 that names the field.
 */
export function encodeImages(body: JsonObject, target: ImagesTarget): EncodedRequest {
  const prompt = textAt(body.prompt, 'prompt')
  const images = readInteger(body, 'n', 1, 128) ?? 1
  for (const [name, usual] of Object.entries(USUAL)) {
    if (body[name] != null && !usual.includes(body[name])) {
      target.unsupported(name, `Google's image models have no ${name} of ${JSON.stringify(body[name])}.`)
    }
  }
  const shape = readShape(body, target)
  const output = readOutput(body, target)
  const rest = Object.fromEntries(Object.entries(body).filter(([name, value]) => value != null && !READ.has(name)))
  return isImagen(target.model)
    ? encodeImagen(prompt, images, shape, output, rest, target)
    : encodeGemini(prompt, images, shape, output, rest, target)
}

export interface Images {
  /** OpenAI's answer: https://platform.openai.com/docs/api-reference/images/object */
  readonly json: JsonObject
  readonly usage: Usage | null
  /** Why there is no image, or fewer than asked for; null where nothing was held back. */
  readonly refusal: string | null
}

/** `createdAt` in seconds since 1970. Throws a SyntaxError on what is no answer. */
export function decodeImages(answer: JsonObject, createdAt: number): Images {
  return Array.isArray(answer.predictions) || !isContent(answer)
    ? decodeImagen(answer, createdAt)
    : decodeGemini(answer, createdAt)
}

interface Shape {
  readonly aspectRatio: string | null
  readonly imageSize: '2K' | '4K' | null
}

interface Output {
  readonly mimeType: string
  readonly compressionQuality: number | null
}

/** All that either kind of model has; which model has which, Google says itself. */
const RATIOS = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9']

/** A size in pixels becomes the ratio that it has exactly, and the step of resolution that its longer side comes nearest to from above. */
function readShape(body: JsonObject, { unsupported }: ImagesTarget): Shape {
  const size = readText(body, 'size')
  if (size === null || size === 'auto') return { aspectRatio: null, imageSize: null }
  const [, width = 0, height = 0] = /^([1-9]\d{1,4})x([1-9]\d{1,4})$/.exec(size)?.map(Number) ?? []
  if (width === 0) throw invalidRequest('size', 'size must be auto or a width and a height, such as 1024x1024.')
  const aspectRatio = RATIOS.find((ratio) => {
    const [across, down] = ratio.split(':').map(Number)
    return width * down! === height * across!
  })
  const longer = Math.max(width, height)
  // The first step is the default, and some models know no other.
  const imageSize = longer <= 1536 ? null : longer <= 3072 ? '2K' : '4K'
  if (aspectRatio === undefined) {
    unsupported('size', `The sides of an image must be as ${RATIOS.join(', ')} here.`)
    return { aspectRatio: null, imageSize: null }
  }
  return { aspectRatio, imageSize }
}

/** Null where the model's own format will do: PNG. */
function readOutput(body: JsonObject, target: ImagesTarget): Output | null {
  const format = readText(body, 'output_format') ?? 'png'
  const quality = readInteger(body, 'output_compression', 0, 100)
  const canChoose = isImagen(target.model) || target.hosting === 'vertex'
  if (format === 'png') {
    if (quality !== null && quality !== 100)
      target.unsupported('output_compression', 'A PNG is not compressed with loss.')
    return null
  }
  if (format === 'jpeg' && canChoose) return { mimeType: 'image/jpeg', compressionQuality: quality }
  target.unsupported('output_format', canChoose ? 'Images are png or jpeg here.' : 'Images are png here.')
  return null
}

function isImagen(model: string): boolean {
  return model.startsWith('imagen')
}

function encodeGemini(
  prompt: string,
  images: number,
  { aspectRatio, imageSize }: Shape,
  output: Output | null,
  rest: JsonObject,
  target: ImagesTarget,
): EncodedRequest {
  if (images > 1) target.unsupported('n', 'Gemini makes one image per request.')
  const given = readObject(rest, 'generationConfig') ?? {}
  const imageConfig = defined({
    ...readObject(given, 'imageConfig', 'generationConfig.imageConfig'),
    ...defined({ aspectRatio, imageSize, imageOutputOptions: output && defined({ ...output }) }),
  })
  const generationConfig = {
    responseModalities: ['IMAGE'],
    ...given,
    ...(Object.keys(imageConfig).length > 0 && { imageConfig }),
  }
  const contents = [{ role: 'user', parts: [{ text: prompt }] }]
  return { path: `${modelPath(target)}:generateContent`, body: { ...rest, contents, generationConfig } }
}

function encodeImagen(
  prompt: string,
  images: number,
  { aspectRatio, imageSize }: Shape,
  output: Output | null,
  rest: JsonObject,
  target: ImagesTarget,
): EncodedRequest {
  const parameters = {
    ...rest,
    // Its own default is several.
    sampleCount: images,
    ...defined({ aspectRatio, sampleImageSize: imageSize, outputOptions: output && defined({ ...output }) }),
  }
  return { path: `${modelPath(target)}:predict`, body: { instances: [{ prompt }], parameters } }
}

function isContent(answer: JsonObject): boolean {
  return Array.isArray(answer.candidates) || isObject(answer.promptFeedback)
}

/** What was only thought of is no image of the answer. */
function decodeGemini(answer: JsonObject, createdAt: number): Images {
  const candidates = Array.isArray(answer.candidates) ? answer.candidates.filter(isObject) : []
  const shown = candidates.flatMap(partsOf).filter(({ thought }) => thought !== true)
  const images = shown.flatMap(({ inlineData }) => (isObject(inlineData) ? [inlineData] : []))
  const said = shown.map(({ text }) => (typeof text === 'string' ? text : '')).join('')
  const feedback = isObject(answer.promptFeedback) ? answer.promptFeedback : {}
  const reason =
    [
      feedback.blockReasonMessage,
      candidates[0]?.finishMessage,
      said,
      feedback.blockReason,
      candidates[0]?.finishReason,
    ].find((one) => typeof one === 'string' && one !== '') ?? 'the model made no image'
  const usage = readGeminiUsage(answer.usageMetadata)
  return {
    json: imagesJson(
      images.map(({ data, mimeType }) => ({ data, mimeType })),
      createdAt,
      usage,
    ),
    usage,
    refusal: images.length > 0 ? null : String(reason),
  }
}

/** Imagen is billed by the image, and counts no tokens. */
function decodeImagen(answer: JsonObject, createdAt: number): Images {
  // Where all were held back, there isn't even an empty array.
  const predictions = Array.isArray(answer.predictions) ? answer.predictions.filter(isObject) : []
  if (predictions.length === 0 && isObject(answer.error)) throw new SyntaxError('the answer has no images')
  const images = predictions.flatMap(({ bytesBase64Encoded: data, mimeType }) =>
    typeof data === 'string' ? [{ data, mimeType }] : [],
  )
  const held = predictions.map(({ raiFilteredReason }) => raiFilteredReason).find((one) => typeof one === 'string')
  return {
    json: imagesJson(images, createdAt, null),
    usage: images.length > 0 ? { image: images.length } : null,
    refusal: images.length > 0 && held === undefined ? null : String(held ?? 'all images were filtered'),
  }
}

function imagesJson(
  images: readonly { data: unknown; mimeType: unknown }[],
  created: number,
  usage: Usage | null,
): JsonObject {
  const format = typeof images[0]?.mimeType === 'string' ? images[0].mimeType.replace(/^image\//, '') : null
  return {
    created,
    data: images.map(({ data }) => ({ b64_json: data })),
    ...(format !== null && { output_format: format }),
    ...(usage && { usage: usageJson(usage) }),
  }
}

/** https://platform.openai.com/docs/api-reference/images/object#images/object-usage */
function usageJson(usage: Usage): JsonObject {
  const image = usage.imageInput ?? 0
  const text = (usage.input ?? 0) + (usage.cachedInput ?? 0)
  const output = (usage.output ?? 0) + (usage.reasoning ?? 0) + (usage.imageOutput ?? 0)
  return {
    input_tokens: text + image,
    output_tokens: output,
    total_tokens: text + image + output,
    input_tokens_details: { text_tokens: text, image_tokens: image },
  }
}
