import { randomBytes } from 'node:crypto'
import type { Wire } from '@nemo/codec/wire'
import { seal } from '@nemo/domain/vault'
import { expect, test } from 'vitest'
import { buildCatalogue, Catalogue, type ModelGroup } from './catalogue.ts'

const ACME = '01890000-0000-7000-8000-00000000000a'
const RIVAL = '01890000-0000-7000-8000-00000000000b'

const group = (name: string, organizationId: string | null = null): ModelGroup => ({
  name,
  organizationId,
  createdAt: new Date(0),
  chain: [],
  deployments: [],
})

test('an organization’s own group comes before everyone’s, and no name reaches another tenant’s', () => {
  const [shared, own, rivals, only] = [group('fast'), group('fast', ACME), group('fast', RIVAL), group('secret', RIVAL)]
  const catalogue = new Catalogue([shared, own, rivals, only])
  expect(catalogue.find('fast', ACME)).toBe(own)
  expect(catalogue.find('fast', RIVAL)).toBe(rivals)
  expect(catalogue.find('fast', 'another')).toBe(shared)
  for (const name of ['secret', `${RIVAL} secret`, `${RIVAL}/secret`, RIVAL, '', '__proto__', 'constructor']) {
    expect(catalogue.find(name, ACME)).toBeNull()
  }
  expect(catalogue.visibleTo(ACME)).toEqual([own])
  expect(catalogue.visibleTo(RIVAL)).toEqual([rivals, only])
})

test('a credential that can’t be used is told, and only its own deployments are left out', () => {
  const masterKey = randomBytes(32)
  const credential = (id: string, more: object) => ({
    id,
    name: id,
    provider: 'openai',
    baseUrl: null,
    settings: {},
    secret: null,
    createdAt: new Date(0),
    ...more,
  })
  const deployment = (credentialId: string) => ({
    id: `d-${credentialId}`,
    organizationId: null,
    groupId: 'g',
    group: 'fast',
    chain: [],
    groupCreatedAt: new Date(0),
    credentialId,
    upstreamModel: 'm',
    weight: 1,
    requestsPerMinute: null,
    tokensPerMinute: null,
    model: {
      id: 'openai/m',
      provider: 'openai',
      endpoint: 'chat' as const,
      contextTokens: null,
      outputTokensMax: null,
      capabilities: [],
    },
    price: null,
  })
  const problems: string[] = []
  const catalogue = buildCatalogue(
    {
      credentials: [
        credential('good', { secret: seal(masterKey, 'sk-x', 'good'), baseUrl: 'https://example.com/v1/' }),
        credential('sealed-elsewhere', { secret: seal(randomBytes(32), 'sk-x', 'sealed-elsewhere') }),
        credential('unknown', { provider: 'nobody' }),
        credential('nowhere', { provider: 'sandbox' }),
      ],
      deployments: ['good', 'sealed-elsewhere', 'unknown', 'nowhere'].map(deployment),
    },
    masterKey,
    (problem) => problems.push(problem),
  )
  expect(problems).toHaveLength(3)
  expect(problems.join()).not.toContain('sk-x')
  const [only] = catalogue.groups[0]!.deployments
  expect(catalogue.groups[0]!.deployments).toHaveLength(1)
  expect(only!.upstream).toMatchObject({ origin: 'https://example.com', basePath: '/v1' })
  const wire = { headers: { 'anthropic-beta': 'x' } } as unknown as Wire
  expect(only!.upstream.headersFor('/chat/completions', wire)).toEqual(
    expect.arrayContaining(['Bearer sk-x', 'anthropic-beta', 'x']),
  )
})
