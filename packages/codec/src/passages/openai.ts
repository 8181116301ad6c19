import type { Endpoint } from '@nemo/domain/catalogue'
import type { Picture } from '@nemo/domain/picture'
import type { Usage } from '@nemo/domain/usage'
import { base64Of } from '../base64-floats.ts'
import type { JsonObject } from '../chat/request.ts'
import { readBilledNanos, readError, readErrorAmid, readUsage, withoutZeros } from '../dialects/openai.ts'
import { OpenAiStream } from '../dialects/openai-stream.ts'
import { type Edits, editMembers } from '../json-members.ts'
import { PayloadStream, RESPONSE_STREAM } from '../payload-parts.ts'
import { type Provider, pathAt, refuse } from '../provider.ts'
import type { Answer, Wire, WireRequest, WireTarget } from '../wire.ts'

const PATHS: Record<Endpoint, string> = {
  chat: '/chat/completions',
  embeddings: '/embeddings',
  images: '/images/generations',
}

/**
 * OpenAI to OpenAI: the request changes in as few bytes as it can, and the answer in none
 * (https://platform.openai.com/docs/api-reference: chat completions, embeddings, images).
 */
export function passOpenAi(request: WireRequest, target: WireTarget): Wire {
  const { endpoint, streamed } = request
  const path = pathAt(target.provider, endpoint, target.model) ?? PATHS[endpoint]
  const isInParts = streamed && target.hosting === 'sagemaker'
  return {
    path: isInParts ? path + RESPONSE_STREAM : path,
    headers: {},
    body: editMembers(request.body, request.members, editsOf(request, target)),
    readAnswer: (bytes, json) => readAnswer(request, bytes, json),
    readError,
    openStream: () => (isInParts ? new PayloadStream(request) : new OpenAiStream(request)),
  }
}

function editsOf(request: WireRequest, target: WireTarget): Edits {
  const { edits, members, fields, streamed } = request
  const { model, cap, provider } = target
  const all = new Map(edits).set('model', JSON.stringify(model))
  if (streamed) all.set('stream_options', JSON.stringify({ ...(fields.stream_options as object), include_usage: true }))
  // The cap goes into the one field that the provider obeys; what a request may say of the other is null at most.
  if (cap !== null) {
    all.set('max_tokens', null).set('max_completion_tokens', null).set(provider.outputCap, String(cap))
  }
  if (cap === null && request.endpoint === 'chat') nameCap(all, fields, provider)
  if (provider.systemRole === 'system' && request.body.includes('"developer"')) {
    const messages = (request.fields.messages as JsonObject[]).map((message) =>
      message.role === 'developer' ? { ...message, role: 'system' } : message,
    )
    all.set('messages', JSON.stringify(messages))
  }
  if (fields.store === true && !request.mayBeKept) {
    target.leftOut('store')
    all.set('store', null)
  }
  for (const refused of provider.refuses) {
    if (!members.some(({ key }) => key === refused) || fields[refused] == null || all.get(refused) === null) continue
    refuse(refused, target)
    all.set(refused, null)
  }
  return all
}

/**
 * The caller's cap under the one name that the provider knows: under the other it would be refused, as `max_tokens` is by OpenAI's newer models
 * (https://platform.openai.com/docs/api-reference/chat/create#chat-create-max_completion_tokens), or nobody would heed it.
 */
function nameCap(edits: Map<string, string | null>, fields: JsonObject, { outputCap, refuses }: Provider): void {
  const other = outputCap === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  if (fields[other] == null || fields[outputCap] != null) return
  // Most that know `max_tokens` know both.
  if (outputCap === 'max_tokens' && !refuses.includes(other)) return
  edits.set(other, null).set(outputCap, JSON.stringify(fields[other]))
}

function readAnswer({ endpoint, fields }: WireRequest, bytes: Buffer, json: JsonObject): Answer {
  // Some providers report errors with status 200.
  const error = json.data === undefined ? readErrorAmid(json) : null
  if (error) throw new SyntaxError(error.message)
  const billedNanos = readBilledNanos(json.usage)
  const serviceTier = typeof json.service_tier === 'string' ? json.service_tier : null
  const picture = endpoint === 'images' ? pictureOf(json) : null
  const told = endpoint === 'embeddings' && fields.encoding_format === 'base64' ? inBase64(bytes, json) : bytes
  return { bytes: told, usage: usageOf(endpoint, json), billedNanos, serviceTier, picture }
}

/**
 * Vectors in base64, as they were asked for: some servers give numbers all the same, and OpenAI's SDKs, which ask for base64 unless they are told otherwise, take whatever comes for it.
 */
function inBase64(bytes: Buffer, json: JsonObject): Buffer {
  const { data } = json
  if (!Array.isArray(data) || !data.some((one) => Array.isArray(one?.embedding))) return bytes
  const written = data.map((one) => (isVector(one?.embedding) ? { ...one, embedding: base64Of(one.embedding) } : one))
  return Buffer.from(JSON.stringify({ ...json, data: written }))
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number')
}

/** GPT image models say what they made of `auto`: https://platform.openai.com/docs/api-reference/images/object */
function pictureOf({ quality, size }: JsonObject): Picture {
  return { quality: typeof quality === 'string' ? quality : null, size: typeof size === 'string' ? size : null }
}

/** What a picture model put out is pictures, unless it says what of it is (https://platform.openai.com/docs/api-reference/images/object). */
function pictureUsage(wire: unknown): Usage | null {
  const usage = readUsage(wire)
  const details = (wire as { output_tokens_details?: { image_tokens?: unknown } } | null)?.output_tokens_details
  if (usage === null || details?.image_tokens != null) return usage
  const { output = 0, ...others } = usage
  return withoutZeros({ ...others, imageOutput: output })
}

/** Picture models that bill by the piece report no tokens, and makers of embeddings sometimes only all of them, which is the input (https://docs.voyageai.com/reference/embeddings-api). */
function usageOf(endpoint: Endpoint, json: JsonObject): Usage | null {
  const usage = endpoint === 'images' ? pictureUsage(json.usage) : readUsage(json.usage)
  switch (endpoint) {
    case 'images':
      return { ...usage, image: Array.isArray(json.data) ? json.data.length : 1 }
    case 'embeddings':
      return usage ?? readUsage({ prompt_tokens: (json.usage as JsonObject | undefined)?.total_tokens })
    default:
      return usage
  }
}
