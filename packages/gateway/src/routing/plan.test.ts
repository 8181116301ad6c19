import { findProvider } from '@nemo/codec/providers'
import { expect, test } from 'vitest'
import type { Deployment, ModelGroup } from '../snapshot/catalogue.ts'
import { type Candidate, filter, type Needs, type PlannedLink, relent } from './plan.ts'

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
      hide: (text) => text,
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

const group = (...deployments: Deployment[]): ModelGroup => ({
  name: 'g',
  organizationId: null,
  createdAt: new Date(0),
  chain: [],
  deployments,
})
const needs: Needs = { endpoint: 'chat', tags: [], capabilities: [], inputTokensLeast: 100 }
const reasons = (candidates: readonly Candidate[]) =>
  candidates.map(({ deployment: { id }, excluded }) => [id, excluded])

test('what can’t serve is kept in the plan, with the reason', () => {
  const deployments = [
    deployment('ok', 1, { capabilities: ['vision', 'json-schema'] }),
    deployment('half', 1, { capabilities: ['vision'] }),
    deployment('images', 1, { endpoint: 'images', capabilities: ['vision', 'json-schema'] }),
    deployment('unpriced', 1, { capabilities: ['vision', 'json-schema'] }, false),
    deployment('small', 1, { capabilities: ['vision', 'json-schema'], contextTokens: 99 }),
    deployment('dropped', 1, { capabilities: ['vision', 'json-schema'] }),
  ]
  const wanted = { ...needs, tags: ['vision', 'json-schema'] }
  expect(reasons(filter(group(...deployments), wanted, { drop: ['sandbox/dropped'] }))).toEqual([
    ['ok', null],
    ['half', 'tags:json-schema'],
    ['images', 'endpoint'],
    ['unpriced', 'price'],
    ['small', 'context'],
    ['dropped', 'dropped'],
  ])
})

test('what a request needs is asked of models of which something is known, and of none where none has it', () => {
  const blind = deployment('blind', 1, { capabilities: ['code'] })
  const unknown = deployment('unknown', 1)
  const wanted = { ...needs, capabilities: ['vision'] }
  const linked = (...deployments: Deployment[]): PlannedLink => ({
    group: group(...deployments),
    strategy: 'simple-shuffle',
    candidates: filter(group(...deployments), wanted),
  })
  expect(reasons(relent([linked(blind), linked(unknown)])[0]!.candidates)).toEqual([['blind', 'needs:vision']])
  expect(reasons(relent([linked(blind)])[0]!.candidates)).toEqual([['blind', null]])
})

test('an organization weighs deployments by their ids, or by what they serve', () => {
  const weights = { a: 7, 'sandbox/b': 3 }
  const [a, b, c] = filter(group(deployment('a', 1), deployment('b', 1), deployment('c', 2)), needs, { weights })
  expect([a!.weight, b!.weight, c!.weight]).toEqual([7, 3, 2])
})
