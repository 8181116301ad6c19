import type { Nanos } from '@nemo/domain/money'
import type { Picture } from '@nemo/domain/picture'
import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from './chat/request.ts'
import type { EncodedRequest, Target } from './dialect.ts'
import * as google from './dialects/gemini/images.ts'
import type { WireError } from './dialects/openai.ts'
import { DIALECTS } from './dialects.ts'
import { isObject } from './fields.ts'
import { passOpenAi } from './passages/openai.ts'
import * as bfl from './pictures/bfl.ts'
import * as fal from './pictures/fal.ts'
import { writeForm } from './pictures/form.ts'
import * as recraft from './pictures/recraft.ts'
import * as stability from './pictures/stability.ts'
import type { Answer, Wire, WireRequest, WireTarget } from './wire.ts'

const NOTHING = Buffer.alloc(0)

interface Pictures {
  encode(body: JsonObject, target: Target): EncodedRequest & { readonly isForm?: boolean }
  decode(answer: JsonObject, createdAt: number): Decoded
  decodeError(answer: unknown): WireError | null
  placeToAskAgain?(answer: JsonObject, asked: URL): URL | null | undefined
  readBilled?(answer: JsonObject): Nanos | null
}

interface Decoded {
  readonly data: readonly unknown[]
  readonly usage: Usage | null
  readonly picture?: Picture
}

const GOOGLE: Pictures = {
  encode: google.encodeImages,
  decode(answer, createdAt) {
    const { json, usage, refusal } = google.decodeImages(answer, createdAt)
    const data = Array.isArray(json.data) ? json.data : []
    if (data.length === 0) throw new SyntaxError(refusal ?? 'the answer has no images')
    return { data, usage }
  },
  decodeError: DIALECTS.gemini.decodeError,
}
const FAL: Pictures = {
  ...fal,
  encode: fal.encodeImages,
  decode: (answer) => ({ ...plain(fal.decodeImages(answer)), picture: { quality: null, size: sizeOf(answer) } }),
}
const BFL: Pictures = { ...bfl, encode: bfl.encodeImages, decode: (answer) => plain(bfl.decodeImages(answer)) }
const STABILITY: Pictures = {
  ...stability,
  encode: stability.encodeImages,
  decode: (answer) => plain(stability.decodeImages(answer)),
}

function plain(data: readonly unknown[]): Decoded {
  return { data, usage: null }
}

/** fal says how large its pictures are, and bills some models by that. All of an answer are alike. */
function sizeOf({ images }: JsonObject): string | null {
  const first: unknown = Array.isArray(images) ? images[0] : null
  if (!isObject(first) || typeof first.width !== 'number' || typeof first.height !== 'number') return null
  return `${first.width}x${first.height}`
}

const OWN = { bfl: BFL, fal: FAL, stability: STABILITY }

/** OpenAI's images to a provider that has pictures of its own kind; null where it has none here. */
export function translateImages(request: WireRequest, target: WireTarget): Wire | null {
  const { pictures, dialect } = target.provider
  if (pictures === 'recraft') return passToRecraft(request, target)
  const codec = pictures === null ? (dialect === 'gemini' ? GOOGLE : null) : OWN[pictures]
  if (codec === null) return null
  const { path, body, headers = {}, isForm = false } = codec.encode(request.fields, target)
  const boundary = `nemo-${request.id}`
  return {
    path,
    headers: isForm ? { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` } : headers,
    body: isForm ? writeForm(body, boundary) : Buffer.from(JSON.stringify(body)),
    readAnswer(_, answer, __, asked): Answer {
      const billedNanos = codec.readBilled?.(answer) ?? null
      const again = asked && codec.placeToAskAgain?.(answer, asked)
      if (again !== undefined) return { bytes: NOTHING, usage: null, billedNanos, serviceTier: null, again }
      const { data, usage, picture = null } = codec.decode(answer, request.createdAt)
      const bytes = Buffer.from(JSON.stringify({ created: request.createdAt, data }))
      return { bytes, usage: { ...usage, image: data.length }, billedNanos, serviceTier: null, picture }
    },
    readError: codec.decodeError,
    isPolled: codec.placeToAskAgain !== undefined,
    openStream: () => {
      throw new TypeError('images are not streamed')
    },
  }
}

/** Recraft takes OpenAI's requests and answers alike, and says what it bills. */
function passToRecraft(request: WireRequest, target: WireTarget): Wire {
  const wire = passOpenAi(request, target)
  return {
    ...wire,
    readAnswer: (bytes, json) => ({ ...wire.readAnswer(bytes, json), billedNanos: recraft.readBilled(json) }),
  }
}
