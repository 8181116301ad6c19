import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from './chat/request.ts'
import type { EncodedRequest, Target } from './dialect.ts'
import * as google from './dialects/gemini/images.ts'
import type { WireError } from './dialects/openai.ts'
import { DIALECTS } from './dialects.ts'
import * as fal from './pictures/fal.ts'
import * as stability from './pictures/stability.ts'
import type { Answer, Wire, WireRequest, WireTarget } from './wire.ts'

interface Pictures {
  encode(body: JsonObject, target: Target): EncodedRequest
  decode(answer: JsonObject, createdAt: number): { data: readonly unknown[]; usage: Usage | null }
  decodeError(answer: unknown): WireError | null
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
const FAL: Pictures = { ...fal, encode: fal.encodeImages, decode: (answer) => plain(fal.decodeImages(answer)) }
const STABILITY: Pictures = {
  ...stability,
  encode: stability.encodeImages,
  decode: (answer) => plain(stability.decodeImages(answer)),
}

function plain(data: readonly unknown[]): { data: readonly unknown[]; usage: null } {
  return { data, usage: null }
}

/** OpenAI's images to a provider that has pictures of its own kind; null where it has none here. */
export function translateImages(request: WireRequest, target: WireTarget): Wire | null {
  const { pictures, dialect } = target.provider
  const codec = pictures === 'fal' ? FAL : pictures === 'stability' ? STABILITY : dialect === 'gemini' ? GOOGLE : null
  if (codec === null) return null
  const { path, body, headers = {} } = codec.encode(request.fields, target)
  return {
    path,
    headers,
    body: Buffer.from(JSON.stringify(body)),
    readAnswer(_, answer): Answer {
      const { data, usage } = codec.decode(answer, request.createdAt)
      const bytes = Buffer.from(JSON.stringify({ created: request.createdAt, data }))
      return { bytes, usage: { ...usage, image: data.length }, billedNanos: null, serviceTier: null }
    },
    readError: codec.decodeError,
    openStream: () => {
      throw new TypeError('images are not streamed')
    },
  }
}
