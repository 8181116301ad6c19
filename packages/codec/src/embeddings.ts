import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from './chat/request.ts'
import type { Dialect, EncodedRequest, Target } from './dialect.ts'
import * as cohere from './dialects/cohere/embeddings.ts'
import * as converse from './dialects/converse/embeddings.ts'
import * as gemini from './dialects/gemini/embeddings.ts'
import type { Answer, Wire, WireRequest, WireTarget } from './wire.ts'

interface Codec {
  encodeEmbeddings(body: JsonObject, target: Target): EncodedRequest
  decodeEmbeddings(answer: JsonObject, body: JsonObject, model: string): { json: JsonObject; usage: Usage | null }
}

const CODECS: { readonly [D in Dialect['name']]?: Codec } = { cohere, converse, gemini }

/** OpenAI's embeddings to a dialect that has others; null where it has none here. */
export function translateEmbeddings(request: WireRequest, target: WireTarget, dialect: Dialect): Wire | null {
  const codec = CODECS[dialect.name]
  if (!codec) return null
  const { path, body, headers = {} } = codec.encodeEmbeddings(request.fields, target)
  return {
    path,
    headers,
    body: Buffer.from(JSON.stringify(body)),
    readAnswer(_, answer): Answer {
      const { json, usage } = codec.decodeEmbeddings(answer, request.fields, target.model)
      return { bytes: Buffer.from(JSON.stringify(json)), usage, billedNanos: null, serviceTier: null }
    },
    readError: dialect.decodeError,
    openStream: () => {
      throw new TypeError('embeddings are not streamed')
    },
  }
}
