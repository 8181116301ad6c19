import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../chat/request.ts'
import { decodeEmbeddings, encodeEmbeddings } from './embeddings.ts'

const TITAN = 'amazon.titan-embed-text-v2:0'
const COHERE = 'us.cohere.embed-v4:0'

function encode(body: JsonObject, model = TITAN) {
  return encodeEmbeddings(
    { model: 'm', ...body },
    {
      model,
      unsupported(param, why) {
        throw new ApiError(400, 'unsupported_parameter', why, { param })
      },
    },
  )
}

describe('a request for embeddings is written', () => {
  test.each<[string, JsonObject, string, string, JsonObject]>([
    [
      'for Titan',
      { input: ['Hello'], dimensions: 256, encoding_format: 'base64', normalize: false, user: 'u' },
      TITAN,
      '/model/amazon.titan-embed-text-v2%3A0/invoke',
      { inputText: 'Hello', dimensions: 256, normalize: false },
    ],
    [
      'for Titan’s first',
      { input: 'Hello' },
      'amazon.titan-embed-text-v1',
      '/model/amazon.titan-embed-text-v1/invoke',
      { inputText: 'Hello' },
    ],
    [
      'for Cohere',
      { input: ['Hello', 'you'], dimensions: 512 },
      COHERE,
      '/model/us.cohere.embed-v4%3A0/invoke',
      { texts: ['Hello', 'you'], input_type: 'search_document', output_dimension: 512 },
    ],
    [
      'for Cohere’s older ones, with a use of its own',
      { input: 'Hello', input_type: 'search_query', truncate: 'END' },
      'cohere.embed-english-v3',
      '/model/cohere.embed-english-v3/invoke',
      { texts: ['Hello'], input_type: 'search_query', truncate: 'END' },
    ],
  ])('%s', (_, body, model, path, written) => {
    expect(encode(body, model)).toEqual({ path, body: written })
  })

  test.each<[string, JsonObject, string]>([
    ['input', { input: ['a', 'b'] }, TITAN],
    ['input', { input: [] }, COHERE],
    ['input', { input: [1, 2] }, COHERE],
    ['input[1]', { input: ['a', null] }, COHERE],
    ['dimensions', { input: 'a', dimensions: 256 }, 'cohere.embed-english-v3'],
    ['dimensions', { input: 'a', dimensions: 0 }, TITAN],
    ['encoding_format', { input: 'a', encoding_format: 'hex' }, TITAN],
    ['dimensions', { input: 'a', dimensions: 256 }, 'amazon.titan-embed-text-v1'],
  ])('or refused by the name of the field: %s', (param, body, model) => {
    expect(() => encode(body, model)).toThrow(ApiError)
    expect(() => encode(body, model)).toThrow(expect.objectContaining({ status: 400, param }))
  })
})

describe('an answer of embeddings', () => {
  test('is read as Titan writes it, with what it used', () => {
    const answer = { embedding: [0.5, -1], embeddingsByType: { float: [0.5, -1] }, inputTextTokenCount: 3 }
    expect(decodeEmbeddings(answer, { input: 'Hello' }, TITAN)).toEqual({
      json: {
        object: 'list',
        model: TITAN,
        data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
        usage: { prompt_tokens: 3, total_tokens: 3 },
      },
      usage: { input: 3 },
    })
  })

  test.each([
    [{ response_type: 'embeddings_floats', embeddings: [[0.5], [1]] }],
    [{ response_type: 'embeddings_by_type', embeddings: { float: [[0.5], [1]] } }],
  ])('is read as Cohere writes it, in base64 where that is asked for: %o', (answer) => {
    const { json, usage } = decodeEmbeddings(answer, { input: ['a', 'b'], encoding_format: 'base64' }, COHERE)
    expect(json.data).toEqual([
      { object: 'embedding', index: 0, embedding: 'AAAAPw==' },
      { object: 'embedding', index: 1, embedding: 'AACAPw==' },
    ])
    expect(json).not.toHaveProperty('usage')
    expect(usage).toBeNull()
  })

  test.each([{}, { embeddings: [[1]] }, { embeddings: [[1], []] }, { embeddings: [[1], ['x']] }, { message: 'No.' }])(
    'that has not one vector for each text is none: %o',
    (answer) => {
      expect(() => decodeEmbeddings(answer, { input: ['a', 'b'] }, COHERE)).toThrow(SyntaxError)
    },
  )

  test('that counts nonsense counts nothing', () => {
    const answer = { embedding: [1], inputTextTokenCount: -3 }
    expect(decodeEmbeddings(answer, { input: 'a' }, TITAN).usage).toBeNull()
  })
})
