import type { Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { vectorOf } from '../openai/embeddings.ts'
import { textTokens } from '../tokens.ts'
import { refused } from './errors.ts'

/** Embeddings as Titan or Cohere writes them; null of a body that is neither's. */
export function embed(body: JsonObject): Reply | null {
  if (body.inputText !== undefined) return embedByTitan(body)
  return body.texts === undefined ? null : embedByCohere(body)
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html */
function embedByTitan({ inputText, dimensions = 1024, embeddingTypes = ['float'] }: JsonObject): Reply {
  if (typeof inputText !== 'string')
    throw refused('Malformed input request: expected type: String, please reformat your input and try again.')
  if (inputText === '')
    throw refused(
      'Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again.',
    )
  if (![256, 512, 1024].includes(dimensions as number)) {
    throw refused('Malformed input request: 2 schema violations found, please reformat your input and try again.')
  }
  const vector = Array.from(vectorOf(inputText, dimensions as number))
  const binary = vector.map((value) => (value > 0 ? 1 : 0))
  const wanted = Array.isArray(embeddingTypes) ? embeddingTypes : []
  const embeddingsByType = {
    ...(wanted.includes('float') && { float: vector }),
    ...(wanted.includes('binary') && { binary }),
  }
  const count = textTokens(inputText)
  const embedding = wanted.includes('float') ? { embedding: vector } : {}
  return reply({ ...embedding, embeddingsByType, inputTextTokenCount: count }, count)
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html: what was used stands in a header alone. */
function embedByCohere({ texts, input_type, embedding_types, output_dimension = 1024 }: JsonObject): Reply {
  if (
    !Array.isArray(texts) ||
    texts.length === 0 ||
    texts.length > 96 ||
    texts.some((text) => typeof text !== 'string')
  ) {
    throw refused('Malformed input request: texts must be 1 to 96 strings, please reformat your input and try again.')
  }
  if (!['search_document', 'search_query', 'classification', 'clustering'].includes(String(input_type))) {
    throw refused(
      'Malformed input request: #: required key [input_type] not found, please reformat your input and try again.',
    )
  }
  const vectors = (texts as string[]).map((text) => Array.from(vectorOf(text, output_dimension as number)))
  const count = (texts as string[]).reduce((sum, text) => sum + textTokens(text), 0)
  const typed = Array.isArray(embedding_types)
  return reply(
    {
      id: '00000000-0000-4000-8000-000000000000',
      texts,
      response_type: typed ? 'embeddings_by_type' : 'embeddings_floats',
      embeddings: typed ? { float: vectors } : vectors,
    },
    count,
  )
}

function reply(body: JsonObject, inputTokens: number): Reply {
  const headers = { 'x-amzn-bedrock-input-token-count': String(inputTokens) }
  return { status: 200, headers, content: { json: JSON.stringify(body), tokens: 0 } }
}
