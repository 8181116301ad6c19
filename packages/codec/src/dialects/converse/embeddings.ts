import { invalidRequest } from '@nemo/domain/errors'
import type { Usage } from '@nemo/domain/usage'
import { base64Of } from '../../base64-floats.ts'
import { defined } from '../../chat/openai-only.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { EncodedRequest, Target } from '../../dialect.ts'
import { isObject, oneOf, readInteger, textAt } from '../../fields.ts'
import { count } from '../openai.ts'
import { modelPath } from './model-path.ts'

/** OpenAI's fields of https://platform.openai.com/docs/api-reference/embeddings/create that are read here. */
const READ = new Set(['model', 'input', 'dimensions', 'encoding_format', 'user', 'stream'])

/**
 * A request for OpenAI's embeddings in the words of the model's maker, for InvokeModel: Titan's
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html), one text at a time, or Cohere's
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html). A name that doesn’t say, such as an inference profile’s ARN, is taken for Titan’s. What else the request says rides along: `normalize`, `input_type`, `truncate`. Throws a 400
 * that names the field.
 */
export function encodeEmbeddings(body: JsonObject, target: Pick<Target, 'model' | 'unsupported'>): EncodedRequest {
  const texts = readTexts(body.input)
  const dimensions = readInteger(body, 'dimensions', 1, 1e6)
  readEncoding(body)
  const rest = Object.fromEntries(Object.entries(body).filter(([name, value]) => value != null && !READ.has(name)))
  const { model } = target
  const isSized = !/titan-embed-(text-v1|g1)|cohere\.embed-(english|multilingual)-v3/.test(model)
  if (dimensions !== null && !isSized) target.unsupported('dimensions', 'This model’s embeddings have one size.')
  const size = isSized ? dimensions : null
  const path = modelPath(model, 'invoke')
  if (/cohere\.embed/.test(model)) {
    // What the texts are for, Cohere insists on being told: without a word of it they are documents to be searched.
    return { path, body: defined({ input_type: 'search_document', ...rest, texts, output_dimension: size }) }
  }
  if (texts.length !== 1) throw invalidRequest('input', 'This model embeds one text per request.')
  return { path, body: defined({ ...rest, inputText: texts[0], dimensions: size }) }
}

/**
 * `body` is the request as it was encoded. Cohere's models don't say here what they used: `x-amzn-bedrock-input-token-count` does. Throws a SyntaxError on what is no answer,
 * or has not one vector for each text.
 */
export function decodeEmbeddings(
  answer: JsonObject,
  body: JsonObject,
  model: string,
): { json: JsonObject; usage: Usage | null } {
  const vectors = vectorsIn(answer)
  if (vectors.length !== readTexts(body.input).length) {
    throw new SyntaxError('the answer has not one vector for each text')
  }
  const isBase64 = readEncoding(body) === 'base64'
  const data = vectors.map((values, index) => ({
    object: 'embedding',
    index,
    embedding: isBase64 ? base64Of(values) : values,
  }))
  const tokens = count(answer.inputTextTokenCount)
  return {
    json: { object: 'list', data, model, ...(tokens && { usage: { prompt_tokens: tokens, total_tokens: tokens } }) },
    usage: tokens ? { input: tokens } : null,
  }
}

function readTexts(input: unknown): string[] {
  const given = Array.isArray(input) ? input : [input]
  if (given.length === 0) throw invalidRequest('input', 'input must have at least one text.')
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

/** Titan's one `embedding`, or Cohere's `embeddings`: by type where types were asked for. */
function vectorsIn({ embedding, embeddings }: JsonObject): number[][] {
  const found = embedding === undefined ? (isObject(embeddings) ? embeddings.float : embeddings) : [embedding]
  if (!Array.isArray(found) || !found.every(isVector)) throw new SyntaxError('the answer has no embeddings')
  return found
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number')
}
