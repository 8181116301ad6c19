import { expect, test } from 'vitest'
import { DIALECTS } from './dialects.ts'
import { translateEmbeddings } from './embeddings.ts'
import { findProvider } from './providers.ts'
import type { AnswerHeaders, WireRequest, WireTarget } from './wire.ts'

const provider = findProvider('bedrock')!
const COHERE = { embeddings: [[0.5, 0.25]], response_type: 'embeddings_floats' }
const COUNT = 'x-amzn-bedrock-input-token-count'

function read(answer: Record<string, unknown>, headers: AnswerHeaders, hosting = provider.hosting) {
  const request = { fields: { input: 'hello' } as Record<string, unknown> } as WireRequest
  const unsupported = (param: string) => expect.fail(param)
  const target = { provider, hosting, model: 'cohere.embed-english-v3', unsupported } as unknown as WireTarget
  const wire = translateEmbeddings(request, target, DIALECTS.converse)!
  const { bytes, usage } = wire.readAnswer(Buffer.alloc(0), answer, headers)
  return { usage, told: JSON.parse(bytes.toString()).usage }
}

test('what Bedrock counts in its header is what is billed, and what the caller is told', () => {
  expect(read(COHERE, { [COUNT]: '743' })).toEqual({
    usage: { input: 743 },
    told: { prompt_tokens: 743, total_tokens: 743 },
  })
})

test('what the body says of itself comes before the header', () => {
  const titan = { embedding: [0.5], inputTextTokenCount: 3 }
  expect(read(titan, { [COUNT]: '743' }).usage).toEqual({ input: 3 })
})

test.each<[string, AnswerHeaders]>([
  ['missing', {}],
  ['negative', { [COUNT]: '-1' }],
  ['a fraction', { [COUNT]: '1.5' }],
  ['beyond all counting', { [COUNT]: '1000000001' }],
  ['said twice', { [COUNT]: ['1', '2'] }],
  ['empty', { [COUNT]: '' }],
])('a count that is %s is none', (_, headers) => {
  expect(read(COHERE, headers)).toEqual({ usage: null, told: undefined })
})

test('the header is Bedrock’s alone', () => {
  expect(read(COHERE, { [COUNT]: '743' }, 'native').usage).toBeNull()
})
