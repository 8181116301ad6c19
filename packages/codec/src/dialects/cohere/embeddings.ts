import { invalidRequest } from '@nemo/domain/errors'
import type { Usage } from '@nemo/domain/usage'
import type { JsonObject } from '../../chat/request.ts'
import type { EncodedRequest, Target } from '../../dialect.ts'
import { isObject, oneOf, readInteger, textAt } from '../../fields.ts'
import { count } from '../openai.ts'

/** OpenAI's fields of https://platform.openai.com/docs/api-reference/embeddings/create that are read here. */
const READ = new Set(['model', 'input', 'dimensions', 'encoding_format', 'user', 'stream'])

/**
 * A request for OpenAI's embeddings as Cohere's (https://docs.cohere.com/reference/embed). What the texts are for, which Cohere insists on being told, rides along as `input_type`;
 * without it they are documents to be searched. Throws a 400 that names the field.
 */
export function encodeEmbeddings(body: JsonObject, target: Pick<Target, 'model'>): EncodedRequest {
  const dimension = readInteger(body, 'dimensions', 1, 1e6)
  const rest = Object.fromEntries(Object.entries(body).filter(([name, value]) => value != null && !READ.has(name)))
  return {
    path: '/embed',
    body: {
      input_type: 'search_document',
      ...rest,
      model: target.model,
      texts: readTexts(body.input),
      embedding_types: [readEncoding(body)],
      ...(dimension !== null && { output_dimension: dimension }),
    },
  }
}

/** `body` is the request as it was encoded. Throws a SyntaxError on what is no answer, or has not one vector for each text. */
export function decodeEmbeddings(
  answer: JsonObject,
  body: JsonObject,
  model: string,
): { json: JsonObject; usage: Usage | null } {
  const { embeddings, meta } = answer
  const vectors = isObject(embeddings) ? embeddings[readEncoding(body)] : null
  if (!Array.isArray(vectors) || vectors.length !== readTexts(body.input).length) {
    throw new SyntaxError('the answer has not one vector for each text')
  }
  const units = isObject(meta) && isObject(meta.billed_units) ? meta.billed_units : {}
  const tokens = count(units.input_tokens)
  const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
  return {
    json: { object: 'list', data, model, ...(tokens && { usage: { prompt_tokens: tokens, total_tokens: tokens } }) },
    usage: tokens ? { input: tokens } : null,
  }
}

function readTexts(input: unknown): string[] {
  const given = Array.isArray(input) ? input : [input]
  return given.map((one, i) => {
    if (typeof one === 'number' || Array.isArray(one)) {
      throw invalidRequest('input', 'input must be text: this provider does not know the tokens of another’s models.')
    }
    return textAt(one, Array.isArray(input) ? `input[${i}]` : 'input')
  })
}

/** OpenAI's SDKs ask for base64 unless told otherwise. */
function readEncoding(body: JsonObject): 'float' | 'base64' {
  return body.encoding_format == null ? 'float' : oneOf(body.encoding_format, ['float', 'base64'], 'encoding_format')
}
