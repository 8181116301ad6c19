import { invalidRequest } from '@nemo/domain/errors'
import type { Usage } from '@nemo/domain/usage'
import { base64Of } from '../../base64-floats.ts'
import { defined } from '../../chat/openai-only.ts'
import type { JsonObject } from '../../chat/request.ts'
import type { EncodedRequest, Target } from '../../dialect.ts'
import { isObject, oneOf, readInteger, textAt } from '../../fields.ts'
import { count } from '../openai.ts'
import { modelPath } from './encode.ts'

type EmbeddingsTarget = Pick<Target, 'model' | 'hosting' | 'unsupported'>

/** OpenAI's fields of https://platform.openai.com/docs/api-reference/embeddings/create that are read here. */
const READ = new Set(['model', 'input', 'dimensions', 'encoding_format', 'user', 'stream'])

/**
 * A request for OpenAI's embeddings, as Google wants it. `taskType` and `title` ride along. At its maker's one batch:
 * https://ai.google.dev/api/embeddings#method:-models.batchembedcontents. On Vertex AI texts to be predicted, or one content for the newer models:
 * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api. Throws a 400 that names the field.
 */
export function encodeEmbeddings(body: JsonObject, target: EmbeddingsTarget): EncodedRequest {
  const texts = readTexts(body.input)
  const dimensions = readInteger(body, 'dimensions', 1, 1e6)
  readEncoding(body)
  const rest = Object.fromEntries(Object.entries(body).filter(([name, value]) => value != null && !READ.has(name)))
  const path = modelPath(target)
  if (target.hosting !== 'vertex') {
    const more = { ...rest, ...(dimensions !== null && { outputDimensionality: dimensions }) }
    const model = `models/${target.model}`
    const requests = texts.map((text) => ({ model, content: contentOf(text), ...more }))
    return { path: `${path}:batchEmbedContents`, body: { requests } }
  }
  if (!embedsContent(target.model)) {
    const { taskType, title, ...parameters } = rest
    return {
      path: `${path}:predict`,
      body: {
        instances: texts.map((content) => defined({ content, task_type: taskType, title })),
        ...parametersOf(defined({ ...parameters, outputDimensionality: dimensions })),
      },
    }
  }
  if (texts.length !== 1) throw invalidRequest('input', 'This model embeds one text per request on Vertex AI.')
  const config = defined({ ...rest, outputDimensionality: dimensions })
  return {
    path: `${path}:embedContent`,
    body: { content: contentOf(texts[0]!), ...(Object.keys(config).length > 0 && { embedContentConfig: config }) },
  }
}

export interface Embeddings {
  /** OpenAI's answer (https://platform.openai.com/docs/api-reference/embeddings/object); its `usage` is missing where Google told none. */
  readonly json: JsonObject
  readonly usage: Usage | null
}

/** `body` is the request as it was encoded. Throws a SyntaxError on what is no answer, or has not one vector for each text. */
export function decodeEmbeddings(answer: JsonObject, body: JsonObject, model: string): Embeddings {
  const found = embeddingsOf(answer)
  if (found.length !== readTexts(body.input).length)
    throw new SyntaxError('the answer has not one vector for each text')
  const isBase64 = readEncoding(body) === 'base64'
  const data = found.map((embedding, index) => {
    const values = valuesOf(embedding)
    return { object: 'embedding', index, embedding: isBase64 ? base64Of(values) : values }
  })
  const tokens = tokensOf(answer, found)
  return {
    json: { object: 'list', data, model, ...(tokens && { usage: { prompt_tokens: tokens, total_tokens: tokens } }) },
    usage: tokens ? { input: tokens } : null,
  }
}

function readTexts(input: unknown): string[] {
  const given = Array.isArray(input) ? input : [input]
  if (given.length === 0) throw invalidRequest('input', 'input must have at least one text.')
  return given.map((one, i) => {
    const path = Array.isArray(input) ? `input[${i}]` : 'input'
    if (typeof one === 'number' || Array.isArray(one)) {
      throw invalidRequest('input', 'input must be text: this provider does not know the tokens of another’s models.')
    }
    return textAt(one, path)
  })
}

/** OpenAI's SDKs ask for base64 unless told otherwise. */
function readEncoding(body: JsonObject): 'float' | 'base64' {
  return body.encoding_format == null ? 'float' : oneOf(body.encoding_format, ['float', 'base64'], 'encoding_format')
}

/** Gemini's embedding models but the first take a whole content, of any modality, and have a method of their own there. */
function embedsContent(model: string): boolean {
  return model.startsWith('gemini-') && model !== 'gemini-embedding-001'
}

function contentOf(text: string): JsonObject {
  return { parts: [{ text }] }
}

function parametersOf(parameters: JsonObject): JsonObject {
  return Object.keys(parameters).length > 0 ? { parameters } : {}
}

/** `embeddings` of a batch, `embedding` of one content, or `predictions` with their statistics. */
function embeddingsOf(answer: JsonObject): JsonObject[] {
  const { embeddings, embedding, predictions } = answer
  if (Array.isArray(embeddings)) return embeddings.filter(isObject)
  if (isObject(embedding)) return [embedding]
  if (Array.isArray(predictions))
    return predictions
      .filter(isObject)
      .map((one) => one.embeddings)
      .filter(isObject)
  throw new SyntaxError('the answer has no embeddings')
}

function valuesOf({ values }: JsonObject): number[] {
  if (!Array.isArray(values) || values.length === 0 || !values.every((value) => typeof value === 'number')) {
    throw new SyntaxError('an embedding of the answer is no vector')
  }
  return values
}

/** Counted of the whole request, or of each text; null unless of all. */
function tokensOf(answer: JsonObject, embeddings: readonly JsonObject[]): number | null {
  if (isObject(answer.usageMetadata)) return count(answer.usageMetadata.promptTokenCount)
  let sum = 0
  for (const { statistics } of embeddings) {
    const tokens = isObject(statistics) ? count(statistics.token_count ?? statistics.tokenCount) : null
    if (tokens === null) return null
    sum += tokens
  }
  return count(sum)
}
