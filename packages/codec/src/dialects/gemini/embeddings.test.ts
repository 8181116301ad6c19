import { ApiError } from '@nemo/domain/errors'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../chat/request.ts'
import { decodeEmbeddings, encodeEmbeddings } from './embeddings.ts'

const native = { model: 'gemini-embedding-001', hosting: 'native', unsupported } as const
const vertex = { ...native, hosting: 'vertex' } as const

function unsupported(param: string, why: string): never {
  throw new ApiError(400, 'unsupported_parameter', why, { param })
}

const content = (text: string) => ({ parts: [{ text }] })

describe('a request', () => {
  test('is a batch at Google’s own, each text with all that is asked of it', () => {
    const body = { model: 'm', input: ['river', 'stone'], dimensions: 256, taskType: 'CLUSTERING', user: 'u' }
    const more = { model: 'models/gemini-embedding-001', outputDimensionality: 256, taskType: 'CLUSTERING' }
    expect(encodeEmbeddings(body, native)).toEqual({
      path: '/models/gemini-embedding-001:batchEmbedContents',
      body: {
        requests: [
          { ...more, content: content('river') },
          { ...more, content: content('stone') },
        ],
      },
    })
  })

  test('is of texts to be predicted on Vertex AI, what rides along where it belongs', () => {
    const body = { input: 'river', dimensions: 256, taskType: 'CLUSTERING', autoTruncate: false }
    expect(encodeEmbeddings(body, vertex)).toEqual({
      path: '/publishers/google/models/gemini-embedding-001:predict',
      body: {
        instances: [{ content: 'river', task_type: 'CLUSTERING' }],
        parameters: { autoTruncate: false, outputDimensionality: 256 },
      },
    })
    expect(encodeEmbeddings({ input: 'river' }, vertex).body).toEqual({ instances: [{ content: 'river' }] })
  })

  test('of a newer model on Vertex AI is of one content, and of no more', () => {
    const target = { ...vertex, model: 'gemini-embedding-2' }
    expect(encodeEmbeddings({ input: ['river'], dimensions: 8 }, target)).toEqual({
      path: '/publishers/google/models/gemini-embedding-2:embedContent',
      body: { content: content('river'), embedContentConfig: { outputDimensionality: 8 } },
    })
    expect(encodeEmbeddings({ input: 'river' }, target).body).toEqual({ content: content('river') })
    expect(() => encodeEmbeddings({ input: ['a', 'b'] }, target)).toThrow(
      expect.objectContaining({ status: 400, param: 'input' }),
    )
  })

  test.each<[string, JsonObject]>([
    ['input', {}],
    ['input', { input: [] }],
    ['input', { input: [1, 2] }],
    ['input', { input: [[1], [2]] }],
    ['input[1]', { input: ['a', null] }],
    ['dimensions', { input: 'a', dimensions: 0.5 }],
    ['encoding_format', { input: 'a', encoding_format: 'binary' }],
  ])('that can’t be said is refused by name: %s of %j', (param, body) => {
    expect(() => encodeEmbeddings(body, native)).toThrow(expect.objectContaining({ status: 400, param }))
  })
})

describe('an answer', () => {
  test('of a batch tells no usage, so there is none', () => {
    const answer = { embeddings: [{ values: [0.5, -1] }, { values: [0, 1] }] }
    expect(decodeEmbeddings(answer, { input: ['a', 'b'] }, 'm')).toEqual({
      json: {
        object: 'list',
        model: 'm',
        data: [
          { object: 'embedding', index: 0, embedding: [0.5, -1] },
          { object: 'embedding', index: 1, embedding: [0, 1] },
        ],
      },
      usage: null,
    })
  })

  const prediction = (token_count: unknown) => ({ embeddings: { values: [1], statistics: { token_count } } })

  test('of predictions counts what each text came to, and nothing where one wasn’t counted', () => {
    const body = { input: ['a', 'b'] }
    const counted = decodeEmbeddings({ predictions: [prediction(2), prediction(3)] }, body, 'm')
    expect(counted).toMatchObject({ usage: { input: 5 }, json: { usage: { prompt_tokens: 5, total_tokens: 5 } } })
    for (const nonsense of [undefined, -1, 1.5, 2e9, 'many']) {
      expect(decodeEmbeddings({ predictions: [prediction(2), prediction(nonsense)] }, body, 'm').usage).toBeNull()
    }
  })

  test('of one content counts the prompt', () => {
    const answer = { embedding: { values: [1] }, usageMetadata: { promptTokenCount: 4 } }
    expect(decodeEmbeddings(answer, { input: 'a' }, 'm')).toMatchObject({ usage: { input: 4 } })
  })

  test('is in base64 where that was asked for: 32-bit floats, little-endian', () => {
    const body = { input: 'a', encoding_format: 'base64' }
    const { json } = decodeEmbeddings({ embeddings: [{ values: [0.5, -1] }] }, body, 'm')
    const [{ embedding }] = json.data as [{ embedding: string }]
    expect(Buffer.from(embedding, 'base64').toString('hex')).toBe('0000003f000080bf')
  })

  test.each<[string, JsonObject]>([
    ['no embeddings', {}],
    ['one vector for two texts', { embeddings: [{ values: [1] }] }],
    ['an empty vector', { embeddings: [{ values: [1] }, { values: [] }] }],
    ['words in a vector', { embeddings: [{ values: [1] }, { values: ['x'] }] }],
  ])('with %s is none', (_, answer) => {
    expect(() => decodeEmbeddings(answer, { input: ['a', 'b'] }, 'm')).toThrow(SyntaxError)
  })
})
