import { findProvider } from '@nemo/codec/providers'
import { expect, test } from 'vitest'
import type { Deployment } from '../snapshot/catalogue.ts'
import { filter } from './plan.ts'

function deployment(id: string, weight: number, more: Partial<Deployment['model']> = {}, priced = true): Deployment {
  return {
    id,
    weight,
    requestsPerMinute: null,
    tokensPerMinute: null,
    upstreamModel: id,
    upstream: {
      credential: 'c',
      provider: findProvider('sandbox')!,
      origin: 'http://localhost',
      basePath: '',
      headersFor: () => [],
    },
    model: {
      id,
      provider: 'sandbox',
      endpoint: 'chat',
      contextTokens: null,
      outputTokensMax: null,
      capabilities: [],
      ...more,
    },
    price: priced ? { versionId: 'v', nanosPerMillion: {} } : null,
  }
}

test('what can’t serve is kept in the plan, with the reason', () => {
  const deployments = [
    deployment('ok', 1, { capabilities: ['vision', 'json-schema'] }),
    deployment('half', 1, { capabilities: ['vision'] }),
    deployment('images', 1, { endpoint: 'images', capabilities: ['vision', 'json-schema'] }),
    deployment('unpriced', 1, { capabilities: ['vision', 'json-schema'] }, false),
  ]
  const plan = filter(deployments, { endpoint: 'chat', tags: ['vision', 'json-schema'] })
  expect(plan.map(({ deployment: { id }, excluded }) => [id, excluded])).toEqual([
    ['ok', null],
    ['half', 'tags'],
    ['images', 'endpoint'],
    ['unpriced', 'price'],
  ])
})
