import { describe, expect, test } from 'vitest'
import { refuseOtherNames } from './other-names.ts'

const refusedIn = (fields: object, surface = 'chat') => {
  try {
    refuseOtherNames(fields as Record<string, unknown>, surface)
    return null
  } catch (error) {
    const { status, param, message } = error as { status: number; param: string; message: string }
    expect(status).toBe(400)
    return `${param}: ${message.split('write ')[1]}`
  }
}

describe('what a provider would obey and we would not count', () => {
  test.each([
    [{ MAX_TOKENS: 100_000 }, 'MAX_TOKENS: max_tokens.'],
    [{ maxTokens: 100_000 }, 'maxTokens: max_tokens.'],
    [{ 'max_to\u212aens': 100_000 }, 'max_to\u212aens: max_tokens.'],
    [{ 'me\u017f\u017fages': [] }, 'me\u017f\u017fages: messages.'],
    [{ Model: 'dearer' }, 'Model: model.'],
    [{ N: 8 }, 'N: n.'],
    [{ best_of: 8 }, 'best_of: n.'],
    [{ serviceTier: 'priority' }, 'serviceTier: service_tier.'],
    [{ generationConfig: { candidateCount: 8 } }, 'generationConfig.candidateCount: n.'],
    [{ generation_config: { max_output_tokens: 9 } }, 'generation_config.max_output_tokens: max_tokens.'],
    [{ inferenceConfig: { maxTokens: 9 } }, 'inferenceConfig.maxTokens: max_tokens.'],
    [{ additionalModelRequestFields: { max_tokens: 9 } }, 'additionalModelRequestFields.max_tokens: max_tokens.'],
    [{ options: { num_predict: -1 } }, 'options.num_predict: max_tokens.'],
    [{ parameters: { sampleCount: 4 } }, 'parameters.sampleCount: n.'],
    [{ max_output_tokens: 9 }, 'max_output_tokens: max_tokens.'],
  ])('is refused: %j', (fields, refusal) => {
    expect(refusedIn(fields)).toBe(refusal)
  })

  test('is told by the name that its API has', () => {
    expect(refusedIn({ max_output_tokens: 9 }, 'responses')).toBeNull()
    expect(refusedIn({ max_tokens: 9 }, 'responses')).toBe('max_tokens: max_output_tokens.')
    expect(refusedIn({ max_completion_tokens: 9 }, 'messages')).toBe('max_completion_tokens: max_tokens.')
    expect(refusedIn({ n: 8 }, 'messages')).toBe('n: undefined')
    expect(refusedIn({ n: 1, max_tokens: 9 }, 'messages')).toBeNull()
    expect(refusedIn({ maxOutputTokens: 9 }, 'responses')).toBe('maxOutputTokens: max_output_tokens.')
  })
})

test.each([
  { model: 'm', messages: [], n: 2, max_tokens: 1, max_completion_tokens: 2, stream: true, service_tier: 'flex' },
  { generationConfig: { candidateCount: 1, responseModalities: ['TEXT'], maxOutputTokens: null } },
  { tools: [{ function: { parameters: { properties: { max_tokens: {} } } } }], metadata: { model: 'mine', n: '3' } },
  { temperature: 1, stream_options: { include_usage: true }, options: 'text', parameters: null },
])('what is read, or says nothing of cost, passes: %j', (fields) => {
  expect(refusedIn(fields)).toBeNull()
})
