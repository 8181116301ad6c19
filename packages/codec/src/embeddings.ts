import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from './chat/request.ts'
import type { Dialect, EncodedRequest, Target } from './dialect.ts'
import * as cohere from './dialects/cohere/embeddings.ts'
import * as converse from './dialects/converse/embeddings.ts'
import * as gemini from './dialects/gemini/embeddings.ts'
import { count } from './dialects/openai.ts'
import type { Answer, AnswerHeaders, Wire, WireRequest, WireTarget } from './wire.ts'

interface Codec {
  encodeEmbeddings(body: JsonObject, target: Target): EncodedRequest
  decodeEmbeddings(answer: JsonObject, body: JsonObject, model: string): Decoded
}

const CODECS: { readonly [D in Dialect['name']]?: Codec } = { cohere, converse, gemini }

interface Decoded {
  readonly json: JsonObject
  readonly usage: Usage | null
}

/** OpenAI's embeddings to a dialect that has others; null where it has none here. */
export function translateEmbeddings(request: WireRequest, target: WireTarget, dialect: Dialect): Wire | null {
  const codec = CODECS[dialect.name]
  if (!codec) return null
  const { path, body, headers = {} } = codec.encodeEmbeddings(request.fields, target)
  return {
    path,
    headers,
    body: Buffer.from(JSON.stringify(body)),
    readAnswer(_, answer, headers = {}): Answer {
      const decoded = codec.decodeEmbeddings(answer, request.fields, target.model)
      const { json, usage } = target.hosting === 'bedrock' ? withCountOf(headers, decoded) : decoded
      return { bytes: Buffer.from(JSON.stringify(json)), usage, billedNanos: null, serviceTier: null }
    },
    readError: dialect.decodeError,
    openStream: () => {
      throw new TypeError('embeddings are not streamed')
    },
  }
}

const BEDROCK_COUNT = 'x-amzn-bedrock-input-token-count'

/**
 * Cohere's embeddings don't say on Bedrock what they used; a header of Bedrock's own does, as of whatever it invokes
 * (https://github.com/cohere-ai/cohere-python/pull/537 reads it likewise). What a body says of itself comes first.
 */
function withCountOf(headers: AnswerHeaders, decoded: Decoded): Decoded {
  const said = headers[BEDROCK_COUNT]
  const tokens = typeof said === 'string' && /^\d+$/.test(said) ? count(Number(said)) : null
  if (decoded.usage !== null || tokens === null || tokens === 0) return decoded
  return {
    json: { ...decoded.json, usage: { prompt_tokens: tokens, total_tokens: tokens } },
    usage: { input: tokens },
  }
}
