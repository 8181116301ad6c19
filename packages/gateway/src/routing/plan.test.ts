import { findProvider } from '@nemo/codec/providers'
import { expect, test } from 'vitest'
import type { Deployment } from '../snapshot/catalogue.ts'
import { filter, headroomFirst, shuffle } from './plan.ts'

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

/** The same draws every time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

test('each deployment is first in proportion to its weight', () => {
  const deployments = [deployment('a', 1), deployment('b', 2), deployment('c', 7)]
  const draw = seeded(1)
  const first: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (let i = 0; i < 20_000; i++) first[shuffle(deployments, draw)[0]!.id]!++
  expect(first.a! / 20_000).toBeCloseTo(0.1, 1.5)
  expect(first.b! / 20_000).toBeCloseTo(0.2, 1.5)
  expect(first.c! / 20_000).toBeCloseTo(0.7, 1.5)
})

test('an order has every deployment once, whatever is drawn', () => {
  const deployments = [deployment('a', 1), deployment('b', 1_000_000), deployment('c', 3)]
  for (const draw of [() => 0, () => 0.5, () => 1 - 2 ** -53, seeded(2)]) {
    expect(
      shuffle(deployments, draw)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
  }
  expect(shuffle([], () => 0)).toEqual([])
  expect(deployments.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
})

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

test('what has no headroom at its provider comes last, and is still there', () => {
  const [a, b, c] = [
    { ...deployment('a', 1), requestsPerMinute: 10 },
    { ...deployment('b', 1), tokensPerMinute: 100 },
    deployment('c', 1),
  ]
  const order = (loads: Record<string, { requests: number; tokens: number }>) =>
    headroomFirst([a!, b!, c!], (id) => loads[id] ?? { requests: 0, tokens: 0 }).map(({ id }) => id)
  expect(order({})).toEqual(['a', 'b', 'c'])
  expect(order({ a: { requests: 10, tokens: 0 } })).toEqual(['b', 'c', 'a'])
  expect(
    order({ a: { requests: 9, tokens: 0 }, b: { requests: 0, tokens: 100 }, c: { requests: 99, tokens: 9_999 } }),
  ).toEqual(['a', 'c', 'b'])
})
