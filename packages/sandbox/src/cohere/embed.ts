import { hash } from 'node:crypto'
import type { Call, Reply } from '../dialect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { vectorOf } from '../openai/embeddings.ts'
import { embeddingTokens } from '../tokens.ts'
import { refused } from './errors.ts'
import { checkFields, readModel } from './models.ts'

const known = new Set([
  ...['texts', 'images', 'inputs', 'model', 'input_type', 'max_tokens', 'output_dimension', 'embedding_types'],
  ...['truncate', 'priority'],
])

const inputTypes = ['search_document', 'search_query', 'classification', 'clustering', 'image']

/** https://docs.cohere.com/reference/embed: of texts, as floats or base64. */
export function embed({ body, bytes, settings }: Call): Reply {
  checkFields(body, known)
  readModel(body)
  const texts = readTexts(body)
  if (!inputTypes.includes(String(body.input_type))) {
    throw refused(`invalid request: valid input_type must be provided: one of ${inputTypes.join(', ')}`)
  }
  const dimension = body.output_dimension ?? 1536
  if (![256, 512, 1024, 1536].includes(dimension as number)) {
    throw refused('invalid request: output_dimension must be one of 256, 512, 1024, 1536')
  }
  const vectors = texts.map((text) => vectorOf(text, dimension as number))
  const input_tokens = embeddingTokens(texts)
  const meta: JsonObject = { api_version: { version: '2' } }
  if (settings.usage !== 'missing') meta.billed_units = { input_tokens: settings.usage?.prompt_tokens ?? input_tokens }
  const json = JSON.stringify({
    id: hash('sha1', bytes, 'hex').slice(0, 32),
    embeddings: Object.fromEntries(
      readTypes(body).map((type) => [type, vectors.map((vector) => written(vector, type))]),
    ),
    texts,
    meta,
    response_type: 'embeddings_by_type',
  })
  return { status: 200, content: { json, tokens: 0 } }
}

function readTexts({ texts, inputs }: JsonObject): string[] {
  const given = texts ?? (Array.isArray(inputs) ? inputs.map(textOf) : undefined)
  if (!Array.isArray(given) || given.some((text) => typeof text !== 'string')) {
    throw refused('invalid request: texts, images or inputs must be provided')
  }
  if (given.length === 0 || given.length > 96) throw refused('invalid request: texts must have 1 to 96 elements')
  return given as string[]
}

function textOf(input: unknown): unknown {
  const content = isObject(input) && Array.isArray(input.content) ? input.content.filter(isObject) : []
  return content.length > 0 ? content.map(({ text }) => text ?? '').join('') : undefined
}

function readTypes({ embedding_types: types = ['float'] }: JsonObject): string[] {
  if (!Array.isArray(types) || types.some((type) => type !== 'float' && type !== 'base64')) {
    throw refused('invalid request: embedding_types must be of float, base64')
  }
  return types as string[]
}

function written(vector: Float32Array, type: string): unknown {
  return type === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
}
