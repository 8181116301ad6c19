import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ENCODED as COHERE } from '../../fixtures/cohere/encoded-bodies.ts'
import { ENCODED as GEMINI } from '../../fixtures/gemini/encoded-bodies.ts'
import { ENCODED as OPENAI } from '../../fixtures/openai/encoded-bodies.ts'

/** What the compiler holds against the types of the providers' SDKs is what the encoder writes. */
test.each([
  ['gemini', GEMINI],
  ['cohere', COHERE],
])('every golden of %s is among the bodies that its SDK’s types are checked with', (dialect, encoded) => {
  expect(encoded).toEqual(Object.fromEntries(goldensOf(dialect)))
})

/** What only other servers of its dialect have, which OpenAI's own types don't know. */
const OF_OTHERS = ['interleaved', 'penalty-repetition', 'server-tools-chat', 'signed-thoughts']

test('and of openai, but for what only others of its dialect have', () => {
  const own = goldensOf('openai').filter(([name]) => !OF_OTHERS.includes(name))
  expect(OPENAI).toEqual(Object.fromEntries(own))
})

function goldensOf(dialect: string): [string, unknown][] {
  const folder = join(import.meta.dirname, '../../fixtures', dialect)
  const goldens = readdirSync(folder).filter((file) => file.endsWith('.request.json'))
  return goldens.map((file) => [
    file.replace('.request.json', ''),
    JSON.parse(readFileSync(join(folder, file), 'utf8')).body,
  ])
}
