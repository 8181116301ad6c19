import type { Call, Reply } from '../dialect.ts'
import type { JsonObject } from '../json.ts'
import { randomFrom, seedOf } from '../random.ts'
import { embeddingTokens } from '../tokens.ts'
import { invalidValue, optionalInteger, optionalOneOf, required, wrongType } from './fields.ts'
import { readModel } from './models.ts'

/** https://platform.openai.com/docs/api-reference/embeddings/create */
export function createEmbeddings({ body, settings }: Call): Reply {
  const inputs = readInputs(body)
  const model = readModel(body)
  const dimensions = optionalInteger(body, 'dimensions', 1, 3072) ?? (model === 'text-embedding-3-large' ? 3072 : 1536)
  const base64 = optionalOneOf(body, 'encoding_format', ['float', 'base64']) === 'base64'
  const data = inputs.map((input, index) => {
    const vector = vectorOf(input, dimensions)
    // The SDKs ask for base64 unless told otherwise: 32-bit floats, little-endian, as this machine holds them.
    const embedding = base64 ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
    return { object: 'embedding', index, embedding }
  })
  const reply: JsonObject = { object: 'list', data, model }
  if (settings.usage !== 'missing') {
    const prompt_tokens = settings.usage?.prompt_tokens ?? embeddingTokens(inputs)
    reply.usage = { prompt_tokens, total_tokens: prompt_tokens }
  }
  return { status: 200, content: { json: JSON.stringify(reply), tokens: 0 } }
}

type Input = string | number[]

/** One text, several texts, one array of tokens, or several. */
function readInputs(body: JsonObject): Input[] {
  const input = required(body, 'input')
  const inputs = !Array.isArray(input) || typeof input[0] === 'number' ? [input] : input
  if (inputs.length === 0 || inputs.length > 2048) throw invalidValue('input', 'expected 1 to 2048 inputs')
  for (const one of inputs) {
    if (typeof one !== 'string' && !isTokens(one)) throw wrongType('input', 'strings or arrays of tokens')
    if (one.length === 0) throw invalidValue('input', 'an input cannot be empty')
  }
  return inputs
}

function isTokens(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((token) => Number.isInteger(token) && token >= 0)
}

/** A unit vector that depends on nothing but the input and its own length. */
export function vectorOf(input: Input, dimensions: number): Float32Array {
  const random = randomFrom(seedOf(typeof input === 'string' ? input : JSON.stringify(input)))
  const vector = new Float32Array(dimensions)
  let squares = 0
  for (let index = 0; index < dimensions; index++) {
    const value = random() * 2 - 1
    vector[index] = value
    squares += value * value
  }
  const length = Math.sqrt(squares) || 1
  for (let index = 0; index < dimensions; index++) vector[index] = vector[index]! / length
  return vector
}
