import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fillBaseUrl, type Provider, pathAt, providerWith } from './provider.ts'
import { findProvider, PROVIDERS } from './providers.ts'

/** Those that stand for what the operator brings. */
const STAND_INS = new Set(['openai-compatible', 'sandbox'])
const real = PROVIDERS.filter(({ name }) => !STAND_INS.has(name))

test('there are 76 of the founding documents and more, each under a name of its own', () => {
  expect(real.length).toBeGreaterThanOrEqual(76)
  expect(new Set(PROVIDERS.map(({ name }) => name)).size).toBe(PROVIDERS.length)
  for (const { name } of PROVIDERS) expect(findProvider(name)?.name).toBe(name)
})

describe.each(real.map((provider) => [provider.name, provider] as const))('%s', (_, provider) => {
  test('is complete', () => {
    const { name, title, baseUrl, settings, documentation, endpoints, apiKeyVariable, auth, dated } = provider
    expect(name).toMatch(/^[a-z0-9][a-z0-9-]*$/)
    expect(title).not.toBe('')
    expect(documentation).toMatch(/^https:\/\//)
    expect(endpoints.length).toBeGreaterThan(0)
    expect(baseUrl).toMatch(/^https:\/\/|^http:\/\/127\.0\.0\.1:\d+/)
    expect(baseUrl).not.toMatch(/\/$/)
    const texts = [baseUrl!, ...Object.values(provider.paths), ...Object.values(dated?.paths ?? {})].join(' ')
    const placeholders = new Set([...texts.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))
    placeholders.delete('model')
    expect(new Set(settings.map((setting) => setting.name))).toEqual(placeholders)
    for (const setting of settings) expect(setting.description).not.toBe('')
    // A key that no variable holds is one of a cloud, which has files of its own, or of a server that may have none.
    if (apiKeyVariable === null) expect(['sigv4', 'google', 'optional-bearer']).toContain(auth.kind)
    else expect(apiKeyVariable).toMatch(/^[A-Z][A-Z0-9_]+$/)
  })
})

test('no variable is two providers’ key', () => {
  const variables = PROVIDERS.flatMap(({ apiKeyVariable }) => apiKeyVariable ?? [])
  expect(new Set(variables).size).toBe(variables.length)
})

test('settings are filled in, and can’t lead elsewhere', () => {
  const bedrock = findProvider('bedrock')!
  expect(fillBaseUrl(bedrock, {}, null)).toBe('https://bedrock-runtime.us-east-1.amazonaws.com')
  expect(fillBaseUrl(bedrock, { region: 'eu-west-3' }, null)).toBe('https://bedrock-runtime.eu-west-3.amazonaws.com')
  expect(fillBaseUrl(bedrock, {}, 'http://127.0.0.1:9')).toBe('http://127.0.0.1:9')
  for (const region of ['evil.com/', 'a@b', '../x', 'a#']) {
    expect(() => fillBaseUrl(bedrock, { region }, null)).toThrow(/letters, digits/)
  }
  expect(() => fillBaseUrl(findProvider('azure')!, {}, null)).toThrow('provider azure needs the setting "resource"')
})

test('Azure of a date has the deployment in its paths, which it can’t lead out of, and no Responses', () => {
  const azure = findProvider('azure')!
  const settings = { resource: 'mine', api_version: '2024-10-21' }
  const dated = providerWith(azure, settings)
  expect(fillBaseUrl(azure, settings, null)).toBe('https://mine.openai.azure.com/openai')
  expect(pathAt(dated, 'chat', 'my-gpt')).toBe('/deployments/my-gpt/chat/completions?api-version=2024-10-21')
  expect(pathAt(dated, 'embeddings', '../a?b')).toBe('/deployments/..%2Fa%3Fb/embeddings?api-version=2024-10-21')
  expect(pathAt(dated, 'images', '..')).toBe('/deployments/%2E%2E/images/generations?api-version=2024-10-21')
  expect(dated.paths.models).toBe('/models?api-version=2024-10-21')
  expect([azure.endpoints.includes('responses'), dated.endpoints.includes('responses')]).toEqual([true, false])
  for (const current of [{ resource: 'mine' }, { resource: 'mine', api_version: 'v1' }]) {
    expect(providerWith(azure, current)).toBe(azure)
    expect(fillBaseUrl(azure, current, null)).toBe('https://mine.openai.azure.com/openai/v1')
    expect(pathAt(azure, 'chat', 'my-gpt')).toBeNull()
  }
})

test.each([
  ['newest', /is v1 or a date/],
  ['2024-10-21&x=1', /is v1 or a date/],
  ['2024-06-01', /must be 2024-09-01 or later: before, streams say nothing of what they used/],
])('Azure’s version %s is refused before it is used', (api_version, why) => {
  expect(() => providerWith(findProvider('azure')!, { api_version })).toThrow(why)
  expect(() => fillBaseUrl(findProvider('azure')!, { resource: 'mine', api_version }, null)).toThrow(why)
})

test('a base URL of version 1 has no dates', () => {
  const azure = findProvider('azure')!
  const fill = (api_version: string) => fillBaseUrl(azure, { api_version }, 'https://mine.example/openai/v1')
  expect(fill('v1')).toBe('https://mine.example/openai/v1')
  expect(() => fill('2024-10-21')).toThrow('ends in /v1')
})

const DOCS = join(import.meta.dirname, '../../../docs/providers.md')
const START =
  '<!-- made from packages/codec/src/providers: UPDATE_GOLDEN=1 npx vitest run packages/codec/src/providers.test.ts -->\n'

test('the table in the docs is what the data says', () => {
  const text = readFileSync(DOCS, 'utf8')
  const at = text.indexOf(START) + START.length
  const table = [
    '| provider | name | dialect | endpoints | key | settings |',
    '|---|---|---|---|---|---|',
    ...real.map(row),
  ].join('\n')
  if (process.env.UPDATE_GOLDEN) writeFileSync(DOCS, `${text.slice(0, at)}\n${table}\n`)
  else expect(text.slice(at).trim()).toBe(table)
})

function row({
  title,
  name,
  dialect,
  hosting,
  endpoints,
  apiKeyVariable,
  settings,
  documentation,
  auth,
  notes,
}: Provider): string {
  const key = apiKeyVariable ? `\`${apiKeyVariable}\`` : auth.kind === 'optional-bearer' ? 'none needed' : 'see notes'
  const needs = settings.map((one) => `${one.name}${one.variable ? ` (\`${one.variable}\`)` : ''}`).join(', ')
  const spoken = hosting === 'native' ? dialect : `${dialect} on ${hosting}`
  return `| [${title}](${documentation}) | \`${name}\` | ${spoken} | ${endpoints.join(', ')} | ${key} | ${[needs, notes ?? ''].filter(Boolean).join('. ')} |`
}
